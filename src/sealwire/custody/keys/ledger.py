"""The erasure ledger: one line of JSON for each epoch, appended and never changed. Ids and paths only.

A line says what its tick destroyed and carries the receipts, so that what was erased can be told without the database.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from sealwire.custody.keys.files import CRASH_VARIABLE, crash_point, sync_folder, write_all
from sealwire.custody.keys.refusals import VaultBroken

_CHUNK = 1 << 16


class Ledger:
    """Open for appending. `epoch` is that of the last whole line."""

    def __init__(self, path: Path, descriptor: int, epoch: int) -> None:
        self.path = path
        self.epoch = epoch
        self._descriptor = descriptor

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Ledger:
        """Open it; a torn last line is cut off, because nothing was answered on its strength."""
        if not create and not path.exists():
            raise VaultBroken("the erasure ledger is missing from the keeper folder; without it nothing is opened")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        sync_folder(path.parent)
        end = os.lseek(descriptor, 0, os.SEEK_END)
        whole = _last_newline(descriptor, end) + 1
        if whole != end:
            os.ftruncate(descriptor, whole)
            os.fsync(descriptor)
        os.lseek(descriptor, 0, os.SEEK_END)
        return cls(path, descriptor, _epoch_of_last_line(descriptor, whole))

    def append(self, *, epoch: int, at: str, acts: list[dict[str, Any]]) -> None:
        """Write one epoch's line and make it durable."""
        line = json.dumps({"epoch": epoch, "at": at, "acts": acts}, separators=(",", ":")).encode() + b"\n"
        if os.environ.get(CRASH_VARIABLE) == "ledger-half-written":
            write_all(self._descriptor, line[: len(line) // 2])
            crash_point("ledger-half-written")
        write_all(self._descriptor, line)
        os.fsync(self._descriptor)
        self.epoch = epoch

    def close(self) -> None:
        os.close(self._descriptor)


def _last_newline(descriptor: int, end: int) -> int:
    while end > 0:
        start = max(0, end - _CHUNK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found
        end = start
    return -1


def _epoch_of_last_line(descriptor: int, whole: int) -> int:
    if whole == 0:
        return 0
    start = _last_newline(descriptor, whole - 1) + 1
    try:
        return int(json.loads(os.pread(descriptor, whole - start, start))["epoch"])
    except (ValueError, KeyError, TypeError):
        raise VaultBroken("the last line of the erasure ledger cannot be read; nothing was overwritten") from None
