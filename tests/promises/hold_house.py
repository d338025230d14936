"""One house in which records are held, and what is done there to them and to their neighbours."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.erasure import Ground, request_day, request_records
from sealwire.custody.holds.book import Because, Hold
from sealwire.custody.holds.ritual import HoldRitual, NewHold
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.store import StoredRecord
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.reader import payload_rows
from sealwire.governance.principals import Principal, Scope
from sealwire.vocabulary import CredentialId, HoldId, Purpose

from .backup_house import CLOCK, House
from .examples import Example, keep_example

SERVICE = Purpose.SERVICE_OPERATION


class Keeping:
    """What the tests do in one house: keep two records of a day, hold one, erase the day, let the eraser work."""

    def __init__(self, house: House) -> None:
        self.house, self.account = house, house.account
        self.custody = house.custody
        self.principal = Principal(CredentialId.new(), house.account, frozenset({Scope.OWNER}), SERVICE)
        self.ritual = HoldRitual(
            database=house.custody.database, keeper=house.custody.keeper, clock=CLOCK, backup_cycle_days=28
        )
        self._ago = dict.fromkeys(CATALOGUE, 0)

    async def kept(self, category: Category, count: int = 2) -> list[StoredRecord]:
        """Records of one day that no other test uses."""
        self._ago[category] += 1
        ago = self._ago[category] * (366 if category.retention.at_year_end else 1)
        assert ago <= category.retention.days_default
        examples: list[Example] = [
            await keep_example(self.custody, self.account, category, days_ago=ago) for _ in range(count)
        ]
        return await self.custody.find(self.account, [one.record for one in examples], category=category)

    async def hold(self, new: NewHold, records: list[StoredRecord], days: list[DayPath] | None = None) -> Hold:
        async with self.custody.database.account(self.account) as connection:
            hold = await self.ritual.begin(connection, self.account, new, records=records, days=days or [], by="cred_1")
        return await self.ritual.go_on(self.account, hold)

    async def release(self, hold: HoldId) -> Hold:
        async with self.custody.database.account(self.account) as connection:
            await self.ritual.begin_releasing(connection, self.account, hold, because=Because.SETTLED, by="cred_1")
        return await self.ritual.go_on(self.account, hold)

    async def erase_day(self, row: StoredRecord, *, ground: Ground = Ground.INSTRUCTION) -> None:
        async with self.custody.database.account(self.account) as connection:
            await request_day(
                connection, self.account, row.category, row.day, retention_class=row.retention_class, ground=ground,
                requested_by="test", backup_cycle_days=28, clock=CLOCK,
            )  # fmt: skip

    async def erase(self, *rows: StoredRecord) -> None:
        async with self.custody.database.account(self.account) as connection:
            await request_records(
                connection, self.account, list(rows), ground=Ground.INSTRUCTION, requested_by="test",
                backup_cycle_days=28, clock=CLOCK,
            )  # fmt: skip

    async def let_the_eraser_work(self) -> None:
        async with self.house.eraser() as eraser:
            while await eraser.make_pending_unreadable():
                pass
            while await eraser.remove_pending():
                pass

    async def opens(self, row: StoredRecord, purpose: Purpose = SERVICE) -> bool:
        """Whether the keeper still opens the ciphertext that was there at the beginning."""
        return len(await self.custody.open_stored(self.principal, [row], purpose=purpose)) == 1

    async def is_listed(self, row: StoredRecord) -> bool:
        listed = await self.custody.page(self.account, row.category, before=None, limit=500)
        return row.record in {one.record for one in listed}

    async def owner(self, statement: str, *arguments: object) -> list[Any]:
        connection = await asyncpg.connect(self.house.owner_dsn())
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    async def is_stored(self, row: StoredRecord) -> bool:
        table = row.category.table
        return bool(await self.owner(f"SELECT FROM custody.{table} WHERE record_id = $1", row.record.value))

    async def leaves_of(self, row: StoredRecord) -> list[LeafClass]:
        """What the log says of a record about holds, once all that was told stands in it."""
        while await self.owner("SELECT FROM evidence.event_outbox"):
            await asyncio.sleep(0.02)
        async with self.custody.database.account(self.account) as connection:
            rows = await payload_rows(connection, self.account, row.record)
        told = (LeafClass.HOLD_PLACED, LeafClass.HOLD_RELEASED)
        return [LeafClass(one.leaf_class) for one in sorted(rows, key=lambda one: one.index) if one.leaf_class in told]
