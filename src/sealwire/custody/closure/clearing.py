"""Steps (7) to (10) of a closure (see `closer`): out of the tables, the object store, the log's payloads; compacted."""

from __future__ import annotations

import re
from string import Template
from typing import Any
from uuid import UUID

import asyncpg

from sealwire.custody.categories import AUDIT_CODE, CATALOGUE
from sealwire.custody.closure.allowed import KEPT_CODES, KEPT_WHOLE
from sealwire.custody.closure.book import queries
from sealwire.custody.keys.client import KeeperClient
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.removal import COMPACTED_AT_ONCE_BYTES_MAX, COMPACTION_EVERY_S, Remover
from sealwire.custody.storage import statements
from sealwire.errors import Broken
from sealwire.evidence.leaves import LeafClass
from sealwire.ground.clock import Clock, today
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, ErasureId

BATCH = 20_000
SLOTS_PER_TICK = 5_000
_CODES = {f"custody.{category.table}": category.code for category in CATALOGUE}
_TOKENS = "custody.blind_index"
_NAME = re.compile(r"[a-z]+\.[a-z_0-9]+")
_COMPACT = Template("VACUUM (FULL) $table")  # a command without parameters; the name is the catalogue's own


class RowsStay(Broken):
    """A table of a closed account cannot be emptied, so its closure is not finished; look at its foreign keys."""


class Clearing:
    """Removes what is unreadable already; everything here can be repeated."""

    def __init__(
        self, *, database: Database, keeper: KeeperClient, objects: Objects, remover: Remover, clock: Clock
    ) -> None:
        self._database, self._keeper, self._objects = database, keeper, objects
        self._remover, self._clock = remover, clock
        self._compacted_at_s: dict[str, float] = {}

    async def remove_rows(self, account: AccountId) -> int:
        """Step (7): every row that names the account, in every table, but for those that stay; how many there were."""
        async with self._database.account(account) as connection:
            begun = await connection.fetch(queries.objects_begun, account.value)
        for row in begun:
            await self._objects.delete(row["object_name"])
        removed = await self._remove_tokens(account)
        waiting = [name for name in await self._tables() if name not in KEPT_WHOLE and name != _TOKENS]
        while waiting:
            counts = {name: await self._remove_from(account, name) for name in waiting}
            moved = sum(count or 0 for count in counts.values())
            removed += moved
            waiting = [name for name, count in counts.items() if count is None or count == BATCH]
            if waiting and not moved:
                raise RowsStay(f"{waiting[0]} cannot be emptied: other rows refer to it; look at its foreign keys")
        return removed

    async def remove_objects(self, account: AccountId) -> int:
        """Step (8): everything under the account's prefix that no row names any more; how many there were."""
        async with self._database.account(account) as connection:
            prefix = await connection.fetchval(queries.object_prefix, account.value)
            named = {
                row["object_name"]
                for category in CATALOGUE
                if category.has_media
                for row in await connection.fetch(statements(category).after, account.value, UUID(int=0), BATCH)
            }
        found = [each.name async for each in self._objects.list(prefix) if each.name not in named]
        for name in found:
            await self._objects.delete(name)
        return len(found)

    async def remove_payloads(self, account: AccountId, erasure: ErasureId) -> None:
        """Step (9): what the log said before the closure's statement; its own statement's day goes slot by slot."""
        now = int(today(self._clock))
        async with self._database.account(account) as connection:
            below = await connection.fetchval(
                queries.statement_index, account.value, erasure.value, int(LeafClass.CLOSURE_UNREADABLE)
            )
            rows = await connection.fetch(queries.payload_slots, account.value, below, now)
            days = [row["day"] for row in await connection.fetch(queries.payload_days, account.value, below, now)]
        leaves = [LeafPath(AUDIT_CODE, 0, row["day"], row["slot"]) for row in rows]
        for at in range(0, max(len(leaves), 1), SLOTS_PER_TICK):
            some = leaves[at : at + SLOTS_PER_TICK]
            whole = [DayPath(AUDIT_CODE, 0, day) for day in days] if at == 0 else []
            if some or whole:
                await self._keeper.erase(account, erasure=str(erasure), leaves=some, days=whole)
        async with self._database.account(account) as connection:
            await connection.execute(queries.remove_payloads, account.value, below)

    async def compact(self) -> bool:
        """Step (10): tables that lost rows are written anew, WAL is retired; False when it has to wait."""
        tables = [name for name in await self._tables() if name not in KEPT_WHOLE and name not in _CODES]
        tables = [name for name in tables if name != _TOKENS and not name.startswith("evidence.")]
        for name in tables:
            if await self._must_wait_for_night(name):
                return False
        if not await self._remover.compact():
            return False
        for name in tables:
            async with self._database.pool.acquire() as connection:
                await connection.execute(_COMPACT.substitute(table=name))
            self._compacted_at_s[name] = self._clock.monotonic_s()
        return True

    async def tables_left(self, account: AccountId) -> list[str]:
        """The tables that still name the account."""
        async with self._database.account(account) as connection:
            return [row[0] for row in await connection.fetch(queries.tables_left, account.value)]

    async def _tables(self) -> list[str]:
        async with self._database.system() as connection:
            names = [str(row["name"]) for row in await connection.fetch(queries.tables_of_accounts)]
        assert all(_NAME.fullmatch(name) for name in names)
        return names

    async def _remove_tokens(self, account: AccountId) -> int:
        """Tokens by number, and the partitions that held them written anew."""
        async with self._database.account(account) as connection:
            rows = await connection.fetch(queries.remove_tokens_of_account, account.value)
        for partition in sorted({row["partition"] for row in rows}):
            async with self._database.system() as connection:
                await connection.execute(queries.rewrite_partition, partition)
        return len(rows)

    async def _remove_from(self, account: AccountId, name: str) -> int | None:
        """One batch of one table; None when other rows still refer to these."""
        arguments: tuple[Any, ...] = (account.value, name, _CODES.get(name), list(KEPT_CODES), BATCH)
        try:
            async with self._database.account(account) as connection:
                return int(await connection.fetchval(queries.remove_of_closed, *arguments))
        except asyncpg.ForeignKeyViolationError:
            return None

    async def _must_wait_for_night(self, name: str) -> bool:
        """A small table is rewritten at once, a large one once in twenty hours."""
        now_s = self._clock.monotonic_s()
        async with self._database.pool.acquire() as connection:
            size = await connection.fetchval(queries.table_size, name)
        last_s = self._compacted_at_s.get(name, now_s - COMPACTION_EVERY_S)
        return bool(size > COMPACTED_AT_ONCE_BYTES_MAX and now_s - last_s < COMPACTION_EVERY_S)
