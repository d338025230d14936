"""The baselines, on the same PostgreSQL through the same driver: one with metadata indexes and an audit row, one bare.

Compliant, as GDPRbench and its followers measure it: rows in the clear, and for each operation one audit row, committed
in a transaction of its own. Bare: the key is the only index and nobody writes down who did what.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from sealwire.doors.bench.gdprbench.mixes import Kind, Operation
from sealwire.doors.bench.gdprbench.records import METADATA, Record, record_of
from sealwire.doors.bench.gdprbench.reference import Answer
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.queries import Queries, load_queries

COLUMNS = ("key", "pur", "ttl", "usr", "obj", "dec", "acl", "shr", "src", "cat", "data")


async def connect(dsn: str, *, clients: int) -> asyncpg.Pool[Any]:
    """As many connections as clients; plans are kept, and a returned connection costs no round trip."""
    return await asyncpg.create_pool(dsn, min_size=clients, max_size=clients, reset=_nothing)


class Plain:
    """Rows in the clear. Without a clock there is no audit."""

    def __init__(self, name: str, pool: asyncpg.Pool[Any], clock: Clock | None) -> None:
        self.name, self._pool, self._clock = name, pool, clock
        self._queries: Queries = load_queries(__package__, f"{name}.sql")
        self._acts: dict[Kind, Callable[[Operation], Awaitable[Answer]]] = {
            Kind.CREATE: self._create, Kind.READ: self._read, Kind.UPDATE: self._update, Kind.DELETE: self._delete,
            Kind.READ_BY_PURPOSE: self._read_many, Kind.READ_BY_USER: self._read_many,
            Kind.UPDATE_BY_PURPOSE: self._update_many, Kind.UPDATE_BY_USER: self._update_many,
            Kind.READ_LOG: self._read_log, Kind.VERIFY_DELETION: self._verify,
        }  # fmt: skip

    async def load(self, records: list[Record]) -> None:
        """Before anything is measured."""
        rows = [_row(record) for record in records]
        async with self._pool.acquire() as connection:
            await connection.copy_records_to_table(self.name, schema_name="bench", records=rows, columns=COLUMNS)
            await connection.execute("VACUUM ANALYZE")

    async def perform(self, operation: Operation) -> Answer:
        """One operation, and its audit row."""
        answer = await self._acts[operation.kind](operation)
        if self._clock is not None:
            kind, subject = operation.kind.value, operation.subject
            await self._pool.execute(self._queries.note, self._clock.now(), "controller", kind, subject)
        return answer

    async def settle(self) -> None:
        """A row that is deleted is no longer answered: there is nothing to wait for."""

    async def rest(self) -> None:
        """Nothing runs on behind it that is this store's own."""

    async def _create(self, operation: Operation) -> None:
        await self._pool.execute(self._queries.create, *_row(record_of(operation.subject)))

    async def _read(self, operation: Operation) -> Answer:
        row = await self._pool.fetchrow(self._queries.read, operation.subject)
        return None if row is None else (tuple(row[1:9]), row["usr"], row["data"])

    async def _update(self, operation: Operation) -> None:
        await self._pool.execute(self._queries.update, operation.subject, operation.value)

    async def _delete(self, operation: Operation) -> None:
        await self._pool.execute(self._queries.erase, operation.subject)

    async def _read_many(self, operation: Operation) -> Answer:
        by_purpose = operation.kind is Kind.READ_BY_PURPOSE
        statement = self._queries.read_by_purpose if by_purpose else self._queries.read_by_user
        return answer_of(await self._pool.fetch(statement, operation.subject))

    async def _update_many(self, operation: Operation) -> None:
        by_purpose = operation.kind is Kind.UPDATE_BY_PURPOSE
        statement = self._queries.update_by_purpose if by_purpose else self._queries.update_by_user
        await self._pool.execute(statement, operation.subject, operation.field, operation.value)

    async def _read_log(self, operation: Operation) -> Answer:
        if self._clock is None:
            return None
        return len(await self._pool.fetch(self._queries.read_log, operation.subject))

    async def _verify(self, operation: Operation) -> Answer:
        return bool(await self._pool.fetchval(self._queries.verify, operation.subject))


def answer_of(rows: list[Any]) -> dict[int, tuple[int, ...]]:
    """Rows that begin with the key, as the reference has them: metadata by key."""
    return {row[0]: tuple(row[1:]) for row in rows}


def _row(record: Record) -> tuple[Any, ...]:
    named = dict(zip(METADATA, record.metadata, strict=True))
    named |= {"key": record.key, "usr": record.usr, "data": record.data}  # type: ignore[dict-item]
    return tuple(named[column] for column in COLUMNS)


async def _nothing(_connection: object) -> None:
    """As the service's own pool does: nothing is ever set for a session."""
