"""Many made-up records at once, for benches: made by the database itself, so neither sealed nor openable.

What is measured with them does not look inside: removal by day, and lookups that find other records among them.
"""

from __future__ import annotations

import time
from typing import Any

from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, Day

TOKENS_PER_RECORD = 2
_queries = load_queries(__package__, "bulk.sql")


async def fill_index(owner: Any, account: AccountId, *, days: list[int], records_per_day: int) -> int:
    """Random tokens, two for each made-up record; how many there are."""
    for day in days:
        await owner.execute(_queries.fill_index, account.value, day, records_per_day)
    await owner.execute(_queries.analyse_index)
    return len(days) * records_per_day * TOKENS_PER_RECORD


async def fill_day(owner: Any, account: AccountId, day: Day, records: int) -> None:
    """Rows of call records of one day, as large as real ones, with their tokens; to be erased, never to be opened."""
    await owner.execute(_queries.fill_rows, account.value, int(day), records)
    await owner.execute(_queries.analyse_rows)
    await owner.execute(_queries.note_day, account.value, int(day))


async def measure_delete(owner: Any, records: int) -> float:
    """Seconds in which PostgreSQL deletes as many plain rows of one day: a table with a key and one index."""
    await owner.execute(_queries.plain_rows)
    await owner.execute(_queries.fill_plain_rows, records)
    return float(await _seconds(owner, _queries.delete_plain_rows))


async def prepare_plain_index(owner: Any, rows: int) -> list[str]:
    """A plaintext index of so many rows, as any cloud has one; some numbers that are in it."""
    await owner.execute(_queries.plain_index)
    for at in range(0, rows, 1_000_000):
        await owner.execute(_queries.fill_plain_index, min(1_000_000, rows - at))
    await owner.execute(_queries.index_plain_index)
    return [row["number"] for row in await owner.fetch(_queries.some_numbers)]


async def find_plain(owner: Any, number: str) -> int:
    """One plaintext lookup; how many records it found."""
    return len(await owner.fetch(_queries.find_plain, number))


async def wal_bytes(owner: Any) -> int:
    """How much WAL there has ever been."""
    return int(await owner.fetchval(_queries.wal_bytes))


async def _seconds(owner: Any, statement: str) -> float:
    began_s = time.monotonic()
    await owner.execute(statement)
    return time.monotonic() - began_s
