"""What a core dump of a process would hold, read from /proc/<pid>/mem: every mapping that can be read.

As root this reads processes that are not dumpable too, so a process that hides well is still searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.patterns import Pattern

_LINE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S+) (\S+ \S+ \d+) *(.*)")
_PIECE_BYTES = 16 << 20
_NOT_MEMORY = ("[vvar]", "[vvar_vclock]", "[vsyscall]", "[vdso]")


@dataclass
class MemoryScan:
    """What was found in one process."""

    name: str
    pid: int
    bytes: int = 0
    hits: list[tuple[Pattern, int]] = field(default_factory=list)
    is_readable: bool = True


def scan_memory(matcher: Matcher, name: str, pid: int, *, seen: set[str] | None = None) -> MemoryScan:
    """Search all that is mapped and written; code and untouched pages of files are left to the file scan.

    With `seen`, what processes share (the database's buffers) is searched in the first of them only.
    """
    scan = MemoryScan(name, pid)
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            for start, end in _mappings(pid, seen if seen is not None else set()):
                for at, piece in _pieces(memory, start, end, matcher.longest):
                    scan.bytes += len(piece)
                    scan.hits += [(pattern, at + offset) for offset, pattern in matcher.find(piece)]
    except OSError:
        scan.is_readable = False
    return scan


def with_children(pids: Iterable[int]) -> list[int]:
    """These processes and all they started."""
    found: list[int] = []
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                waiting += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def _mappings(pid: int, seen: set[str]) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        if (found := _LINE.fullmatch(line)) is None or found[5] in _NOT_MEMORY:
            continue
        if "s" in found[3]:
            if found[4] in seen:
                continue
            seen.add(found[4])
        if "w" in found[3] and "r" in found[3]:
            yield int(found[1], 16), int(found[2], 16)


def _pieces(memory: object, start: int, end: int, overlap: int) -> Iterator[tuple[int, bytes]]:
    at = start
    while at < end:
        try:
            memory.seek(at)  # type: ignore[attr-defined]
            piece = memory.read(min(_PIECE_BYTES + overlap, end - at))  # type: ignore[attr-defined]
        except (OSError, ValueError, OverflowError):
            return
        if not piece:
            return
        yield at, piece
        at += _PIECE_BYTES
