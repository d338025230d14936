"""What was used is billed once, wherever the process that used it dies; and who waits for the end of a call is told."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from sealwire.communications.accounting.billing import Period, keep_charges, sums
from sealwire.communications.accounting.recovery import PATIENCE, Biller
from sealwire.communications.accounting.spending import AccountAdmission, AccountSpending
from sealwire.communications.records import close_orphans
from sealwire.communications.webhooks.events import Event
from sealwire.custody.categories import ApplicationRecord, BillingRecord, CallRecord, LiveCall, category_of
from sealwire.doors.bench.scratch import Scratch
from sealwire.governance import spending as rules
from sealwire.governance.billing.tariff import load_tariff
from sealwire.governance.destinations import Destination
from sealwire.ground.clock import TestClock
from sealwire.vocabulary import AccountId, ApplicationId, CallId, HangupCause, MessageId, Party, RecordId

from .acts import SERVICE

pytestmark = pytest.mark.asyncio(loop_scope="module")
CALLEE = Party("+441632960123")
MINUTE = 1000 + 100
BILLING, RUNS = category_of(BillingRecord), category_of(ApplicationRecord)


@dataclass
class Till:
    """The scratch account's money."""

    scratch: Scratch
    spending: AccountSpending
    told: list[tuple[Event, dict[str, object]]] = field(default_factory=list)

    @property
    def biller(self) -> Biller:
        return Biller(self.scratch.custody, self.spending)

    async def announce(self, account: AccountId, event: Event, **references: str | int | bool) -> None:
        self.told.append((event, references))

    async def call(self, call: CallId) -> AccountAdmission:
        return await self.spending.admit_call(self.scratch.account, direction="outbound", callee=CALLEE, call=call)

    async def billed(self) -> int:
        now = self.scratch.custody.clock.now()
        async with self.scratch.custody.database.account(self.scratch.account) as connection:
            period = Period(now - dt.timedelta(days=1), now + dt.timedelta(days=1))
            return sum(row["amount_millicents"] for row in await sums(connection, self.scratch.account, period))

    async def destinations(self) -> list[str]:
        rows = await self.scratch.custody.page(self.scratch.account, BILLING, before=None, limit=2)
        opened = await self.scratch.custody.open_stored(self.scratch.principal, rows, purpose=SERVICE)
        return [record.content.reveal()["destination"].text for record in opened]

    async def now(self) -> rules.SpendingNow:
        async with self.scratch.custody.database.account(self.scratch.account) as connection:
            return await rules.spending_now(connection, self.scratch.account, self.spending.clock)


@pytest_asyncio.fixture(loop_scope="module")
async def till(scratch: Scratch) -> Till:
    custody = scratch.custody
    async with custody.database.account(scratch.account) as connection:
        await rules.allow_destinations(connection, scratch.account, [Destination("+44")], custody.clock)
    return Till(scratch, AccountSpending(custody.database, custody.clock, load_tariff()))


def live(
    till: Till, call: CallId, seconds: float, *, run: ApplicationId | None = None, leg: int | None = 0
) -> LiveCall:
    now = till.scratch.custody.clock.now()
    return LiveCall(
        call_id=call, started_at=now - dt.timedelta(seconds=seconds), seen_at=now, caller=Party("+441632960100"),
        callee=CALLEE, direction="outbound", application_id=run, leg=leg,
    )  # fmt: skip


async def test_a_leg_that_was_settled_and_not_billed_is_billed_after_the_restart(till: Till) -> None:
    call, before = CallId.new(), await till.billed()
    charges = await (await till.call(call)).settle(answered_seconds=60)  # and here the process dies
    assert sum(charge.amount_millicents for charge in charges) == MINUTE
    assert await till.biller.bill_rest(till.scratch.account) == 1
    assert await till.billed() == before + MINUTE
    assert await till.biller.bill_rest(till.scratch.account) == 0
    assert await till.billed() == before + MINUTE


async def test_what_was_billed_in_time_is_not_billed_again(till: Till) -> None:
    call, before, custody = CallId.new(), await till.billed(), till.scratch.custody
    charges = await (await till.call(call)).settle(answered_seconds=60)
    told = {"call": call, "message": None, "destination": CALLEE, "ended_at": custody.clock.now()}
    await keep_charges(custody, till.scratch.account, charges, **told)
    assert await till.biller.bill_rest(till.scratch.account) == 0
    assert await till.billed() == before + MINUTE


async def test_a_call_whose_record_was_kept_is_billed_from_its_answer_to_its_end(till: Till) -> None:
    call, before, now = CallId.new(), await till.billed(), till.scratch.custody.clock.now()
    assert await (await till.call(call)).extend()
    await till.scratch.custody.keep(
        till.scratch.account,
        CallRecord(
            call_id=call, direction="outbound", started_at=now - dt.timedelta(seconds=90), ended_at=now,
            answered_at=now - dt.timedelta(seconds=60), hangup_cause=HangupCause.NORMAL,
            caller=Party("+441632960100"), callee=CALLEE, digits="",
        ),
    )  # fmt: skip
    assert await till.biller.bill_rest(till.scratch.account) == 1
    assert await till.billed() == before + MINUTE
    assert await till.destinations() == [CALLEE.text] * 2


async def test_calls_found_up_are_billed_for_what_they_were_seen_up_and_told_of(till: Till) -> None:
    custody, account, run = till.scratch.custody, till.scratch.account, ApplicationId.new()
    first, second, before = CallId.new(), CallId.new(), await till.billed()
    held = await till.call(first)
    assert await held.extend()
    await till.call(second)
    spent = (await till.now()).day_spent
    await custody.keep(account, live(till, first, 90, run=run))
    await custody.keep(account, live(till, second, 300, run=run, leg=1))  # one minute was reserved, not five
    assert await close_orphans(custody, accounts=[account], biller=till.biller, announcer=till) == 2
    cost = MINUTE * 3 // 2 + MINUTE
    assert await till.billed() == before + cost
    now = await till.now()
    assert (now.calls_up, now.reserved, now.day_spent) == (0, 0, spent + cost)
    assert set(await till.destinations()) == {CALLEE.text}
    (record,) = await custody.find(account, [RecordId(run.value)], category=RUNS)
    assert record.plain["cost_millicents"] == cost
    told = {(event, references["call"]) for event, references in till.told}
    assert told == {
        (Event.CALL_ENDED, str(first)), (Event.CALL_ENDED, str(second)), (Event.APPLICATION_ENDED, str(first)),
    }  # fmt: skip
    assert await close_orphans(custody, accounts=[account], biller=till.biller, announcer=till) == 0
    assert await till.billed() == before + cost


async def test_a_leg_of_which_nothing_is_known_costs_nothing_and_holds_nothing(till: Till) -> None:
    before = await till.billed()
    await till.call(CallId.new())
    await till.biller.bill_rest(till.scratch.account)
    assert ((await till.now()).reserved, (await till.now()).calls_up, await till.billed()) == (0, 0, before)


async def test_a_bill_that_could_not_be_kept_for_long_is_kept_by_the_duty_and_no_sooner(till: Till) -> None:
    custody, before = till.scratch.custody, await till.billed()
    clock = TestClock(custody.clock.now())
    spending = AccountSpending(custody.database, clock, load_tariff())
    admission = await spending.admit_call(till.scratch.account, direction="outbound", callee=CALLEE, call=CallId.new())
    up = await spending.admit_call(till.scratch.account, direction="outbound", callee=CALLEE, call=CallId.new())
    await admission.settle(answered_seconds=60)
    duty = Biller(custody, spending)
    assert await duty.bill_settled(till.scratch.account) == 0
    clock.advance(seconds=PATIENCE.total_seconds() + 1)
    assert await duty.bill_settled(till.scratch.account) == 1
    assert await till.billed() == before + MINUTE
    assert await up.extend()  # what is up was left alone
    await up.settle()


async def test_a_message_settled_before_a_crash_is_settled_to_the_same_charges(till: Till) -> None:
    custody, account, message = till.scratch.custody, till.scratch.account, MessageId.new()
    admission = await till.spending.admit_message(account, recipient=CALLEE, segments=3)
    charges = await admission.settle(segments=2)
    spent = (await till.now()).day_spent
    again = await till.spending.resume(account, admission.reservation)
    assert again is not None
    assert await again.settle(segments=2) == charges
    assert (await till.now()).day_spent == spent
    told = {"call": None, "message": message, "destination": CALLEE, "ended_at": custody.clock.now()}
    await keep_charges(custody, account, charges, **told)
    assert await till.spending.resume(account, admission.reservation) is None
