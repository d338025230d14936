"""The last signed head of each log, kept where no restore of the database can turn it back.

`heads.lock` is a file of lines: a short hash, then `account:size:root` for each head of one commit. Lines are only
added and are on disk before anything is signed. A last line without its newline is a commit that was never signed and
is dropped; damage anywhere else stops the start. After a write that failed the file is cut back to its last good line,
and is written anew before anything is added to it. The database may be ahead of this file (a crash between its commit
and ours), never behind it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sealwire.errors import Broken, Refused
from sealwire.evidence.crash import crash_point
from sealwire.vocabulary import AccountId

COMPACT_BYTES_MIN = 1 << 20
HEAD_BYTES = 110


class LogRolledBack(Broken):
    """The database is older than the last signed heads: it was put back or replaced. Nothing is signed on top of
    it: bring the newer one, or, when this was wanted, say so with bin/sealwire restore --reconcile."""


class LogForked(Broken):
    """The database holds another history than the one that was signed; nothing is signed on top of it."""


class HeadsDamaged(Broken):
    """The file of signed heads is damaged; compare with the customers' checkpoints before going on."""


class SecondSequencer(Refused):
    """Another sequencer already writes these logs; stop it first."""


@dataclass(frozen=True, slots=True)
class Head:
    """How long a log is, and the root over it."""

    size: int
    root: bytes


class Heads:
    """The file, read at start and extended at each commit. Only one process may hold it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "heads.lock"
        self._guard = folder / "heads.guard"
        self._heads: dict[AccountId, Head] = {}
        self._descriptor = -1
        self._guard_descriptor = -1
        self._bytes = 0
        self._write_failed = False

    @classmethod
    def open(cls, folder: Path) -> Heads:
        """Take the file; refuses when another process has it or when it is damaged."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        heads = cls(folder)
        heads._guard_descriptor = os.open(heads._guard, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(heads._guard_descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(heads._guard_descriptor)
            raise SecondSequencer from None
        heads._heads = _read(heads.file)
        heads._rewrite()
        return heads

    def __getitem__(self, account: AccountId) -> Head | None:
        return self._heads.get(account)

    def accounts(self) -> set[AccountId]:
        return set(self._heads)

    async def advance(self, moves: Mapping[AccountId, tuple[Head | None, Head]]) -> None:
        """Move heads from what they must be to what they become; durable when this returns. LogForked otherwise."""
        for account, (before, after) in moves.items():
            if self._heads.get(account) != before or (before is not None and after.size < before.size):
                raise LogForked
            if before is not None and after.size == before.size and after.root != before.root:
                raise LogForked
        changed = {account: after for account, (_, after) in moves.items()}
        if changed:
            await asyncio.to_thread(self._append, _line(changed.items()))
            self._heads.update(changed)

    def close(self) -> None:
        for descriptor in (self._descriptor, self._guard_descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._descriptor = self._guard_descriptor = -1

    def _append(self, line: bytes) -> None:
        is_long = self._bytes > COMPACT_BYTES_MIN and self._bytes > 8 * HEAD_BYTES * len(self._heads)
        if is_long or self._write_failed:  # after a failed flush nobody knows what the disk holds: a new file
            self._rewrite()
        crash_point("lock-half-written", lambda: os.write(self._descriptor, line[: len(line) // 2]))
        try:
            _write_all(self._descriptor, line)
            os.fdatasync(self._descriptor)
        except OSError:
            self._write_failed = True
            os.ftruncate(self._descriptor, self._bytes)
            raise
        self._bytes += len(line)

    def _rewrite(self) -> None:
        """One line with every head, put in place whole."""
        line = _line(self._heads.items())
        unfinished = self.file.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, line)
            os.fsync(descriptor)
            unfinished.rename(self.file)
        except OSError:
            os.close(descriptor)
            raise
        folder = os.open(self.file.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._bytes, self._write_failed = descriptor, len(line), False


def _line(heads: Iterable[tuple[AccountId, Head]]) -> bytes:
    body = " ".join(f"{account.value.hex}:{head.size}:{head.root.hex()}" for account, head in heads)
    return f"{_check(body)} {body}\n".encode()


def _check(body: str) -> str:
    return sha256(body.encode()).hexdigest()[:16]


def _read(file: Path) -> dict[AccountId, Head]:
    if not file.exists():
        return {}
    heads: dict[AccountId, Head] = {}
    *lines, _ = file.read_bytes().split(b"\n")  # what has no newline behind it is unfinished
    for line in lines:
        if (entries := _parse(line)) is None:
            raise HeadsDamaged
        for account, head in entries.items():
            if (before := heads.get(account)) is not None and before.size > head.size:
                raise HeadsDamaged
            heads[account] = head
    return heads


def _parse(line: bytes) -> dict[AccountId, Head] | None:
    check, _, body = line.decode("ascii", errors="replace").partition(" ")
    if check != _check(body):
        return None
    entries = {}
    for entry in body.split():
        account, size, root = entry.split(":")
        entries[AccountId.parse(f"acc_{account}")] = Head(int(size), bytes.fromhex(root))
    return entries


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
