"""A keeper that forgets badly in one way, for a sweep's own scratch installation: so that it is seen to be caught.

`python -m sealwire.doors.sweep.bad_keeper FAULT --data DIR`. It refuses any data folder without the sweep's mark, and
no process of a cloud can be made one: the fault is in this program, not in an option of the keeper.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealwire.config import load_settings
from sealwire.custody.keys import keeper, tick
from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.book import LeaseBook
from sealwire.custody.keys.epoch import Epoch, EpochSlots
from sealwire.doors import keeper as door
from sealwire.doors.sweep.scratch import require_scratch
from sealwire.ground import diagnostics

_prepare, _destroy, _forget = EpochSlots.prepare, EpochSlots.destroy, tick.forget


def keep_the_old_epoch() -> None:
    """The slot of the old epoch is not overwritten."""
    EpochSlots.destroy = lambda *_, **__: None  # type: ignore[method-assign]


def copy_the_slots() -> None:
    """A copy of the slot file, as a careless holder or a file system with snapshots keeps one."""

    def destroy(self: EpochSlots, slot: int, key: bytes, **named: Any) -> None:
        self.path.with_suffix(".before").write_bytes(self.path.read_bytes())
        _destroy(self, slot, key, **named)

    EpochSlots.destroy = destroy  # type: ignore[method-assign]


def repeat_the_epoch() -> None:
    """The new epoch has the key of the old one."""

    def forget(vault: Any, *arguments: Any, **named: Any) -> Any:
        vars(tick)["Epoch"] = lambda number, _key: Epoch(number, vault.epoch.key)
        return _forget(vault, *arguments, **named)

    vars(keeper)["forget"] = forget
    EpochSlots.destroy = lambda self, slot, _key, **named: _destroy(self, slot, b"", **named)  # type: ignore[method-assign]


def log_the_epoch() -> None:
    """Each epoch's key is written to the keeper's log."""
    read = EpochSlots.read

    def reads(self: EpochSlots) -> dict[int, Epoch]:
        found = read(self)
        for epoch in found.values():
            diagnostics.event("keeper.epoch", number=epoch.number, key=epoch.key.hex())
        return found

    EpochSlots.read = reads  # type: ignore[method-assign]


def puncture_nothing() -> None:
    """The epoch turns, the receipt is signed, and the tree is as it was."""
    AccountKeys.erased = lambda self, **_: self  # type: ignore[method-assign]


def recall_nothing() -> None:
    """Whoever leased a block keeps its keys."""

    async def recall(*_: Any) -> None:
        return

    LeaseBook.recall = recall  # type: ignore[assignment, method-assign]


def nothing() -> None:
    """No fault: it must not be caught."""


FAULTS: dict[str, Callable[[], None]] = {
    fault.__name__: fault
    for fault in (
        nothing, keep_the_old_epoch, copy_the_slots, repeat_the_epoch, log_the_epoch, puncture_nothing, recall_nothing,
    )
}  # fmt: skip


def main() -> None:
    """Refuse, or become a keeper with this fault."""
    fault = FAULTS[sys.argv.pop(1)]
    require_scratch(load_settings(Path(sys.argv[sys.argv.index("--data") + 1])))
    os.environ.pop("SEALWIRE_CRASH_AT", None)
    fault()
    door.main()


if __name__ == "__main__":
    main()
