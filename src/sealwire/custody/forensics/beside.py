"""What lies neither in a store nor in memory: files that processes hold open elsewhere or removed, and swap.

A process that writes to a file which no store holds would otherwise be searched by nobody. The control is a file of
our own that is removed while it is open: it must be found as theirs would be.
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.patterns import Pattern, text_patterns

CONTROL = "control of open files"
_PIECE_BYTES = 16 << 20
_SWAP_BYTES_MAX = 2 << 30
_WRITES = os.O_WRONLY | os.O_RDWR
_TOLD_MAX = 20


@dataclass
class BesideReport:
    """What was searched beside the stores, where something was found, and what could not be searched."""

    open_files: int = 0
    bytes: int = 0
    control_hits: int = 0
    places: list[str] = field(default_factory=list)
    not_searched: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    swap: str = "not looked at"
    core_dumps: str = "not looked at"


def search_beside(matcher: Matcher, pids: Sequence[int], *, searched: Sequence[Path]) -> BesideReport:
    """Search files these processes have open outside the `searched` folders, and swap when there is any."""
    report = BesideReport()
    needle = secrets.token_hex(16)
    control = Matcher(text_patterns(needle, subject=CONTROL))
    with tempfile.TemporaryFile() as removed:  # it has no name any more
        removed.write(needle.encode())
        removed.flush()
        for _pid, path in _open_beside([os.getpid()], searched):
            report.control_hits += sum(1 for _ in _found(control, path, report))
    if not report.control_hits:
        report.missed.append("files held open")
    report.bytes = 0
    seen: set[tuple[int, int]] = set()
    for pid, path in _open_beside(pids, searched):
        try:
            status, name = path.stat(), str(path.readlink())
        except OSError:
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            report.open_files += 1
            report.places += [f"{told} in {name}, open in process {pid}" for told in _found(matcher, path, report)]
    _search_swap(matcher, pids, report)
    _look_for_core_dumps(pids, report)
    return report


def _open_beside(pids: Iterable[int], searched: Sequence[Path]) -> Iterator[tuple[int, Path]]:
    """Regular files that are open for writing, or removed, and lie in no folder that is searched anyway."""
    for pid in pids:
        try:
            paths = list(Path(f"/proc/{pid}/fd").iterdir())
        except OSError:
            continue
        for path in paths:
            try:
                status, name = path.stat(), str(path.readlink())
                flags = int(Path(f"/proc/{pid}/fdinfo/{path.name}").read_text().split("flags:")[1].split()[0], 8)
            except (OSError, IndexError):
                continue
            is_removed = status.st_nlink == 0
            is_searched = not is_removed and any(Path(name).is_relative_to(folder) for folder in searched)
            if stat.S_ISREG(status.st_mode) and (is_removed or flags & _WRITES) and not is_searched:
                yield pid, path


def _found(matcher: Matcher, path: Path, report: BesideReport) -> Iterator[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        report.not_searched.append(f"{path}: {error.strerror}")
        return
    try:
        at = 0
        while piece := os.pread(descriptor, _PIECE_BYTES + matcher.longest, at):
            report.bytes += min(len(piece), _PIECE_BYTES)
            yield from (_told(pattern) for _, pattern in matcher.find(piece))
            at += _PIECE_BYTES
    except OSError as error:
        report.not_searched.append(f"{path}: {error.strerror}")
    finally:
        os.close(descriptor)


def _told(pattern: Pattern) -> str:
    return f"{pattern.subject}: {pattern.encoding}"


def _search_swap(matcher: Matcher, pids: Sequence[int], report: BesideReport) -> None:
    devices = swap_devices(Path("/proc/swaps").read_text())
    swapped = sum(map(swapped_bytes, pids))
    if not devices:
        report.swap = "this machine has none switched on: nothing can have been swapped out"
        return
    report.swap = f"{len(devices)} on; {swapped} bytes of these processes are in it now"
    for device, size in devices:
        if size > _SWAP_BYTES_MAX:
            report.not_searched.append(f"swap {device}: {size >> 20} MiB, more than is searched")
        else:
            report.places += [f"{told} in swap {device}" for told in _found(matcher, device, report)][:_TOLD_MAX]


def swap_devices(told: str) -> list[tuple[Path, int]]:
    """Devices and files for swap, with their sizes, from /proc/swaps; compressed memory (zram) is one too."""
    rows = [line.split() for line in told.splitlines()[1:] if line.strip()]
    return [(Path(row[0].replace("\\040", " ")), int(row[2]) << 10) for row in rows]


def swapped_bytes(pid: int) -> int:
    """How much of a process is swapped out now."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmSwap:"))


def _look_for_core_dumps(pids: Sequence[int], report: BesideReport) -> None:
    """No process may be able to leave one: its limit is 0. What it would hold is its memory, which is searched."""
    can = [pid for pid in pids if core_bytes_max(pid) not in ("0", None)]
    report.missed += [f"process {pid} may leave a core dump" for pid in can]
    report.core_dumps = f"{len(pids) - len(can)} of {len(pids)} processes are forbidden to leave one (limit 0)"
    if (pattern := Path("/proc/sys/kernel/core_pattern").read_text().strip()).startswith("|"):
        report.not_searched.append(
            f"core dumps: this kernel pipes them to {pattern[1:].split()[0]}, whatever the limit"
        )


def core_bytes_max(pid: int) -> str | None:
    """How long a core dump of this process may be; None when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[5] for line in lines if line.startswith("Max core file size")), None)
