"""Everything about a person as files (GDPR Art. 20): JSON and CSV by page, their own audio, and a manifest. A stream.

The form is docs/formats/subject-archive.md. A tar says the length of a file before its bytes, so each page of records
is a file of its own, made in memory; audio is as long as its sealed size says.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

from sealwire.communications.recordings.wav import wav_header
from sealwire.communications.reports.writing import CsvWriter
from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests.answering import PURPOSE, Answer, Told
from sealwire.doors.api.wav import audio_bytes
from sealwire.governance.principals import Principal

SCHEMA = "sealwire/subject-archive/v1"
_BLOCK = tarfile.BLOCKSIZE
_SAMPLE = 2
_OFFSETS = {"left": 0, "right": _SAMPLE}
_TOLD = ("id", "subject_is", "kept_at", "due_on", "purpose", "source")


class SubjectArchive:
    """One archive under way; `stream` once."""

    def __init__(self, custody: Custody, principal: Principal, answer: Answer, *, request: str) -> None:
        self._custody, self._principal, self._answer, self._request = custody, principal, answer, request
        self._members: list[dict[str, Any]] = []
        self._pages = 0

    async def stream(self) -> AsyncIterator[bytes]:
        """The tar, manifest last: what is not in the manifest, or a tar without one, is not whole."""
        async for page in self._answer.told():
            in_order = sorted(page, key=lambda told: told.line["category"])
            for category, group in groupby(in_order, key=lambda told: str(told.line["category"])):
                self._pages += 1
                rows, name = list(group), f"records/{category}-{self._pages:06d}"
                lines = [told.line for told in rows]
                yield self._file(f"{name}.json", json.dumps(lines, indent=1).encode() + b"\n")
                yield self._file(f"{name}.csv", _csv(lines))
            for told in page:
                if told.line.get("audio", {}).get("handed_out"):
                    async for piece in self._audio(told):
                        yield piece
        summary = await self._answer.end()
        manifest = {"schema": SCHEMA, "request": self._request, "summary": summary, "members": self._members}
        yield self._file("manifest.json", json.dumps(manifest, indent=1).encode() + b"\n")
        yield bytes(2 * _BLOCK)

    def _file(self, name: str, content: bytes) -> bytes:
        self._note(name, len(content), hashlib.sha256(content))
        return self._head(name, len(content)) + content + _padding(len(content))

    async def _audio(self, told: Told) -> AsyncIterator[bytes]:
        """A recording as WAV: one channel of it, or all of what is mixed on the controller's word."""
        stored, channel = told.record.stored, told.line["audio"]["channel"]
        name, size = f"media/{stored.record}.wav", audio_bytes(stored.media_bytes)
        channels = 1 if channel in _OFFSETS else stored.plain["channels"] or 1
        size = size // 2 if channel in _OFFSETS else size
        head = wav_header(size, channels=channels)
        hashed, written = hashlib.sha256(head), 0
        yield self._head(name, len(head) + size) + head
        _, pieces = await self._custody.open_media(self._principal, stored.record, purpose=PURPOSE)
        async for piece in _one_channel(pieces, _OFFSETS[channel]) if channel in _OFFSETS else pieces:
            hashed.update(piece)
            written += len(piece)
            yield piece
        if written != size:
            raise ValueError("the audio is not as long as its sealed size says")
        self._note(name, len(head) + size, hashed)
        yield _padding(len(head) + size)

    def _head(self, name: str, size: int) -> bytes:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        entry.mtime = int(self._custody.clock.now().timestamp())
        return entry.tobuf(tarfile.USTAR_FORMAT)

    def _note(self, name: str, size: int, hashed: Any) -> None:
        if name != "manifest.json":
            self._members.append({"name": name, "bytes": size, "sha256": hashed.hexdigest()})


async def _one_channel(pieces: AsyncIterator[bytes], offset: int) -> AsyncIterator[bytes]:
    """One of two interleaved channels of 16 bits; pieces may end anywhere."""
    rest = b""
    async for piece in pieces:
        whole = rest + piece
        frames = len(whole) // (2 * _SAMPLE) * (2 * _SAMPLE)
        rest, whole = whole[frames:], whole[:frames]
        channel = bytearray(frames // 2)
        channel[0::2], channel[1::2] = whole[offset :: 2 * _SAMPLE], whole[offset + 1 :: 2 * _SAMPLE]
        yield bytes(channel)


def _csv(lines: list[dict[str, Any]]) -> bytes:
    """The same records as a table: what is told of each, then its fields."""
    fields = sorted({f"{part}.{name}" for line in lines for part in ("plain", "content") for name in line[part]})
    writer = CsvWriter([*_TOLD, *fields])
    rows = [
        [_cell(line[name]) for name in _TOLD] + [line[part].get(name) for part, name in (f.split(".") for f in fields)]
        for line in lines
    ]
    return writer.begin() + writer.rows(rows)


def _cell(value: Any) -> Any:
    return " ".join(value) if isinstance(value, list) else value


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
