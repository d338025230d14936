"""Bills of legs whose process died before they were kept: made from what was reserved and what is known of the leg.

A leg that was settled is charged what it was settled at. One whose call record is there is charged from its answer to
its end. Of one that was up when its process died nobody knows when it was answered: it is charged for the time it was
seen up, and never for more than was reserved for it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import msgspec

from sealwire.communications.accounting.billing import NOBODY, keep_charges
from sealwire.communications.accounting.port import Charge
from sealwire.communications.accounting.spending import AccountAdmission, AccountSpending
from sealwire.communications.accounting.terms import Terms
from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.lifecycle import Custody, RecordErased, RecordMissing, service_principal
from sealwire.governance import spending as rules
from sealwire.governance.spending import Unbilled
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, CallId, HangupCause, Party, Purpose, RecordId

PATIENCE = dt.timedelta(minutes=3)
"""For so long whoever settled a leg tries to keep its bill itself."""
_CALLS = category_of(CallRecord)


@dataclass(frozen=True, slots=True)
class LegSeen:
    """What is known of a leg: whom it went to, for how long it was up at most, and when it ended."""

    callee: Party
    seconds: float
    ended_at: dt.datetime


class Biller:
    """Keeps bills that somebody else could not."""

    def __init__(self, custody: Custody, spending: AccountSpending) -> None:
        self._custody, self._spending = custody, spending

    async def bill_cut_off(self, account: AccountId, call: CallId, seen: LegSeen) -> list[Charge]:
        """A leg that was up when its process died; what it is charged. Asked again, nothing is charged twice."""
        async with self._custody.database.account(account) as connection:
            left = await rules.unbilled_of_call(connection, account, call)
        charges: list[Charge] = []
        for each in left:
            charges += await self._bill(account, each, seen)
        return charges

    async def bill_rest(self, account: AccountId) -> int:
        """After those: whatever else is left of this account's legs; how many. Only while none of them can be up."""
        return await self._bill_all(account, self._spending.clock.now() + PATIENCE, with_unsettled=True)

    async def bill_settled(self, account: AccountId) -> int:
        """Legs that were settled and whose bill could not be kept (the keeper was away for long); how many."""
        return await self._bill_all(account, self._spending.clock.now() - PATIENCE, with_unsettled=False)

    async def _bill_all(self, account: AccountId, settled_before: dt.datetime, *, with_unsettled: bool) -> int:
        async with self._custody.database.account(account) as connection:
            left = await rules.unbilled_calls(
                connection, account, settled_before=settled_before, with_unsettled=with_unsettled
            )
        for each in left:
            await self._bill(account, each, None)
        if left:
            diagnostics.event("spending.billed-late", account=account, legs=len(left))
        return len(left)

    async def _bill(self, account: AccountId, left: Unbilled, seen: LegSeen | None) -> list[Charge]:
        seen = await self._recorded(account, left.call) or seen or LegSeen(NOBODY, 0.0, left.made_at)
        terms = msgspec.json.decode(left.terms, type=Terms)
        seconds = left.used_s if left.is_settled else terms.within(seen.seconds, left.amount)
        admission = AccountAdmission(self._spending, account, left.reservation, terms)
        charges = await admission.settle(answered_seconds=seconds, is_short=False)
        await keep_charges(
            self._custody, account, charges, call=left.call, message=None, destination=seen.callee,
            ended_at=left.settled_at or seen.ended_at,
        )  # fmt: skip
        return charges

    async def _recorded(self, account: AccountId, call: CallId | None) -> LegSeen | None:
        """From its call record, when there is one that knows whether it was answered."""
        if call is None:
            return None
        try:
            stored = await self._custody.find(account, [RecordId(call.value)], category=_CALLS)
        except (RecordMissing, RecordErased):
            return None
        (plain,) = (row.plain for row in stored)
        answered_at, ended_at = plain["answered_at"], plain["ended_at"]
        if answered_at is None and plain["hangup_cause"] == HangupCause.SERVICE_RESTARTED:
            return None
        by = service_principal(account)
        opened = await self._custody.open_stored(by, stored, purpose=Purpose.SERVICE_OPERATION)
        callee = opened[0].content.reveal()["callee"] if opened else NOBODY
        return LegSeen(callee, (ended_at - answered_at).total_seconds() if answered_at else 0.0, ended_at)
