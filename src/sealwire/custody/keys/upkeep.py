"""What the keeper does by its own calendar, and what puts that off: periods, holds and their ends, and the sweep."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence

from sealwire.custody.keys.account import AccountKeys, check_periods
from sealwire.custody.keys.calendar import Calendar
from sealwire.custody.keys.leases import LeaseJournal
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.receipts import EraseReceipt
from sealwire.custody.keys.refusals import NotDue
from sealwire.custody.keys.requests import Placing, Releasing, Request, Setting, Sweep
from sealwire.custody.keys.vault import Vault
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId

SWEEP_ACCOUNTS_MAX = 64


class Upkeep(ABC):
    """The part of the keeper that days matter to. A tick runs whatever it asks for."""

    vault: Vault
    journal: LeaseJournal
    calendar: Calendar

    @abstractmethod
    def load(self, account: AccountId) -> AccountKeys:
        """The account's keys."""

    @abstractmethod
    async def _ask(self, request: Request) -> list[EraseReceipt]:
        """Return when the tick that did this is durable."""

    async def set_periods(self, account: AccountId, periods: dict[str, int]) -> None:
        """Replace or add retention periods; no key is destroyed by this, nor brought back.

        (1) the journal has no day due later than it will be; (2) the tick; (3) nor any due earlier than it is.
        """
        setting = Setting(account, check_periods(periods))
        keys, after = self.load(account), setting.apply(self.load(account))
        await self.journal.redate(account, lambda day: min(keys.due_day(day), after.due_day(day)))  # (1)
        await self._ask(setting)  # (2)
        await self.journal.redate(account, self.load(account).due_day)  # (3)

    async def hold(
        self,
        account: AccountId,
        *,
        hold: str,
        leaves: Sequence[LeafPath],
        days: Sequence[DayPath],
        until: int,
        restricts: bool,
    ) -> list[LeafPath | DayPath]:
        """Hold places until the end of a day, whatever else destroys; which of them were destroyed already.

        The same hold again may name more places and a later day, never an earlier one.
        """
        today = self.calendar.today() if self.calendar.trusted else 0  # to hold destroys nothing
        placing = Placing.checked(account, hold, leaves, days, until=until, restricts=restricts, today=today)
        self.load(account)
        await self._ask(placing)
        places: list[LeafPath | DayPath] = [*leaves, *days]
        held = self.load(account).holds.get(hold)
        return [place for place in places if held is None or not held.covers(place.node.number)]

    async def release(self, account: AccountId, *, hold: str, ended_only: bool = False) -> None:
        """End a hold; what was to be destroyed meanwhile, and nothing else holds, is destroyed now. Harmless again.

        With `ended_only`, NotDue unless its last day is past by the keeper's own calendar.
        """
        keys = self.load(account)
        if hold in keys.holds:
            if ended_only and keys.holds[hold].until >= self.calendar.today():
                raise NotDue
            await self._ask(Releasing(account, [hold], keys.owed))

    async def sweep(self) -> int:
        """Destroy all days past due of which blocks were given out, and end holds; how many days it were."""
        today = self.calendar.today()
        await asyncio.to_thread(self.calendar.note_seen)
        await self._end_holds(today)
        past = list(self.journal.past_due(today).items())
        swept: dict[AccountId, list[DayPath]] = {}
        for start in range(0, len(past), SWEEP_ACCOUNTS_MAX):
            group = past[start : start + SWEEP_ACCOUNTS_MAX]
            sweeps = [self._sweep_account(account, days, today) for account, days in group]
            outcomes = await asyncio.gather(*sweeps, return_exceptions=True)
            for (account, _), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, BaseException):
                    diagnostics.failure("keeper.sweep-failed", outcome, account=account)
                elif outcome:
                    swept[account] = outcome
        if swept:
            await self.journal.forget_days(swept)
        return sum(map(len, swept.values()))

    async def _sweep_account(self, account: AccountId, days: list[DayPath], today: int) -> list[DayPath]:
        """The days that were destroyed: due by the journal and by the periods as they are, and not held whole."""
        keys = self.load(account)
        due = [day for day in days if keys.due_day(day) < today and not keys.covers(day)]
        if due:
            await self._ask(Sweep(account, due, today))
        return due

    async def _end_holds(self, today: int) -> None:
        for account in self.vault.accounts_with_holds_before(today):
            try:
                keys = self.load(account)
                ended = [name for name, hold in keys.holds.items() if hold.until < today]
                await self._ask(Releasing(account, ended, keys.owed, today))
            except SealwireError as error:
                diagnostics.failure("keeper.hold-not-ended", error, account=account)
