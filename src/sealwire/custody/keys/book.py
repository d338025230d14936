"""Who holds which leased block now, and the recall of blocks before what they hold is destroyed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from sealwire.custody.keys.leases import LeaseId
from sealwire.custody.keys.requests import Reach
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId

RECALL_SECONDS_MAX = 1.0


class Holder(Protocol):
    """A process that was given blocks."""

    async def recall(self, lease: LeaseId, *, is_whole: bool, slots: Sequence[int]) -> bool:
        """Return when the process has said that it dropped this block; True when other slots of it stay in use.

        Dropped with it are the slots in use: all of them when `is_whole`, else those at these places in the block.
        """

    async def cut_off(self) -> None:
        """End the connection, and return when the process has let go of all it held; else HolderDoesNotLetGo."""


class LeaseBook:
    """Leases by account and holder."""

    def __init__(self) -> None:
        self._held: dict[AccountId, dict[LeaseId, Holder]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._held.values()))

    def add(self, lease: LeaseId, holder: Holder) -> None:
        self._held.setdefault(lease.account, {})[lease] = holder

    def drop(self, lease: LeaseId, holder: Holder) -> None:
        """Strike out one lease, if this holder has it."""
        held = self._held.get(lease.account, {})
        if held.get(lease) is holder:
            del held[lease]
            if not held:
                del self._held[lease.account]

    def drop_holder(self, holder: Holder) -> None:
        """Strike out all that a holder had; it is gone."""
        for leases in list(self._held.values()):
            for lease in [lease for lease, who in leases.items() if who is holder]:
                self.drop(lease, holder)

    async def recall(self, account: AccountId, reach: Reach) -> None:
        """Return when nobody holds a key that a request destroys: dropped and said so, or cut off and gone.

        HolderDoesNotLetGo when that cannot be known; its leases stay in the book, so that it is found again.
        """
        touched: dict[Holder, list[LeaseId]] = {}
        for lease, holder in self._held.get(account, {}).items():
            if reach.touches_block(lease.day, lease.block):
                touched.setdefault(holder, []).append(lease)
        calls = (self._recall_from(holder, leases, reach) for holder, leases in touched.items())
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if outcome is not None:
                raise outcome

    async def _recall_from(self, holder: Holder, leases: list[LeaseId], reach: Reach) -> None:
        try:
            async with asyncio.timeout(RECALL_SECONDS_MAX):
                await asyncio.gather(*(self._recall_one(holder, lease, reach) for lease in leases))
        except Exception as error:
            diagnostics.failure("lease.recall-unanswered", error, leases=len(leases))
            await holder.cut_off()
            self.drop_holder(holder)

    async def _recall_one(self, holder: Holder, lease: LeaseId, reach: Reach) -> None:
        is_whole = reach.destroys_block(lease.day, lease.block)
        slots = [] if is_whole else reach.slots_in(lease.day, lease.block)
        stays_in_use = await holder.recall(lease, is_whole=is_whole, slots=slots)
        if is_whole or not stays_in_use:
            self.drop(lease, holder)
