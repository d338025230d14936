"""One house in which every category has records that go, each in its way, and one that stays; and what to look for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.erasure import Ground, request_day, request_records
from sealwire.custody.forensics.attacker import AttackReport
from sealwire.custody.lifecycle import RecordErased
from sealwire.custody.reindex import IndexRebuilder
from sealwire.custody.requests import records_of_number
from sealwire.custody.store import OpenedRecord, StoredRecord
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.reader import payload_rows
from sealwire.governance.principals import Principal
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import E164, ErasureId, Purpose

from .backup_house import CLOCK, House
from .examples import Example, keep_example

SERVICE, ASKED = Purpose.SERVICE_OPERATION, Purpose.SUBJECT_REQUEST


def ways_of(category: Category) -> list[str]:
    """The ways in which a record of this category can be erased. A statute keeps some from going with their day."""
    ways = ["record", *(f"number in {one.name}" for one in category.sealed_fields if one.findable)]
    return ways + ["call"] * category.is_of_calls + ["day"] * (not category.survives_closure)


@dataclass
class Story:
    """For each category and each way to erase one record that goes that way, and one that stays."""

    house: House
    principal: Principal
    going: dict[tuple[str, str], Example] = field(default_factory=dict)
    staying: dict[str, Example] = field(default_factory=dict)
    rows: dict[tuple[str, str], StoredRecord] = field(default_factory=dict)
    erasures: dict[tuple[str, str], ErasureId] = field(default_factory=dict)
    attacked: AttackReport | None = None

    async def keep_all(self, categories: tuple[Category, ...] = CATALOGUE) -> None:
        custody, account = self.house.custody, self.house.account
        for category in categories:
            self.staying[category.name] = await keep_example(custody, account, category)
            for way in ways_of(category):
                days_ago = 1 if way == "day" else 0
                one = await keep_example(custody, account, category, days_ago=days_ago)
                self.going[category.name, way] = one
                (self.rows[category.name, way],) = await custody.find(account, [one.record])

    async def ask_to_erase_all(self) -> None:
        for (name, way), one in self.going.items():
            self.erasures[name, way] = await self.ask(one, way)

    async def ask(self, one: Example, way: str) -> ErasureId:
        custody, account = self.house.custody, self.house.account
        asked: dict[str, Any] = {
            "ground": Ground.INSTRUCTION, "requested_by": "test", "backup_cycle_days": 28, "clock": CLOCK,
        }  # fmt: skip
        if way == "day":
            async with custody.database.account(account) as connection:
                day = self.rows[one.category.name, way].day
                found = await request_day(connection, account, one.category, day, retention_class=0, **asked)
            assert found is not None or one.category.passing  # it went with the day of its calls
            return found or self.erasures["call-record", "day"]
        if way == "call":
            records = await custody.of_call(account, one.call)
        elif way == "record":
            records = await custody.find(account, [one.record])
        else:
            number = one.numbers[way.removeprefix("number in ")]
            records = await records_of_number(custody, self.principal, E164(number), purpose=ASKED)
        assert [row.record for row in records] == [one.record]
        async with custody.database.account(account) as connection:
            return await request_records(connection, account, records, **asked)

    async def opened(self, row: StoredRecord) -> list[OpenedRecord]:
        return await self.house.custody.open_stored(self.principal, [row], purpose=SERVICE)

    async def looks(self, one: Example) -> list[Any]:
        async with self.house.custody.database.account(self.house.account) as connection:
            rows = await payload_rows(connection, self.house.account, one.record)
        return [row for row in rows if row.leaf_class == LeafClass.RECORD_OPENED]

    async def rebuild_index(self) -> None:
        custody = self.house.custody
        database = await Database.connect(dsn(self.house.settings, "sealwire_worker"), size_max=2)
        try:
            await IndexRebuilder(
                database=database, keeper=custody.keeper, sequencer=custody.sequencer, clock=CLOCK
            ).rebuild_if_lost()
        finally:
            await database.close()


def stays_without_its_person(story: Story, one: Example) -> bool:
    """Whether what is not sealed of it stays: a bill, a request. With its day all of it goes."""
    return one.category.is_detachable and story.going.get((one.category.name, "day")) is not one


async def check_hidden(story: Story, one: Example, row: StoredRecord) -> None:
    """It answers 410; a bill answers, and does not open."""
    custody = story.house.custody
    if stays_without_its_person(story, one):
        assert await custody.open(story.principal, [one.record], purpose=SERVICE) == []
        return
    gone: RecordErased | None = None
    try:
        await custody.open(story.principal, [one.record], purpose=SERVICE)
    except RecordErased as error:
        gone = error
    assert gone is not None
    assert gone.certificate
    listed = await custody.page(story.house.account, one.category, before=None, limit=500)
    assert one.record not in {each.record for each in listed}


async def check_unreadable(story: Story, one: Example, row: StoredRecord) -> None:
    """A copy of its row that was made before is noise to the keeper, as a copy in a backup is."""
    assert await story.opened(row) == []


async def check_removed(story: Story, one: Example, row: StoredRecord) -> None:
    """Neither row nor ciphertext nor object is left; of a bill the row is, with its amounts and without its seal."""
    left = await _as_owner(story, f"SELECT sealed FROM custody.{one.category.table} WHERE record_id = $1", one)
    assert [each["sealed"] for each in left] == [b""] * stays_without_its_person(story, one)
    if stays_without_its_person(story, one):
        (bill,) = await story.house.custody.find(story.house.account, [one.record])
        assert bill.plain == row.plain
    if row.object_name is not None:
        assert not (story.house.settings.objects_dir / row.object_name).exists()


async def check_tokens_gone(story: Story, one: Example, row: StoredRecord) -> None:
    """No token leads to it any more."""
    tokens = await _as_owner(story, "SELECT token FROM custody.blind_index WHERE record_id = $1", one)
    assert tokens == []


Check = Callable[[Story, Example, StoredRecord], Awaitable[None]]
CHECKS: list[Check] = [check_hidden, check_unreadable, check_removed, check_tokens_gone]


async def _as_owner(story: Story, statement: str, one: Example) -> list[Any]:
    owner = await asyncpg.connect(story.house.owner_dsn())
    try:
        return list(await owner.fetch(statement, one.record.value))
    finally:
        await owner.close()
