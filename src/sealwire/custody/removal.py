"""Steps (5) and (6) of an erasure (see `eraser`): ciphertext out of the stores, and stores without its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from sealwire.custody.categories import BY_CODE, CATALOGUE, Category
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.storage import statements
from sealwire.custody.store import queries
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, ErasureId, RecordId

BATCH = 5_000
DAY_BATCH = 20_000
COMPACTED_AT_ONCE_BYTES_MAX = 64 << 20
COMPACTION_EVERY_S = 20 * 3600
WAIT_S_MAX = 30.0


class Remover:
    """Removes what is unreadable already; everything here can be repeated."""

    def __init__(self, *, database: Database, objects: Objects, clock: Clock) -> None:
        self._database, self._objects, self._clock = database, objects, clock
        self._compacted_at_s: dict[int, float] = {}
        self._touched: set[int] = set()

    async def remove_records(self, account: AccountId, categories: Iterable[int], records: list[RecordId]) -> None:
        """Rows and objects of these records; their tombstones stand since they were hidden. Detached: emptied."""
        for code in categories:
            self._touched.add(code)
            category = BY_CODE[code]
            for at in range(0, len(records), BATCH):
                batch = [record.value for record in records[at : at + BATCH]]
                async with self._database.account(account) as connection:
                    rows = await connection.fetch(statements(category).by_ids_any, account.value, batch)
                    await self.remove_objects([row["object_name"] for row in rows if category.has_media])
                    out = statements(category).empty if category.is_detachable else statements(category).remove
                    await connection.execute(out, account.value, batch)
                    if category.is_detachable:  # of a day that was held and is due: those rows go whole
                        await connection.execute(statements(category).remove_gone, account.value, batch)

    async def remove_day(self, account: AccountId, erasure: ErasureId, day: DayPath) -> None:
        """All of a day: its tombstones first, then its rows in batches of bounded size, then its tokens at once."""
        category = BY_CODE[day.category]
        self._touched.add(category.code)
        where = (account.value, day.retention_class, day.day)
        async with self._database.account(account) as connection:
            slot = await connection.fetchval(statements(category).next_slot, *where, 0)
            if slot is not None:
                await connection.execute(queries.sort_in_memory)
                await connection.execute(statements(category).bury_day, *where, erasure.value)
        while slot is not None:
            end = slot + DAY_BATCH
            await self._remove_slots(account, category, day, slot, end)
            async with self._database.account(account) as connection:
                slot = await connection.fetchval(statements(category).next_slot, *where, end)
        async with self._database.account(account) as connection:
            of_day = (account.value, day.category, day.retention_class, day.day)
            await connection.execute(queries.remove_index_day, *of_day)
            await connection.execute(queries.drop_day_in_use, *of_day)

    async def _remove_slots(self, account: AccountId, category: Category, day: DayPath, first: int, end: int) -> None:
        where = (account.value, day.retention_class, day.day, first, end)
        async with self._database.account(account) as connection:
            if category.has_media:
                rows = await connection.fetch(statements(category).objects_of_slots, *where)
                await self.remove_objects([row["object_name"] for row in rows])
            await connection.execute(statements(category).remove_slots, *where)

    async def compact(self) -> bool:
        """Rewrite the tables that lost rows and retire old WAL; False when it has to wait, and then later again."""
        touched = self._touched or {category.code for category in CATALOGUE}  # after a restart: unknown, so all
        for code in touched:
            if await self._must_wait_for_night(code):
                return False
        if not await self._all_snapshots_are_younger():
            return False
        for code in sorted(touched):
            await self._compact_table(code)
        if not await self._retire_wal():
            return False
        await self._objects.compact()
        self._touched -= touched
        return True

    async def remove_objects(self, names: list[str]) -> None:
        """Objects by name; one that is gone already is no error."""
        for name in names:
            await self._objects.delete(name)

    async def _must_wait_for_night(self, code: int) -> bool:
        """A small table is rewritten at once, a large one once in twenty hours."""
        now_s = self._clock.monotonic_s()
        async with self._database.pool.acquire() as connection:
            size = await connection.fetchval(statements(BY_CODE[code]).size)
        last_s = self._compacted_at_s.get(code, now_s - COMPACTION_EVERY_S)
        return bool(size > COMPACTED_AT_ONCE_BYTES_MAX and now_s - last_s < COMPACTION_EVERY_S)

    async def _compact_table(self, code: int) -> None:
        async with self._database.pool.acquire() as connection:
            await connection.execute(statements(BY_CODE[code]).compact)
        self._compacted_at_s[code] = self._clock.monotonic_s()

    async def _all_snapshots_are_younger(self) -> bool:
        """VACUUM FULL copies what some older snapshot could still see; False when one stays too long."""
        async with self._database.system() as connection:
            now = await connection.fetchval(queries.transaction_id)

        async def is_past() -> bool:
            async with self._database.system() as connection:
                return bool(await connection.fetchval(queries.is_past, now))

        return await self._until(is_past, "old-snapshot")

    async def _retire_wal(self) -> bool:
        """No WAL file that was written before now is left; a backup that is being made delays it."""
        async with self._database.pool.acquire() as connection:
            last = await connection.fetchval(queries.wal_file_now)
            await connection.execute(queries.switch_wal)

        async def is_retired() -> bool:
            async with self._database.pool.acquire() as connection:
                await connection.execute("CHECKPOINT")
                return bool(await connection.fetchval(queries.wal_is_retired, last))

        return await self._until(is_retired, "old-wal")

    async def _until(self, ready: Callable[[], Awaitable[bool]], waiting_for: str) -> bool:
        ends_s, pause_s = self._clock.monotonic_s() + WAIT_S_MAX, 0.02
        while not await ready():
            if self._clock.monotonic_s() > ends_s:
                diagnostics.event("removal.waits", waiting_for=waiting_for)
                return False
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)
        return True
