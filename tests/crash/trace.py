"""Every durable effect of a ritual, in order: what the process asked of the file system below one folder.

The calls of `os` are recorded as they are made, by whichever thread. What is written past them would be missed, so a
trace counts only when replaying all of it gives the folder that is really there (`images.is_complete`).
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WRITES = ("write", "pwrite")
_FLUSHES = ("fsync", "fdatasync")
_WRAPPED = (
    "open",
    "close",
    *_WRITES,
    *_FLUSHES,
    "ftruncate",
    "rename",
    "replace",
    "unlink",
    "remove",
    "mkdir",
    "rmdir",
)


@dataclass(frozen=True, slots=True)
class Effect:
    """One call. `file` is an inode's number in this trace; `said` is an answer that was given to somebody."""

    kind: str
    path: str = ""
    to: str = ""
    file: int = -1
    at: int = 0
    data: bytes = b""
    said: Any = None


@dataclass(slots=True)
class Start:
    """What was on the disk before: names to inodes, and their bytes."""

    names: dict[str, int] = field(default_factory=dict)
    data: dict[int, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, root: Path) -> Start:
        start = cls()
        for path in sorted(root.rglob("*")):
            name, mode = str(path.relative_to(root)), path.lstat().st_mode
            if stat.S_ISDIR(mode):
                start.folders.add(name)
            elif stat.S_ISREG(mode):
                start.names[name] = number = len(start.names)
                start.data[number] = path.read_bytes()
        return start

    @property
    def files(self) -> dict[str, bytes]:
        return {name: self.data[number] for name, number in self.names.items()}


class Trace:
    """The effects below one folder since a beginning. `said` marks answers between them."""

    def __init__(self, root: Path) -> None:
        self.root, self.start = root, Start.of(root)
        self.effects: list[Effect] = []
        self._names, self._files = dict(self.start.names), len(self.start.names)
        self._descriptors: dict[int, int | str] = {}
        self._lock = threading.RLock()

    def said(self, what: Any) -> None:
        """Somebody was answered this: from here on it must hold."""
        self._add(Effect("said", said=what))

    @contextmanager
    def recording(self) -> Iterator[Trace]:
        """Record until the end of the block, whatever happens in it."""
        real = {name: getattr(os, name) for name in _WRAPPED}
        for name, function in real.items():
            setattr(os, name, self._wrapped(name, function))
        try:
            yield self
        finally:
            for name, function in real.items():
                setattr(os, name, function)

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        kind = "write" if name in _WRITES else "flush" if name in _FLUSHES else name
        kind = {"replace": "rename", "remove": "unlink"}.get(kind, kind)
        note = getattr(self, f"_{kind}")

        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                before = self._before(name, arguments)
                answer = real(*arguments, **named)
                note(answer, before, *arguments, **named)
                return answer

        return call

    def _add(self, effect: Effect) -> None:
        with self._lock:
            self.effects.append(effect)

    def _before(self, name: str, arguments: tuple[Any, ...]) -> int:
        """Where the next byte goes of a file that is written from its own position."""
        if name != "write" or not isinstance(self._descriptors.get(arguments[0]), int):
            return 0
        position = os.lseek(arguments[0], 0, os.SEEK_CUR)
        return position if not _appends(arguments[0]) else os.fstat(arguments[0]).st_size

    def _place(self, path: Any, dir_fd: int | None = None) -> str | None:
        if isinstance(path, int):
            return None
        name = os.fspath(path)
        name = os.fsdecode(name)
        if dir_fd is not None:
            name = f"{os.readlink(f'/proc/self/fd/{dir_fd}')}/{name}"  # noqa: PTH115 - a descriptor's own name
        whole = os.path.abspath(name)  # noqa: PTH100 - a name, whatever it leads to
        if whole == str(self.root):
            return ""
        return os.path.relpath(whole, self.root) if whole.startswith(f"{self.root}/") else None

    def _open(self, descriptor: int, _: int, path: Any, flags: int, *_mode: Any, dir_fd: int | None = None,
              **_named: Any) -> None:  # fmt: skip
        self._descriptors.pop(descriptor, None)
        if (name := self._place(path, dir_fd)) is None:
            return
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self._descriptors[descriptor] = name
            return
        number = self._names.get(name)
        if number is None:
            number = self._names[name] = self._files
            self._files += 1
            self._add(Effect("create", name, file=number))
        elif flags & os.O_TRUNC:
            self._add(Effect("truncate", file=number))
        self._descriptors[descriptor] = number

    def _close(self, _: None, __: int, descriptor: int) -> None:
        self._descriptors.pop(descriptor, None)

    def _write(self, count: int, before: int, descriptor: int, data: Any, at: int | None = None) -> None:
        number = self._descriptors.get(descriptor)
        if isinstance(number, int):
            where = before if at is None else at
            self._add(Effect("write", file=number, at=where, data=bytes(memoryview(data)[:count])))

    def _flush(self, _: None, __: int, descriptor: int) -> None:
        held = self._descriptors.get(descriptor)
        if isinstance(held, int):
            self._add(Effect("flush", file=held))
        elif held is not None:
            self._add(Effect("flush-folder", held))

    def _ftruncate(self, _: None, __: int, descriptor: int, length: int) -> None:
        number = self._descriptors.get(descriptor)
        if isinstance(number, int):
            self._add(Effect("truncate", file=number, at=length))

    def _rename(self, _: None, __: int, source: Any, to: Any, **_named: Any) -> None:
        old, new = self._place(source), self._place(to)
        if old is None and new is None:
            return
        assert None not in (old, new), "moved over the border of what is watched"
        moved = {name: number for name, number in self._names.items() if name == old or name.startswith(f"{old}/")}
        for name, number in moved.items():
            del self._names[name]
            self._names[new + name[len(old) :]] = number
        self._add(Effect("rename", old, new))

    def _unlink(self, _: None, __: int, path: Any, *, dir_fd: int | None = None) -> None:
        if (name := self._place(path, dir_fd)) is not None:
            self._names.pop(name, None)
            self._add(Effect("unlink", name))

    def _mkdir(self, _: None, __: int, path: Any, *_mode: Any, dir_fd: int | None = None, **_named: Any) -> None:
        if (name := self._place(path, dir_fd)) is not None:
            self._add(Effect("make-folder", name))

    def _rmdir(self, _: None, __: int, path: Any, *, dir_fd: int | None = None) -> None:
        if (name := self._place(path, dir_fd)) is not None:
            self._add(Effect("remove-folder", name))


def _appends(descriptor: int) -> bool:
    import fcntl  # noqa: PLC0415

    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_APPEND)
