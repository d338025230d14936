"""Every leaf again, outside the database: what lets a log go on after the database was put back.

A leaf is 34 bytes that commit and tell nothing (verifier/leaf.py), so a copy of it beside `heads.lock` holds nothing
personal. A restored database lacks the leaves written since the backup; these give them back, and the log goes on under
the same name and key, as long as before. Payloads stay lost. Two things that a leaf cannot give back stand beside it:
what batches of kept records commit to (ids and salted hashes), so that no record gets a second leaf; and the ids of
credentials that were revoked, given another secret or bound to networks, so that none comes alive again as it was.

A file a day, `leaves/<YYYYMMDD>`, frames only added: length, check, then one account's entries in msgpack. They are on
disk before the head that covers them moves in `heads.lock`. A torn last frame belongs to a head that never moved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from sealwire.errors import Broken
from sealwire.ground.clock import Clock
from sealwire_verifier.leaf import LEAF_BYTES

_LENGTH, _CHECK = 4, 8
_FRAME_BYTES_MAX = 64 << 20


class JournalDamaged(Broken):
    """The file of leaves is damaged, so no log can be completed from it; restore a newer backup."""


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What a leaf `record.kept` commits to: 16 bytes for each record's id, 32 for each commitment."""

    index: int
    salt: bytes
    payload: bytes
    records: bytes
    commitments: bytes


class Entries(msgspec.Struct, frozen=True, array_like=True):
    """Consecutive leaves of one account's log; `kept` says how many records the batch leaves among them commit to."""

    account: bytes
    origin: str
    first: int
    leaves: bytes
    kept: int
    batches: list[Batch] = []
    revoked: list[str] = []
    """Credentials and programs: one for each leaf `credential.revoked` whose payload was known at the time."""
    changed: list[str] = []
    """Credentials that were given another secret, or other networks."""

    @property
    def count(self) -> int:
        return len(self.leaves) // LEAF_BYTES

    def leaf(self, index: int) -> bytes:
        at = (index - self.first) * LEAF_BYTES
        return self.leaves[at : at + LEAF_BYTES]


class LeafJournal:
    """Written by the sequencer alone."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder / "leaves", clock
        self._file: Path | None = None
        self._descriptor = -1

    def append(self, entries: Iterable[Entries]) -> None:
        """Write frames and flush them; blocks. After a failure the file is cut back to its last whole frame."""
        data = b"".join(_frame(each) for each in entries)
        if not data:
            return
        self._open_today()
        end = os.lseek(self._descriptor, 0, os.SEEK_END)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, end)
            raise

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._file = -1, None

    def _open_today(self) -> None:
        file = self._folder / f"{self._clock.now():%Y%m%d}"
        if file == self._file:
            return
        self.close()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._file = file
        os.ftruncate(self._descriptor, _whole_bytes(file))
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


def read_journal(folder: Path) -> Iterator[Entries]:
    """Every frame there is, oldest file first; JournalDamaged when one other than a file's last does not hold."""
    top = folder / "leaves"
    for file in sorted(top.iterdir()) if top.exists() else []:
        with file.open("rb") as stream:
            while (body := _read_frame(stream.read)) is not None:
                yield msgspec.msgpack.decode(body, type=Entries)
            if stream.tell() < file.stat().st_size:
                raise JournalDamaged


def drop_before(folder: Path, day: str) -> int:
    """Remove the files of days before this one (YYYYMMDD): no backup reaches back so far; how many."""
    top = folder / "leaves"
    old = [file for file in (top.iterdir() if top.exists() else []) if file.name < day]
    for file in old:
        file.unlink()
    return len(old)


def _frame(entries: Entries) -> bytes:
    body = msgspec.msgpack.encode(entries)
    return len(body).to_bytes(_LENGTH, "big") + sha256(body).digest()[:_CHECK] + body


def _read_frame(read: Callable[[int], bytes]) -> bytes | None:
    head = read(_LENGTH + _CHECK)
    length = int.from_bytes(head[:_LENGTH], "big")
    if len(head) < _LENGTH + _CHECK or length > _FRAME_BYTES_MAX:
        return None
    body = read(length)
    return body if len(body) == length and sha256(body).digest()[:_CHECK] == head[_LENGTH:] else None


def _whole_bytes(file: Path) -> int:
    whole = 0
    with file.open("rb") as stream:
        while _read_frame(stream.read) is not None:
            whole = stream.tell()
    return whole
