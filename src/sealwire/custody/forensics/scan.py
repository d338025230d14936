"""Scanning files: read, matched, and what is compressed inside them unpacked and matched too.

Both are looked at in windows; a compressed stream is followed for 8 MiB beyond the window it begins in.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.custody.forensics.carving import unpacked_streams
from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.patterns import Pattern

_DEPTH_MAX = 3
_WINDOW_BYTES = 64 << 20
_STREAM_WINDOW_BYTES = 8 << 20
_OVERLAP_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern that was found: in which file, where, and inside what."""

    file: str
    offset: int
    pattern: Pattern
    inside: tuple[str, ...] = ()

    @property
    def encoding(self) -> str:
        """The form it stood in, with the formats it was unpacked from: `raw in gzip`."""
        return " in ".join((self.pattern.encoding, *reversed(self.inside)))


@dataclass(frozen=True, slots=True)
class _Window:
    """A part of a file or stream, and the beginning of the next part, so that nothing on the border is missed."""

    start: int
    data: bytes
    is_last: bool

    def owns(self, offset: int) -> bool:
        """Whether what begins here is this window's to report; the rest is found again in the next."""
        return self.is_last or offset < len(self.data) - _OVERLAP_BYTES


@dataclass
class Scanned:
    """What was read, what could not be, and what was found."""

    files: int = 0
    bytes: int = 0
    unreadable: list[str] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)


def scan_folder(matcher: Matcher, folder: Path, *, leave_out: frozenset[Path] = frozenset()) -> Scanned:
    """Scan every regular file below a folder (or the file itself). Links are not followed; sockets hold nothing."""
    scanned = Scanned()
    for file in _files(folder, leave_out):
        _scan_file(matcher, file, scanned)
    return scanned


def scan_bytes(matcher: Matcher, data: bytes, *, name: str) -> list[Hit]:
    """Scan bytes in memory as if they were a file."""
    return list(_found(matcher, iter((_Window(0, data, is_last=True),)), name, ()))


def _files(folder: Path, leave_out: frozenset[Path]) -> Iterator[Path]:
    if folder.is_file():
        yield folder
    for top, folders, names in os.walk(folder):
        here = Path(top)
        folders[:] = sorted(name for name in folders if here / name not in leave_out)
        yield from (here / name for name in sorted(names) if here / name not in leave_out)


def _scan_file(matcher: Matcher, file: Path, scanned: Scanned) -> None:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        if _is_still_a_file(file):
            scanned.unreadable.append(str(file))
        return
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return
        scanned.files += 1
        scanned.bytes += status.st_size
        scanned.hits.extend(_found(matcher, _file_windows(descriptor, status.st_size), str(file), ()))
    except OSError:
        scanned.unreadable.append(str(file))
    finally:
        os.close(descriptor)


def _file_windows(descriptor: int, size: int) -> Iterator[_Window]:
    """Read, not mapped: PostgreSQL cuts files short while we look, and a mapping that lost its file kills us."""
    for start in range(0, max(size, 1), _WINDOW_BYTES):
        data = os.pread(descriptor, _WINDOW_BYTES + _OVERLAP_BYTES, start)
        yield _Window(start, data, is_last=len(data) < _WINDOW_BYTES + _OVERLAP_BYTES)


def _stream_windows(pieces: Iterator[bytes]) -> Iterator[_Window]:
    start, held = 0, bytearray()
    for piece in pieces:
        held += piece
        while len(held) > _STREAM_WINDOW_BYTES + _OVERLAP_BYTES:
            yield _Window(start, bytes(held[: _STREAM_WINDOW_BYTES + _OVERLAP_BYTES]), is_last=False)
            del held[:_STREAM_WINDOW_BYTES]
            start += _STREAM_WINDOW_BYTES
    yield _Window(start, bytes(held), is_last=True)


def _is_still_a_file(file: Path) -> bool:
    try:
        return stat.S_ISREG(file.lstat().st_mode)
    except OSError:
        return False


def _found(matcher: Matcher, windows: Iterator[_Window], name: str, inside: tuple[str, ...]) -> Iterator[Hit]:
    for window in windows:
        for offset, pattern in matcher.find(window.data):
            if window.owns(offset):
                yield Hit(name, window.start + offset, pattern, inside)
        if len(inside) < _DEPTH_MAX:
            for form, at, pieces in unpacked_streams(window.data):
                if window.owns(at):
                    where = f"{name}@{window.start + at}"
                    yield from _found(matcher, _stream_windows(pieces), where, (*inside, form))
