"""A new root key for the vault and every copy of it, by a tick that changes nothing else."""

from __future__ import annotations

import asyncio

from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.refusals import EpochNotDestroyed, KeeperStopping
from sealwire.custody.keys.rootkey import OpenBao
from sealwire.custody.keys.tick import TickFailed


async def rotate_root(keeper: Keeper, bao: OpenBao | None = None) -> int:
    """Seal the vault under a new root key from now on, wrapped by this OpenBao if given; the epoch it began in."""
    if keeper.is_stopping:
        raise KeeperStopping
    async with keeper.companions.turn:
        try:
            await asyncio.to_thread(_rotate, keeper, bao)
        except EpochNotDestroyed as error:
            keeper.stop_broken([], error)
            raise
        return keeper.vault.epoch.number


def _rotate(keeper: Keeper, bao: OpenBao | None) -> None:
    roots = keeper.vault.roots
    new_root = roots.prepare(bao=bao)
    try:
        keeper.forget([], [{"act": "root.rotated"}], new_root)
    except TickFailed:
        roots.give_up()
        raise
    roots.promote()
