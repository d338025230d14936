"""`bench erase`: how long until erased means unreadable, for one record, for a day, and for many scattered ones.

E1 is taken from the erasure's own row: from the request's transaction to the moment the keeper's receipt was there
and the tokens were gone. Days are loaded with COPY, sealed like any record; nothing about the erasure is special.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import statistics
import time
from typing import Any

import asyncpg

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.categories.codec import findable_values, pack_sealed, to_column
from sealwire.custody.erasure import Erasure, Ground, find, request_day, request_records
from sealwire.custody.index import index_bucket
from sealwire.doors.bench.keep import sample_call
from sealwire.doors.bench.scratch import Scratch
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import Day, ErasureId, RecordId

WAIT_S_MAX = 120.0
_queries = load_queries(__package__, "baseline.sql")


async def measure(scratch: Scratch, *, days: int, records_per_day: int, singles: int, scattered: int) -> dict[str, Any]:
    """E1 in seconds; the day's figure is over `days` days of `records_per_day` records each."""
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        today = scratch.custody.clock.now()
        moments = [today - dt.timedelta(days=1 + n) for n in range(days)]
        loaded = [await _load_day(scratch, owner, moment, records_per_day) for moment in moments]
        one = [await _erase_records(scratch, [record]) for record in loaded[0][:singles]]
        many = await _erase_records(scratch, loaded[0][singles : singles + scattered])
        day = []
        for moment in moments:
            day.append(await _erase_day(scratch, moment))
            if moment is not moments[-1]:
                await _rest(owner, Day.of(moment))
    finally:
        await owner.close()
    record_median, day_median = statistics.median(one), statistics.median(day)
    return {
        "bench": "erase",
        "records_per_day": records_per_day,
        "record_samples": len(one),
        "record_e1_s_median": round(record_median, 4),
        "record_e1_s_p99": round(_p99(one), 4),
        "day_samples": len(day),
        "day_e1_s_median": round(day_median, 4),
        "day_e1_s_p99": round(_p99(day), 4),
        "day_over_record": round(day_median / record_median, 3),
        "scattered_records": scattered,
        "scattered_e1_s": round(many, 4),
        "scattered_per_s": round(scattered / many),
    }


async def _load_day(
    scratch: Scratch, owner: asyncpg.Connection[Any], moment: dt.datetime, count: int
) -> list[RecordId]:
    """Sealed call records of one day, written in bulk."""
    custody, account, category = scratch.custody, scratch.account, category_of(CallRecord)
    names = [field.name for field in category.plain_fields]
    rows, tokens, kept = [], [], []
    for number in range(count):
        record = sample_call(number, moment)
        slot = await custody.sealer.slot(account, category=category.code, day=Day.of(moment))
        sealed = slot.seal(pack_sealed(category, record), findable_values(category, record))
        record_id, where = RecordId.new(), sealed.context
        head = (account.value, record_id.value, 0, where.day, where.slot, moment)
        plain = [to_column(getattr(record, name)) for name in names]
        rows.append((*head, sealed.blob, sealed.commitment, *plain))
        place = (where.day, category.code, 0, index_bucket(account, where.day))
        tokens += [(account.value, record_id.value, *place, token) for token in sealed.tokens]
        kept.append((account.value, record_id.value, category.code, sealed.commitment))
    columns = ["account_id", "record_id", "retention_class", "day", "slot", "kept_at"]
    columns += ["sealed", "commitment"]
    await owner.copy_records_to_table(category.table, schema_name="custody", records=rows, columns=[*columns, *names])
    await owner.copy_records_to_table("blind_index", schema_name="custody", records=tokens)
    await owner.copy_records_to_table(
        "kept_outbox", schema_name="evidence", records=kept,
        columns=["account_id", "record_id", "category", "commitment"],
    )  # fmt: skip
    return [RecordId(row[1]) for row in rows]


async def _erase_records(scratch: Scratch, records: list[RecordId]) -> float:
    custody = scratch.custody
    stored = await custody.find(scratch.account, records)
    async with custody.database.account(scratch.account) as connection:
        erasure = await request_records(
            connection, scratch.account, stored, ground=Ground.INSTRUCTION,
            requested_by=str(scratch.principal.credential), backup_cycle_days=28, clock=custody.clock,
        )  # fmt: skip
    return await _e1_seconds(scratch, erasure)


async def _erase_day(scratch: Scratch, moment: dt.datetime) -> float:
    custody = scratch.custody
    async with custody.database.account(scratch.account) as connection:
        erasure = await request_day(
            connection, scratch.account, category_of(CallRecord), Day.of(moment), retention_class=0,
            ground=Ground.INSTRUCTION, requested_by=str(scratch.principal.credential), backup_cycle_days=28,
            clock=custody.clock,
        )  # fmt: skip
    assert erasure is not None
    return await _e1_seconds(scratch, erasure)


async def _e1_seconds(scratch: Scratch, erasure: ErasureId) -> float:
    """From the request to `unreadable`. A large table is compacted at night, so `removed` is not waited for."""
    ends_s = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < ends_s:
        found = await _find(scratch, erasure)
        if found.unreadable_at is not None:
            return (found.unreadable_at - found.requested_at).total_seconds()
        await asyncio.sleep(0.01)
    raise TimeoutError(f"{erasure} was not unreadable within {WAIT_S_MAX:.0f} s")


async def _rest(owner: asyncpg.Connection[Any], day: Day) -> None:
    """Wait until the rows of an erased day are gone, so that the next sample starts from rest."""
    for _ in range(int(WAIT_S_MAX * 10)):
        if not await owner.fetchval(_queries.rows_of_day, int(day)):
            return
        await asyncio.sleep(0.1)


async def _find(scratch: Scratch, erasure: ErasureId) -> Erasure:
    async with scratch.custody.database.account(scratch.account) as connection:
        return await find(connection, scratch.account, erasure)


def _p99(values: list[float]) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
