"""A hold outlives the due date, and ends by itself on its day: the whole cloud is run a day later, by libfaketime."""

from __future__ import annotations

import pytest

from sealwire.custody.categories import CATALOGUE
from sealwire.custody.holds.book import Kind, Reason
from sealwire.custody.holds.ritual import HoldRitual, NewHold
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.ground.clock import today
from sealwire.vocabulary import Day, RecordId

from .acts import SERVICE
from .conftest import RECORD_PARTS
from .examples import keep_example
from .test_5_retention import FAKETIME, the_due_one_went, tomorrow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio,
    pytest.mark.skipif(FAKETIME is None, reason="libfaketime is missing (Debian package faketime)"),
]
HOLDABLE = [one for one in CATALOGUE if not one.passing and not one.retention.at_year_end]


async def hold(scratch: Scratch, records: list[RecordId], *, until: int) -> None:
    custody, account = scratch.custody, scratch.account
    ritual = HoldRitual(database=custody.database, keeper=custody.keeper, clock=custody.clock, backup_cycle_days=28)
    new = NewHold(Kind.LEGAL_HOLD, Reason.AUTHORITY_ORDER, Day(until))
    stored = await custody.find(account, records)
    async with custody.database.account(account) as connection:
        begun = await ritual.begin(connection, account, new, records=stored, days=[], by="test")
    assert (await ritual.go_on(account, begun)).state == "in-force"


async def test_a_held_record_of_every_category_outlives_its_due_day_until_its_hold_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three records of a day, all due tomorrow: one held until today, one until next week, one not at all."""
    async with scratch_cloud(RECORD_PARTS) as scratch:
        ended, lasting, free = {}, {}, {}
        for category in HOLDABLE:
            ago = category.retention.days_default
            ended[category], lasting[category], free[category] = [
                await keep_example(scratch.custody, scratch.account, category, days_ago=ago) for _ in range(3)
            ]
        now = int(today(scratch.custody.clock))
        await hold(scratch, [one.record for one in ended.values()], until=now)
        await hold(scratch, [one.record for one in lasting.values()], until=now + 7)
        async with tomorrow(scratch, monkeypatch) as later:
            for category in HOLDABLE:
                await the_due_one_went(later, free[category].record)
                await the_due_one_went(later, ended[category].record)
                (opened,) = await later.custody.open(later.principal, [lasting[category].record], purpose=SERVICE)
                assert opened.content.reveal() == lasting[category].sealed
