"""Held records stay: whatever erases their day, whatever the database says, whoever dies in between.

Legal holds and restrictions (GDPR Art. 18) over every category, with a real keeper, database and log.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.erasure import ErasedMeanwhile, page
from sealwire.custody.holds.book import Because, Hold, Kind, Reason, RecordsHeld
from sealwire.custody.holds.book import find as find_hold
from sealwire.custody.holds.refusals import HoldEndsTooSoon, HoldReleased, NothingToHold, ReasonOfOtherKind
from sealwire.custody.holds.ritual import HoldRitual, NewHold
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.keys.refusals import Held, Restricted
from sealwire.custody.lifecycle import RecordErased
from sealwire.evidence.leaves import LeafClass
from sealwire.ground.clock import today
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import Day, HoldId, Purpose

from .backup_house import CLOCK, running_house
from .examples import keep_example
from .hold_house import Keeping

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]
LATER = Day(today(CLOCK) + 400)
LITIGATION = NewHold(Kind.LEGAL_HOLD, Reason.LITIGATION, LATER, "AZ 4 C 17/26")
CONTESTED = NewHold(Kind.RESTRICTION, Reason.ACCURACY_CONTESTED, LATER)
HOLDABLE = [pytest.param(one, id=one.name) for one in CATALOGUE if not one.passing]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keeping() -> AsyncIterator[Keeping]:
    async with running_house() as house:
        yield Keeping(house)


@pytest.mark.parametrize("category", HOLDABLE)
async def test_a_held_record_outlives_the_erasure_of_its_day_and_its_neighbour_does_not(
    keeping: Keeping, category: Category
) -> None:
    held, neighbour = await keeping.kept(category)
    hold = await keeping.hold(LITIGATION, [held])
    assert (hold.state, hold.records, hold.days) == ("in-force", 1, 0)
    await keeping.erase_day(held)
    with pytest.raises(RecordErased):
        await keeping.custody.find(keeping.account, [neighbour.record], category=category)
    await keeping.let_the_eraser_work()
    assert await keeping.is_listed(held)
    assert not await keeping.is_listed(neighbour)
    assert await keeping.opens(held)
    assert not await keeping.opens(neighbour)
    assert await keeping.is_stored(held)
    assert not await keeping.is_stored(neighbour)
    if held.object_name is not None:
        assert (keeping.house.settings.objects_dir / held.object_name).exists()
        assert not (keeping.house.settings.objects_dir / str(neighbour.object_name)).exists()
    assert (await keeping.release(hold.hold)).state == "released"
    assert not await keeping.is_listed(held)
    assert not await keeping.opens(held)
    with pytest.raises(RecordErased) as gone:
        await keeping.custody.find(keeping.account, [held.record], category=category)
    assert gone.value.certificate is not None
    await keeping.let_the_eraser_work()
    assert not await keeping.is_stored(held)
    newest = (await page(keeping.custody.database, keeping.account, before=None, limit=1))[0]
    assert (str(newest.erasure), newest.state) == (gone.value.certificate, "removed")
    assert newest.requested_by == str(hold.hold)
    assert newest.certificate is not None


CALLS = next(one for one in CATALOGUE if one.name == "call-record")
TALKS = next(one for one in CATALOGUE if one.name == "recording")
WORDS = next(one for one in CATALOGUE if one.name == "message-record")


@pytest.mark.parametrize("category", HOLDABLE)
async def test_what_is_restricted_opens_for_a_subject_request_or_a_legal_claim_and_for_nothing_else(
    keeping: Keeping, category: Category
) -> None:
    restricted, free = await keeping.kept(category)
    hold = await keeping.hold(CONTESTED, [restricted])
    for purpose in set(Purpose) - {Purpose.SUBJECT_REQUEST, Purpose.LEGAL_CLAIM}:
        with pytest.raises(Restricted):
            await keeping.opens(restricted, purpose)
        with pytest.raises(Restricted):
            await keeping.custody.open_stored(keeping.principal, [free, restricted], purpose=purpose)
    for purpose in (Purpose.SUBJECT_REQUEST, Purpose.LEGAL_CLAIM):
        assert await keeping.opens(restricted, purpose)
    assert await keeping.opens(free)
    rows = await keeping.custody.find(keeping.account, [restricted.record, free.record], category=category)
    assert [row.restricted for row in rows] == [True, False]
    await keeping.release(hold.hold)
    assert await keeping.opens(restricted)


async def test_a_held_record_is_not_erased_by_its_own_id_and_the_answer_names_the_hold(keeping: Keeping) -> None:
    held, free = await keeping.kept(CALLS)
    hold = await keeping.hold(LITIGATION, [held])
    with pytest.raises(RecordsHeld, match=str(hold.hold)):
        await keeping.erase(free, held)
    assert await keeping.opens(held)
    assert await keeping.opens(free)
    await keeping.erase(free)


async def test_a_hold_on_a_day_keeps_all_of_it_and_later_records_too(keeping: Keeping) -> None:
    first, second = await keeping.kept(CALLS)
    day = DayPath(CALLS.code, 0, int(first.day))
    hold = await keeping.hold(LITIGATION, [], [day])
    assert (hold.state, hold.records, hold.days) == ("in-force", 0, 1)
    ago = int(today(CLOCK)) - int(first.day)
    third = await keep_example(keeping.custody, keeping.account, CALLS, days_ago=ago)
    with pytest.raises(RecordsHeld, match=str(hold.hold)):
        await keeping.erase_day(first)
    with pytest.raises(RecordsHeld):
        await keeping.erase(second)
    (late,) = await keeping.custody.find(keeping.account, [third.record])
    with pytest.raises(RecordsHeld):
        await keeping.erase(late)
    await keeping.release(hold.hold)
    await keeping.erase_day(first)
    await keeping.let_the_eraser_work()
    assert not await keeping.opens(first)


async def test_two_holds_on_one_record_are_released_one_by_one(keeping: Keeping) -> None:
    held, _ = await keeping.kept(CALLS)
    one, two = await keeping.hold(LITIGATION, [held]), await keeping.hold(CONTESTED, [held])
    await keeping.erase_day(held)
    await keeping.let_the_eraser_work()
    await keeping.release(two.hold)
    assert await keeping.opens(held)
    assert await keeping.is_listed(held)
    await keeping.release(one.hold)
    assert not await keeping.is_listed(held)
    assert not await keeping.opens(held)


async def test_the_keeper_holds_although_the_database_was_told_otherwise(keeping: Keeping) -> None:
    """Somebody deletes the row as owner of the database; then all of it is to be erased."""
    held, neighbour = await keeping.kept(CALLS)
    hold = await keeping.hold(LITIGATION, [held])
    await keeping.owner("DELETE FROM custody.held WHERE hold_id = $1", hold.hold.value)
    with pytest.raises(Held, match=str(hold.hold)):
        await keeping.custody.keeper.erase(
            keeping.account, erasure="ers_" + "0" * 32, leaves=[(CALLS.code, 0, int(held.day), held.slot)]
        )  # fmt: skip
    await keeping.erase_day(held)
    async with keeping.house.eraser() as eraser:
        while await eraser.make_pending_unreadable():
            pass
    assert await keeping.opens(held)
    assert not await keeping.opens(neighbour)


async def test_a_hold_says_who_why_and_until_when_in_the_log(keeping: Keeping) -> None:
    held, _ = await keeping.kept(CALLS)
    hold = await keeping.hold(LITIGATION, [held])
    assert (hold.placed_by, hold.reason, hold.until) == ("cred_1", Reason.LITIGATION, LATER)
    assert await keeping.leaves_of(held) == [LeafClass.HOLD_PLACED]
    await keeping.ritual.go_on(keeping.account, hold.hold)
    assert await keeping.leaves_of(held) == [LeafClass.HOLD_PLACED]
    gone = await keeping.release(hold.hold)
    assert (gone.released_by, gone.released_because) == ("cred_1", Because.SETTLED)
    await keeping.release(hold.hold)
    assert await keeping.leaves_of(held) == [LeafClass.HOLD_PLACED, LeafClass.HOLD_RELEASED]


async def test_a_hold_without_a_sound_end_or_reason_or_anything_to_hold_is_refused(keeping: Keeping) -> None:
    held, gone = await keeping.kept(CALLS)
    yesterday = NewHold(Kind.LEGAL_HOLD, Reason.LITIGATION, Day(today(CLOCK) - 1))
    with pytest.raises(HoldEndsTooSoon):
        await keeping.hold(yesterday, [held])
    with pytest.raises(ReasonOfOtherKind):
        await keeping.hold(NewHold(Kind.LEGAL_HOLD, Reason.ACCURACY_CONTESTED, LATER), [held])
    await keeping.erase(gone)
    with pytest.raises(NothingToHold):
        await keeping.hold(LITIGATION, [gone])
    assert await keeping.owner("SELECT FROM custody.hold WHERE state = 'placing'") == []


async def test_a_hold_is_extended_never_shortened_and_not_after_its_release(keeping: Keeping) -> None:
    held, _ = await keeping.kept(CALLS)
    hold = await keeping.hold(LITIGATION, [held])

    async def extended(until: int) -> Hold:
        async with keeping.custody.database.account(keeping.account) as connection:
            await keeping.ritual.begin_extending(connection, keeping.account, hold.hold, Day(until))
        return await keeping.ritual.go_on(keeping.account, hold.hold)

    longer = await extended(LATER + 30)
    assert (longer.state, longer.until, longer.records) == ("in-force", LATER + 30, 1)
    with pytest.raises(HoldEndsTooSoon):
        await extended(LATER)
    await keeping.release(hold.hold)
    with pytest.raises(HoldReleased):
        await extended(LATER + 60)


async def test_no_erasure_overtakes_a_hold_that_is_on_its_way_to_the_keeper(keeping: Keeping) -> None:
    held, neighbour = await keeping.kept(CALLS)
    async with keeping.custody.database.account(keeping.account) as connection:
        hold = await keeping.ritual.begin(connection, keeping.account, LITIGATION, records=[held], days=[], by="cred_1")
    await keeping.erase_day(held)  # the day is hidden; the keeper does not know of the hold yet
    async with keeping.house.eraser() as eraser:
        assert await eraser.make_pending_unreadable() == 0
    assert await keeping.opens(neighbour)
    assert (await keeping.ritual.go_on(keeping.account, hold)).state == "in-force"
    await keeping.let_the_eraser_work()
    assert await keeping.opens(held)
    assert not await keeping.opens(neighbour)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
async def test_holding_and_erasing_at_once_end_in_one_of_two_ways(keeping: Keeping, seed: int) -> None:
    """Either it is held and opens, or it was hidden first and the hold says that nothing is left. Never in between."""
    rng = random.Random(seed)
    rows = await keeping.kept(WORDS, 3)
    eraser_is_done = asyncio.Event()

    async def work() -> None:
        async with keeping.house.eraser() as eraser:
            while not eraser_is_done.is_set():
                await eraser.make_pending_unreadable()
                await asyncio.sleep(rng.random() / 100)

    async def act(what: Any) -> Any:
        await asyncio.sleep(rng.random() / 20)
        try:
            return await what
        except (NothingToHold, RecordsHeld, ErasedMeanwhile) as error:
            return error

    worker = asyncio.create_task(work())
    acts = [act(keeping.hold(LITIGATION, [row])) for row in rows[:2]] + [act(keeping.erase_day(rows[0]))]
    acts.append(act(keeping.erase(rows[0])))
    rng.shuffle(acts)
    outcomes = await asyncio.gather(*acts)
    eraser_is_done.set()
    await worker
    await keeping.let_the_eraser_work()
    held = {row.record for row in await keeping.custody.page(keeping.account, WORDS, before=None, limit=500)}
    holds = [one for one in outcomes if isinstance(one, Hold)]
    assert all(one.state == "in-force" and one.records == 1 for one in holds)
    assert sum(row.record in held for row in rows) == len(holds)
    for row in rows:
        assert await keeping.opens(row) == (row.record in held)


STEPS = ["hold-rows-committed", "hold-kept", "hold-in-force", "hold-releasing", "hold-let-go", "hold-released"]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_the_worker_goes_on_and_nothing_held_is_lost(keeping: Keeping, step: str) -> None:
    held, neighbour = await keeping.kept(CALLS)
    is_placing = STEPS.index(step) < 3
    if is_placing:
        async with keeping.custody.database.account(keeping.account) as connection:
            hold = await keeping.ritual.begin(
                connection, keeping.account, LITIGATION, records=[held], days=[], by="cred_1"
            )
        await keeping.erase_day(held)
    else:
        hold = (await keeping.hold(LITIGATION, [held])).hold
        await keeping.erase_day(held)
        await keeping.let_the_eraser_work()
        async with keeping.custody.database.account(keeping.account) as connection:
            await keeping.ritual.begin_releasing(
                connection, keeping.account, hold, because=Because.SETTLED, by="cred_1"
            )
    assert await die_at(keeping, step, hold) == 137
    async with keeping.house.eraser() as eraser:
        await eraser.make_pending_unreadable()
    assert await keeping.opens(held) == (is_placing or step == "hold-releasing")
    after = await keeping.ritual.go_on(keeping.account, hold)
    await keeping.let_the_eraser_work()
    assert not await keeping.opens(neighbour)
    assert after.state == ("in-force" if is_placing else "released")
    assert await keeping.opens(held) == is_placing
    assert await keeping.is_listed(held) == is_placing
    assert await keeping.is_stored(held) == is_placing
    told = [LeafClass.HOLD_PLACED] if is_placing else [LeafClass.HOLD_PLACED, LeafClass.HOLD_RELEASED]
    assert await keeping.leaves_of(held) == told


@pytest.mark.slow
@pytest.mark.parametrize("step", ["hold-rows-committed", "hold-kept"])
async def test_a_hold_left_placing_by_a_kill_is_in_force_after_the_workers_own_round(
    keeping: Keeping, step: str
) -> None:
    held, _ = await keeping.kept(CALLS)
    async with keeping.custody.database.account(keeping.account) as connection:
        hold = await keeping.ritual.begin(connection, keeping.account, LITIGATION, records=[held], days=[], by="cred_1")
    assert await die_at(keeping, step, hold) == 137
    async with keeping.custody.database.account(keeping.account) as connection:
        assert (await find_hold(connection, keeping.account, hold)).state == "placing"
    database = await Database.connect(dsn(keeping.house.settings, "sealwire_worker"), size_max=2)
    try:
        worker = HoldRitual(database=database, keeper=keeping.custody.keeper, clock=CLOCK, backup_cycle_days=28)
        assert not await worker.run(), "nothing has to wait"
    finally:
        await database.close()
    async with keeping.custody.database.account(keeping.account) as connection:
        assert (await find_hold(connection, keeping.account, hold)).state == "in-force"
    assert await keeping.leaves_of(held) == [LeafClass.HOLD_PLACED]


DYING = """
import asyncio, sys
from sealwire.config import load_settings
from sealwire.custody.holds.ritual import HoldRitual
from sealwire.custody.lifecycle import connect_custody
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import AccountId, HoldId

async def main(data, account, hold):
    settings, clock = load_settings(data), SystemClock()
    custody = await connect_custody(settings, dsn(settings, "sealwire_service"), clock)
    ritual = HoldRitual(database=custody.database, keeper=custody.keeper, clock=clock, backup_cycle_days=28)
    await ritual.go_on(AccountId.parse(account), HoldId.parse(hold))

from pathlib import Path
asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
"""


async def die_at(keeping: Keeping, step: str, hold: HoldId) -> int:
    """Go on with a hold in a process that dies at this step, as by kill -9; its exit code."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DYING, str(keeping.house.settings.data_dir), str(keeping.account), str(hold),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "SEALWIRE_CRASH_AT": step},
    )  # fmt: skip
    return await process.wait()
