"""`bench expiry`: a day of a million records goes: unreadable like one record, removed at so many rows a second.

The customer shortens the period by one day at a time, so that each night has exactly one day to expire, and the worker
does the rest as it does every night. Rows of large days are made up by the database (as large as real ones, never to be
opened); the key tree does not know the difference. Removal is timed step by step here, with the product's own remover,
while records are kept beside it. Beside it: PostgreSQL deleting as many plain rows.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import statistics
import time
from dataclasses import dataclass
from typing import Any

import asyncpg

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.erasure import Ground, request_records
from sealwire.custody.lifecycle import Custody
from sealwire.custody.retention.periods import Wanted, change, settle
from sealwire.doors.bench import bulk
from sealwire.doors.bench.keep import sample_call
from sealwire.doors.bench.scratch import Scratch
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import CredentialId, Day, ErasureId, RecordId
from sealwire_verifier.certificate import LISTED_MAX

WAIT_S_MAX, COMPACTED_S_MAX, REST_S_MAX = 300.0, 5.0, 10.0
FIRST_DAY, SMALL = 80, LISTED_MAX + 1  # so many that no certificate lists the made-up ones, which no log knows
_CALLS = category_of(CallRecord)
_queries = load_queries(__package__, "expiry.sql")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many large days of how many records, and how many single records and small days for the tail."""

    large_days: int
    records: int
    samples: int


async def measure(scratch: Scratch, plan: Plan) -> dict[str, Any]:
    """Seconds to unreadable, rows removed a second, what keeps beside it waited for, WAL."""
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        plain_s = await bulk.measure_delete(owner, plan.records)
        singles = [await _erase_one(scratch) for _ in range(plan.samples)]
        days = [await _expire(scratch, owner, FIRST_DAY - at, SMALL) for at in range(plan.samples)]
        large = [
            await _expire(scratch, owner, FIRST_DAY - plan.samples - at, plan.records) for at in range(plan.large_days)
        ]
    finally:
        await owner.close()
    everything = [one.unreadable_s for one in [*days, *large]]
    rates = [plan.records / one.rows_gone_s for one in large]
    keeps = sorted(took for one in large for took in one.keeps_ms)
    return {
        "bench": "expiry",
        "records_per_day": plan.records,
        "large_days": len(large),
        "record_unreadable_s_median": round(statistics.median(singles), 4),
        "record_unreadable_s_p99": round(_p99(singles), 4),
        "day_unreadable_s_median": round(statistics.median(one.unreadable_s for one in large), 4),
        "day_unreadable_s_p99": round(_p99(everything), 4),
        "day_samples": len(everything),
        "day_over_record": round(statistics.median(one.unreadable_s for one in large) / statistics.median(singles), 2),
        "rows_removed_per_s": round(statistics.median(rates)),
        "plain_delete_per_s": round(plan.records / plain_s),
        "removed_over_plain": round(statistics.median(rates) / (plan.records / plain_s), 2),
        "removed_s_with_compaction": [one.removed_s for one in large],
        "wal_bytes_per_row": round(statistics.median(one.wal_bytes for one in large) / plan.records),
        "keeps_beside": len(keeps),
        "keep_ms_p99_beside": round(_p99(keeps), 1),
        "keep_ms_max_beside": round(keeps[-1], 1),
    }


@dataclass(frozen=True, slots=True)
class _Gone:
    """How one day went."""

    unreadable_s: float
    rows_gone_s: float
    removed_s: float | None
    wal_bytes: int
    keeps_ms: list[float]


async def _expire(scratch: Scratch, owner: Any, back: int, records: int) -> _Gone:
    """Fill the day so many days ago, let the period end before it, and watch it go."""
    custody, account = scratch.custody, scratch.account
    moment = custody.clock.now() - dt.timedelta(days=back)
    await custody.keep(account, sample_call(back, moment))  # so that the day is in use as any other
    await bulk.fill_day(owner, account, Day.of(moment), records)
    if records != SMALL:  # what was erased before is removed and compacted first, unless that waits for the night
        await _until(owner, _queries.at_rest, account.value, pause_s=0.2, wait_s=REST_S_MAX, must=False)
    await owner.execute(_queries.checkpoint)
    wal = await bulk.wal_bytes(owner)
    stop, keeps_ms = asyncio.Event(), list[float]()
    keeping = asyncio.create_task(_keep_beside(custody, scratch, stop, keeps_ms))
    try:
        async with custody.database.account(account) as connection:
            await change(
                connection, account, [Wanted(_CALLS, 0, back - 1)], instruction=None, by=CredentialId.new(),
                backup_cycle_days=28, clock=custody.clock,
            )  # fmt: skip
        await settle(custody.database, custody.keeper, account)
        where = (account.value, int(Day.of(moment)))
        hidden = await _until(owner, _queries.unreadable_day, *where)
        if records == SMALL:
            return _Gone(hidden["unreadable_s"], 0.0, None, 0, [])
        began_s = time.monotonic()
        await _until(owner, _queries.rows_gone, *where, pause_s=0.02)
        rows_gone_s = time.monotonic() - began_s
    finally:
        stop.set()
        await keeping
    removed = await _until(owner, _queries.removed_day, *where, wait_s=COMPACTED_S_MAX, must=False)
    return _Gone(
        hidden["unreadable_s"], rows_gone_s, round(removed["removed_s"], 1) if removed else None,
        await bulk.wal_bytes(owner) - wal, keeps_ms,
    )  # fmt: skip


async def _keep_beside(custody: Custody, scratch: Scratch, stop: asyncio.Event, keeps_ms: list[float]) -> None:
    number = 0
    while not stop.is_set():
        began_s, number = time.perf_counter(), number + 1
        await custody.keep(scratch.account, sample_call(number, custody.clock.now()))
        keeps_ms.append((time.perf_counter() - began_s) * 1000)
        await asyncio.sleep(0.02)


async def _erase_one(scratch: Scratch) -> float:
    custody, account = scratch.custody, scratch.account
    kept = await custody.keep(account, sample_call(1, custody.clock.now()))
    stored = await custody.find(account, [RecordId(kept.record.value)])
    async with custody.database.account(account) as connection:
        erasure = await request_records(
            connection, account, stored, ground=Ground.INSTRUCTION, requested_by=str(scratch.principal.credential),
            backup_cycle_days=28, clock=custody.clock,
        )  # fmt: skip
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        found = await _until(owner, _queries.unreadable_erasure, account.value, ErasureId(erasure.value).value)
    finally:
        await owner.close()
    return float(found["unreadable_s"])


async def _until(
    owner: Any, query: str, *where: object, pause_s: float = 0.01, wait_s: float = WAIT_S_MAX, must: bool = True
) -> Any:
    ends_s = time.monotonic() + wait_s
    while time.monotonic() < ends_s:
        if (found := await owner.fetchrow(query, *where)) is not None:
            return found
        await asyncio.sleep(pause_s)
    if must:
        raise TimeoutError(f"not within {wait_s:.0f} s")
    return None


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
