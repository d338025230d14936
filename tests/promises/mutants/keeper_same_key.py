"""A keeper whose new epoch has the old epoch's key: the vault is written anew and nothing is forgotten."""

from __future__ import annotations

from typing import Any

from sealwire.custody.keys import keeper, tick
from sealwire.custody.keys.epoch import Epoch, EpochSlots
from sealwire.doors.keeper import main

_forget, _destroy = tick.forget, EpochSlots.destroy


def forget_nothing(vault: Any, *arguments: Any, **named: Any) -> Any:
    vars(tick)["Epoch"] = lambda number, _key: Epoch(number, vault.epoch.key)
    return _forget(vault, *arguments, **named)


keeper.forget = forget_nothing  # type: ignore[attr-defined]
EpochSlots.destroy = lambda self, slot, _key, **named: _destroy(self, slot, b"", **named)  # type: ignore[method-assign]

if __name__ == "__main__":
    main()
