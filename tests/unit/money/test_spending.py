"""Money is denied by default: admission, caps and suspension, on a real database with real concurrency."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.conftest import ModuleDatabase
from tests.unit.money.till import BERLIN, LONDON, MINUTE, PREMIUM, Till, new_till

from sealwire.communications.accounting.port import (
    DestinationNotAllowed,
    OutboundSuspended,
    SpendCapReached,
    TooManyCalls,
)
from sealwire.communications.accounting.spending import MESSAGE_KEPT, AccountAdmission, StartsTooFast
from sealwire.communications.webhooks.events import Event
from sealwire.errors import Refused
from sealwire.governance import accounts
from sealwire.governance import spending as rules
from sealwire.governance.billing.tariff import load_tariff
from sealwire.governance.spending import OwnerLimits
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import E164, Party

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def database(module_database: ModuleDatabase) -> AsyncIterator[Database]:
    database = await Database.connect(module_database.dsn(), size_max=10)
    yield database
    await database.close()


@pytest_asyncio.fixture(loop_scope="module")
async def till(database: Database) -> Till:
    return await new_till(database)


async def test_a_new_account_may_call_and_write_to_nobody_but_is_called_for_nothing(till: Till) -> None:
    with pytest.raises(DestinationNotAllowed):
        await till.call()
    with pytest.raises(DestinationNotAllowed):
        await till.message()
    inbound = await till.call(direction="inbound")
    assert {charge.item: charge.amount_millicents for charge in await inbound.settle(answered_seconds=30)} == {
        "inbound-minute": 0, "platform-minute": 50,
    }  # fmt: skip


async def test_an_allowed_prefix_lets_calls_through_and_no_other(till: Till) -> None:
    await till.allow("+44")
    await (await till.call()).settle()
    with pytest.raises(DestinationNotAllowed):
        await till.call(BERLIN)
    await till.allow("DE")
    await (await till.call(BERLIN)).settle()
    with pytest.raises(DestinationNotAllowed):
        await till.call()


async def test_a_premium_number_needs_a_destination_that_says_premium(till: Till) -> None:
    await till.allow("+44", "+", "GB")
    with pytest.raises(DestinationNotAllowed):
        await till.call(PREMIUM)
    await till.allow("+449", premium=True)
    await (await till.call(PREMIUM)).settle()


async def test_a_short_number_must_be_named_whole_and_a_sip_user_costs_no_line(till: Till) -> None:
    await till.allow("+")
    with pytest.raises(DestinationNotAllowed):
        await till.call(Party("118118"))
    charges = await (await till.call(Party("desk-phone"))).settle(answered_seconds=60)
    assert [(charge.item, charge.amount_millicents) for charge in charges] == [
        ("internal-minute", 0), ("platform-minute", 100),
    ]  # fmt: skip


async def test_a_call_to_ones_own_number_needs_no_destination_and_costs_what_the_line_costs(till: Till) -> None:
    async with till.spending.database.account(till.account) as connection:
        await accounts.assign_number(connection, till.account, E164(LONDON.text), service=None, clock=till.clock)
    await till.limit(day_cap=MINUTE)
    charges = await (await till.call()).settle(answered_seconds=60)
    assert [charge.item for charge in charges] == ["pstn-minute", "platform-minute"]
    with pytest.raises(SpendCapReached):  # else calls in a circle would cost a carrier's minutes and reach no cap
        await till.call()


async def test_a_call_is_charged_for_what_it_lasted_and_the_rest_is_given_back(till: Till) -> None:
    await till.allow("+44")
    admission = await till.call()
    assert (await till.now()).reserved == MINUTE
    charges = await admission.settle(answered_seconds=30.2)
    assert [charge.item for charge in charges] == ["pstn-minute", "platform-minute"]
    assert sum(charge.amount_millicents for charge in charges) == 517 + 52
    assert charges == await admission.settle(answered_seconds=99)
    now = await till.now()
    assert (now.day_spent, now.month_spent, now.reserved, now.calls_up) == (569, 569, 0, 0)
    assert charges[0].tariff == load_tariff().version


async def test_a_call_that_was_not_answered_costs_nothing(till: Till) -> None:
    await till.allow("+44")
    assert await (await till.call()).settle() == []
    assert (await till.now()).day_spent == 0


async def test_a_leg_is_extended_minute_by_minute_until_the_cap(till: Till) -> None:
    await till.allow("+44")
    await till.limit(day_cap=2 * MINUTE)
    admission = await till.call()
    assert admission.seconds == 55
    assert await admission.extend()
    assert admission.seconds == 115
    assert not await admission.extend()
    assert till.told.events == [Event.SPEND_CAP_REACHED]
    await admission.settle(answered_seconds=admission.seconds + 4)
    assert (await till.now()).day_spent <= 2 * MINUTE


async def test_a_leg_costs_no_more_than_was_reserved_for_it_whatever_the_clock_says(till: Till) -> None:
    await till.allow("+44")
    await till.limit(day_cap=2 * MINUTE)
    admission = await till.call()
    assert await admission.extend()
    charges = await admission.settle(answered_seconds=86_400.0)  # the wall clock was set while it was up
    assert sum(charge.amount_millicents for charge in charges) == (await till.now()).day_spent == 2 * MINUTE


async def test_a_hundred_calls_at_once_reserve_no_more_than_the_cap(till: Till) -> None:
    await till.allow("+44")
    await till.limit(day_cap=7 * MINUTE + 5, refused_per_minute=1000)
    outcomes = await asyncio.gather(*(till.call() for _ in range(100)), return_exceptions=True)
    admitted = [each for each in outcomes if isinstance(each, AccountAdmission)]
    assert len(admitted) == 7
    assert all(isinstance(each, SpendCapReached) for each in outcomes if each not in admitted)
    assert (await till.now()).reserved == 7 * MINUTE
    await asyncio.gather(*(each.settle(answered_seconds=60) for each in admitted))
    assert (await till.now()).day_spent == 7 * MINUTE
    assert till.told.events == [Event.SPEND_CAP_REACHED]


async def test_the_next_day_begins_at_nothing_and_the_month_goes_on(till: Till) -> None:
    await till.allow("+44")
    await till.limit(day_cap=MINUTE, month_cap=2 * MINUTE)
    for _ in range(2):
        await (await till.call()).settle(answered_seconds=60)
        with pytest.raises(SpendCapReached):
            await till.call()
        till.clock.advance(days=1)
    with pytest.raises(SpendCapReached):
        await till.call()
    till.clock.advance(days=7)
    await (await till.call()).settle()


async def test_calls_at_one_time_are_counted_in_both_directions(till: Till) -> None:
    await till.allow("+44")
    await till.limit(calls=2)
    first, _ = await till.call(), await till.call(direction="inbound")
    for direction in ("inbound", "outbound"):
        with pytest.raises(TooManyCalls):
            await till.call(direction=direction)
    await first.settle()
    await till.call()


async def test_calls_are_not_started_faster_than_allowed(till: Till) -> None:
    await till.allow("+44")
    await till.limit(setups_per_second=2)
    await till.call()
    await till.call()
    with pytest.raises(StartsTooFast):
        await till.call()
    till.clock.advance(seconds=1)
    await till.call()


async def test_an_owner_lowers_a_cap_and_cannot_raise_it_above_the_operators(till: Till) -> None:
    await till.allow("+44")
    async with till.spending.database.account(till.account) as connection:
        with pytest.raises(rules.CapAboveMaximum):
            await rules.set_owner_limits(
                connection, till.account,
                OwnerLimits(day_cap=5_000_001, month_cap=None, calls=None, card_policy="mask"), till.clock,
            )  # fmt: skip
        await rules.set_owner_limits(
            connection, till.account,
            OwnerLimits(day_cap=MINUTE - 1, month_cap=None, calls=None, card_policy="refuse"), till.clock,
        )  # fmt: skip
    with pytest.raises(SpendCapReached):
        await till.call()
    assert await till.spending.card_policy(till.account) == "refuse"


async def test_a_message_holds_its_segments_and_pays_for_those_that_went(till: Till) -> None:
    await till.allow("+44")
    admission = await till.message(3)
    assert (await till.now()).reserved == 12_000
    resumed = await till.spending.resume(till.account, admission.reservation)
    assert resumed is not None
    (charge,) = await resumed.settle(segments=2)
    assert (charge.item, charge.units, charge.amount_millicents) == ("sms-segment", 2, 8_000)
    async with till.spending.database.account(till.account) as connection:
        await rules.forget_billed(connection, till.account, [admission.reservation])
    assert await till.spending.resume(till.account, admission.reservation) is None
    assert (await till.now()).day_spent == 8_000


async def test_speech_is_charged_within_the_cap_only(till: Till) -> None:
    await till.limit(day_cap=600)
    (charge,) = await till.spending.charge_speech(till.account, seconds=60)
    assert (charge.item, charge.amount_millicents) == ("speech-minute", 600)
    with pytest.raises(SpendCapReached):
        await till.spending.charge_speech(till.account, seconds=1)


async def test_thirty_refusals_in_a_minute_suspend_and_the_operator_lifts_it(till: Till) -> None:
    for _ in range(30):
        with pytest.raises(DestinationNotAllowed):
            await till.call()
    with pytest.raises(OutboundSuspended):
        await till.call()
    assert till.told.events == [Event.OUTBOUND_SUSPENDED]
    await till.allow("+44")
    with pytest.raises(OutboundSuspended):
        await till.call()
    await till.call(direction="inbound")
    async with till.spending.database.account(till.account) as connection:
        await rules.lift_suspension(connection, till.account, till.clock)
    await till.call()


async def test_refusals_spread_over_minutes_suspend_nobody(till: Till) -> None:
    for _ in range(70):
        with pytest.raises(DestinationNotAllowed):
            await till.call()
        till.clock.advance(seconds=4)
    assert (await till.now()).suspended_at is None


async def test_a_burst_of_short_calls_suspends(till: Till) -> None:
    await till.allow("+44")
    await till.limit()
    for _ in range(61):
        await (await till.call()).settle(answered_seconds=2)
    assert (await till.now()).suspended_for == "short-calls"
    assert till.told.events == [Event.OUTBOUND_SUSPENDED]


async def test_a_suspension_ends_legs_that_are_up_within_their_minute(till: Till) -> None:
    await till.allow("+44")
    admission = await till.call()
    inbound = await till.call(direction="inbound")
    async with till.spending.database.account(till.account) as connection:
        await rules.suspend(connection, till.account, till.clock)
    assert not await admission.extend()
    assert await inbound.extend()


async def test_a_call_whose_process_died_frees_its_place_and_its_money_counts(
    till: Till, module_database: ModuleDatabase
) -> None:
    await till.allow("+44")
    admission, message = await till.call(), await till.message()
    worker = await Database.connect(module_database.dsn("sealwire_worker"), size_max=2)
    try:
        till.clock.advance(minutes=5)
        await rules.let_lapse(worker, till.clock)
        assert (await till.now()).calls_up == 1
        till.clock.advance(minutes=2)
        assert await rules.let_lapse(worker, till.clock) >= 1
        now = await till.now()
        assert (now.calls_up, now.reserved, now.day_spent) == (0, 4_000, MINUTE)
        assert not await admission.extend()
        await admission.settle(answered_seconds=90)  # it was alive after all, and what it may cost was counted
        assert (await till.now()).day_spent == MINUTE
        till.clock.advance(seconds=MESSAGE_KEPT.total_seconds())
        assert await rules.let_lapse(worker, till.clock) == 1
        assert await till.spending.resume(till.account, message.reservation) is None
    finally:
        await worker.close()


async def test_who_hangs_up_while_a_leg_is_admitted_leaves_nothing_held(
    till: Till, module_database: ModuleDatabase
) -> None:
    await till.allow("+44")
    await (await till.call()).settle()
    locker = await Database.connect(module_database.dsn(), size_max=1)
    try:
        async with locker.account(till.account) as connection:
            await connection.execute(
                "SELECT FROM governance.spending WHERE account_id = $1 FOR UPDATE", till.account.value
            )
            dialling = asyncio.ensure_future(till.call())
            await asyncio.sleep(0.3)
            dialling.cancel()
            await asyncio.gather(dialling, return_exceptions=True)
        ends_s = asyncio.get_running_loop().time() + 5
        while till.spending._given_back and asyncio.get_running_loop().time() < ends_s:
            await asyncio.sleep(0.02)
        assert dialling.cancelled()
        assert ((await till.now()).reserved, (await till.now()).calls_up) == (0, 0)
    finally:
        await locker.close()


async def test_a_far_end_is_told_to_call_only_where_the_account_may_and_never_premium(till: Till) -> None:
    with pytest.raises(DestinationNotAllowed):
        await till.spending.admit_transfer(till.account, to=LONDON)
    await till.allow("+44", "+449", premium=True)
    await till.spending.admit_transfer(till.account, to=LONDON)
    with pytest.raises(DestinationNotAllowed):
        await till.spending.admit_transfer(till.account, to=PREMIUM)
    await till.limit(day_cap=MINUTE - 1)
    with pytest.raises(SpendCapReached):
        await till.spending.admit_transfer(till.account, to=LONDON)
    assert ((await till.now()).reserved, (await till.now()).calls_up) == (0, 0)


async def test_another_account_sees_and_spends_nothing_of_it(database: Database) -> None:
    mine, theirs = await new_till(database), await new_till(database)
    await mine.allow("+44")
    admission = await mine.call()
    with pytest.raises(DestinationNotAllowed):
        await theirs.call()
    assert await theirs.spending.resume(theirs.account, admission.reservation) is None
    assert (await theirs.now()).reserved == 0


async def test_a_thief_who_calls_a_premium_range_loses_at_most_the_cap_and_is_blocked_within_a_minute(
    till: Till,
) -> None:
    """Twenty calls a second at once, each answered and kept up as long as it may be; the range itself is allowed."""
    await till.allow("+449", premium=True)
    await till.limit(day_cap=1_000_000, premium_per_minute=100, refused_per_minute=100)
    cap, admitted, refused = 1_000_000, [], 0
    blocked_at_s: int | None = None
    for second in range(60):
        attempts = await asyncio.gather(*(till.call(PREMIUM) for _ in range(20)), return_exceptions=True)
        admitted += [each for each in attempts if isinstance(each, AccountAdmission)]
        refused += sum(isinstance(each, Refused) for each in attempts)
        now = await till.now()
        assert now.day_spent + now.reserved <= cap
        if blocked_at_s is None and now.suspended_at is not None:
            blocked_at_s = second
        till.clock.advance(seconds=1)
    assert blocked_at_s is not None
    assert len(admitted) == 3
    assert refused == 60 * 20 - 3
    assert not any([await each.extend() for each in admitted])
    for each in admitted:
        await each.settle(answered_seconds=each.seconds + 3)
    assert (await till.now()).day_spent <= cap
    assert Event.OUTBOUND_SUSPENDED in till.told.events
