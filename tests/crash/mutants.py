"""Products that are broken on purpose: what the matrix must catch, or it proves nothing."""

from __future__ import annotations

import inspect
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sealwire.custody.backups import gate
from sealwire.custody.keys import files, leases, ledger, tick
from sealwire.custody.keys.epoch import EpochSlots
from sealwire.custody.keys.files import write_all

Mutant = Callable[[], Any]
_DESTROYED = "        vault.slots.destroy(vault.slot, vault.epoch.key)  # (6)\n"
_RENAMED = "        beside.rename(vault.index_path(epoch.number))  # (5)\n"
_IN_LEDGER = "        vault.ledger.append(epoch=epoch.number, at=rfc3339(clock.now()), acts=signed)  # (9)\n"


def _unflushed(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    write_all(descriptor, data)
    os.close(descriptor)


def _appended_without_flush(self: Any, data: bytes) -> None:
    write_all(self._descriptor, data)
    self._whole += len(data)


def _line_unflushed(self: Any, *, epoch: int, at: str, acts: list[dict[str, Any]]) -> None:
    write_all(self._descriptor, json.dumps({"epoch": epoch, "at": at, "acts": acts}).encode() + b"\n")
    self.epoch = epoch


def _nothing(*_: object, **__: object) -> None:
    """A step that is left out."""


@contextmanager
def _rewritten(*changes: tuple[str, str]) -> Iterator[None]:
    """The tick with lines of it moved."""
    source = inspect.getsource(tick.forget)
    for old, new in changes:
        assert source.count(old) == 1, "the tick was changed: change its mutants too"
        source = source.replace(old, new)
    scope: dict[str, Any] = dict(vars(tick))
    exec("from __future__ import annotations\n" + source, scope)
    with patch("sealwire.custody.keys.keeper.forget", scope["forget"]):
        yield


def _stale_stays(self: EpochSlots, slot: int, key: bytes, *, crash_name: str = "epoch-half-destroyed") -> None:
    if crash_name != "stale-half-destroyed":
        _destroy(self, slot, key, crash_name=crash_name)


_destroy = EpochSlots.destroy

VAULT: dict[str, tuple[str, Mutant]] = {
    "no fsync before the index gets its name": ("one leaf", lambda: patch.object(tick, "write_durably", _unflushed)),
    "no fsync of the folder after it": ("one leaf", lambda: patch.object(tick, "sync_folder", _nothing)),
    "the ledger's line before the destruction": (
        "one leaf", lambda: _rewritten((_DESTROYED, ""), (_IN_LEDGER, _IN_LEDGER + _DESTROYED))),
    "the old key destroyed before the commit": (
        "one leaf", lambda: _rewritten((_DESTROYED, ""), (_RENAMED, _DESTROYED + _RENAMED))),
    "a receipt although the old key is not destroyed": ("one leaf", lambda: _rewritten((_DESTROYED, ""))),
    "the ledger's line is not flushed": (
        "tick after tick", lambda: patch.object(ledger.Ledger, "append", _line_unflushed)),
    "a lease answered before it is on the disk": (
        "tick after tick", lambda: patch.object(leases.LeaseJournal, "_write", _appended_without_flush)),
    "an undestroyed key left alone at the next start": (
        "one leaf", lambda: patch.object(EpochSlots, "destroy", _stale_stays)),
    "the journal written anew in place": (
        "the keeper's sweep", lambda: patch.object(leases, "create_durably", _in_place)),
}  # fmt: skip


def _in_place(path: Path, data: bytes) -> None:
    files.write_durably(path, data)


def _lifted_first() -> None:
    """The gate is lifted before the ledger is replayed."""
    real = gate.Gate.reconcile

    async def reconcile(self: gate.Gate, restored: gate.Pending) -> gate.Reconciled:
        gate.pending_file(self._settings).unlink()
        return await real(self, restored)

    gate.Gate.reconcile = reconcile  # type: ignore[method-assign]


WORKER: dict[str, Callable[[], None]] = {"lifted": _lifted_first}
