"""The disks that a crash may leave behind, made from a trace of what was asked of it.

A process that is killed leaves everything it asked for, the last write perhaps in part. A power cut leaves what was
flushed before, and of the rest any part in any order: a file's bytes are sure after its own fsync, a name after that
of its folder (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014; Mohan et al., "Finding
Crash-Consistency Bugs with Bounded Black-Box Crash Testing", OSDI 2018). Of all parts these are made:

* `killed`: all that was asked for; `torn`: the next write reached the disk by its first bytes only;
* `lost`: only what was flushed; `early`: that, and one later effect that overtook the others;
* `late`: everything but one effect that was not flushed yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.crash.trace import Effect, Start, Trace

SECTOR = 512
HEADER = 16
"""Bytes of an epoch slot before the key begins: torn here, the slot no longer reads, and the key still stands."""


@dataclass(frozen=True, slots=True)
class Image:
    """One disk a crash may leave, and what had been answered by then."""

    effect: int
    kind: str
    files: dict[str, bytes]
    folders: frozenset[str]
    said: tuple[Any, ...]

    @property
    def digest(self) -> bytes:
        """The same for the same disk after the same answers: a point that shows nothing new is not counted."""
        told = sha256(repr((sorted(self.folders), len(self.said))).encode())
        for name, data in sorted(self.files.items()):
            told.update(repr((name, len(data))).encode() + data)
        return told.digest()

    def lay_out(self, folder: Path) -> Path:
        """This disk as a folder that does not exist yet."""
        folder.mkdir(mode=0o700)
        for name in sorted(self.folders):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in self.files.items():
            (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
            (folder / name).chmod(0o600)
        return folder


def crash_images(trace: Trace) -> Iterator[Image]:
    """Every different disk, for a crash before each effect and after the last one."""
    seen: set[bytes] = set()
    for image in _all_images(trace):
        if (digest := image.digest) not in seen:
            seen.add(digest)
            yield image


def is_complete(trace: Trace) -> bool:
    """Whether the trace tells everything: replaying it gives what is on the disk now."""
    return _replayed(trace.start, trace.effects).files == Start.of(trace.root).files


def _all_images(trace: Trace) -> Iterator[Image]:
    effects = trace.effects
    for point in range(len(effects) + 1):
        asked = [(number, effect) for number, effect in enumerate(effects[:point]) if effect.kind != "said"]
        said = tuple(effect.said for effect in effects[:point] if effect.kind == "said")

        def image(kind: str, some: Iterable[Effect], *, at: int = point, told: tuple[Any, ...] = said) -> Image:
            disk = _replayed(trace.start, some)
            return Image(at, kind, disk.files, frozenset(disk.folders), told)

        everything = [effect for _, effect in asked]
        yield image("killed", everything)
        if point < len(effects) and effects[point].kind == "write":
            for length in _torn_lengths(effects[point].data):
                yield image("torn", [*everything, replace(effects[point], data=effects[point].data[:length])])
        loose = [number for number, _ in asked if not _is_flushed(effects, number, point)]
        sure = [(number, effect) for number, effect in asked if number not in loose]
        yield image("lost", [effect for _, effect in sure])
        for one in loose:
            yield image("early", [effect for number, effect in asked if number == one or number not in loose])
            yield image("late", [effect for number, effect in asked if number != one])


def _torn_lengths(data: bytes) -> list[int]:
    return sorted({length for length in (HEADER, SECTOR, len(data) // 2) if 0 < length < len(data)})


def _is_flushed(effects: list[Effect], number: int, point: int) -> bool:
    """Whether the disk must have this effect: the file's own fsync came after it, or that of the name's folder."""
    effect, later = effects[number], effects[number + 1 : point]
    if effect.kind in ("flush", "flush-folder"):
        return True
    if effect.kind in ("write", "truncate"):
        return any(one.kind == "flush" and one.file == effect.file for one in later)
    folder = _folder_of(effect.to or effect.path)
    return any(one.kind == "flush-folder" and one.path == folder for one in later)


def _folder_of(name: str) -> str:
    return name.rpartition("/")[0]


def _replayed(start: Start, effects: Iterable[Effect]) -> Start:
    disk = Start(dict(start.names), dict(start.data), set(start.folders))
    for effect in effects:
        _apply(disk, effect)
    return disk


def _apply(disk: Start, effect: Effect) -> None:
    match effect.kind:
        case "create":
            disk.names[effect.path] = effect.file
            disk.data.setdefault(effect.file, b"")
        case "write":
            before = disk.data.get(effect.file, b"").ljust(effect.at, b"\0")
            disk.data[effect.file] = before[: effect.at] + effect.data + before[effect.at + len(effect.data) :]
        case "truncate":
            disk.data[effect.file] = disk.data.get(effect.file, b"")[: effect.at].ljust(effect.at, b"\0")
        case "rename":
            _rename(disk, effect.path, effect.to)
        case "unlink":
            disk.names.pop(effect.path, None)
        case "make-folder":
            disk.folders.add(effect.path)
        case "remove-folder":
            disk.folders.discard(effect.path)


def _rename(disk: Start, source: str, to: str) -> None:
    """A file takes another's place; a folder takes all below it along. What is not there (its own name was lost) stays
    away."""
    for name in [name for name in disk.names if name == source or name.startswith(f"{source}/")]:
        disk.names[to + name[len(source) :]] = disk.names.pop(name)
    for name in [name for name in disk.folders if name == source or name.startswith(f"{source}/")]:
        disk.folders.discard(name)
        disk.folders.add(to + name[len(source) :])
