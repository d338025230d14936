"""A hundred thousand records of one number are told completely, in little memory, and the first of them soon."""

from __future__ import annotations

import asyncio
import ctypes
import datetime as dt
import gc
import json
import os
import time
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.categories.codec import findable_values, pack_sealed, to_column
from sealwire.custody.index import index_bucket
from sealwire.custody.requests.answering import Answer
from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import CallId, Day, HangupCause, Party

from .requests_house import SURROUNDINGS, until_indexed

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]
PERSON, OTHERS = "+441632960500", "+4416329605"
RECORDS = int(os.environ.get("SEALWIRE_TEST_RECORDS", "100000"))
GROWTH_MIB_MAX = 64
CHUNK = 5_000
CALLS = category_of(CallRecord)


async def keep_many(scratch: Scratch, count: int) -> set[UUID]:
    """Real sealed records: half of them on one day, the person on either side of the call."""
    kept: set[UUID] = set()
    for begin in range(0, count, CHUNK):
        kept |= await keep_some(scratch, range(begin, min(begin + CHUNK, count)))
    return kept


async def keep_some(scratch: Scratch, numbers: range) -> set[UUID]:
    """Sealed like any other, and written in one go."""
    custody, account, now = scratch.custody, scratch.account.value, scratch.custody.clock.now()
    rows, tokens = [], []
    for number in numbers:
        ended_at = now - dt.timedelta(days=0 if number % 2 else number % 20)
        parties = [Party(PERSON), Party(f"{OTHERS}{number % 90 + 10}")]
        caller, callee = parties if number % 3 else reversed(parties)
        record = CallRecord(
            call_id=CallId.new(), direction="inbound", started_at=ended_at, answered_at=None, ended_at=ended_at,
            hangup_cause=HangupCause.NORMAL, caller=caller, callee=callee, digits="",
        )  # fmt: skip
        slot = await custody.sealer.slot(scratch.account, category=CALLS.code, day=Day.of(ended_at))
        sealed = slot.seal(pack_sealed(CALLS, record), findable_values(CALLS, record))
        where, record_id = sealed.context, record.call_id.value
        plain = [to_column(getattr(record, field.name)) for field in CALLS.plain_fields]
        rows.append((account, record_id, 0, where.day, where.slot, now, sealed.blob, sealed.commitment, *plain))
        place = (where.day, CALLS.code, 0, index_bucket(scratch.account, where.day))
        tokens += [(account, record_id, *place, token) for token in sealed.tokens]
    columns = ["account_id", "record_id", "retention_class", "day", "slot", "kept_at", "sealed", "commitment"]
    columns += [field.name for field in CALLS.plain_fields]
    of_index = ["account_id", "record_id", "day", "category", "retention_class", "bucket", "token"]
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        await owner.copy_records_to_table("call_record", schema_name="custody", records=rows, columns=columns)
        await owner.copy_records_to_table("blind_index", schema_name="custody", records=tokens, columns=of_index)
        await owner.execute("ANALYZE custody.blind_index; ANALYZE custody.call_record")
    finally:
        await owner.close()
    return {row[1] for row in rows}


def peak_mib() -> float:
    """The most memory this process had since `forget_peak`."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def forget_peak() -> float:
    """From here on; what was freed before is given back, so that it hides nothing."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mib()


async def test_every_record_is_told_once_in_bounded_memory(scratch: Scratch) -> None:
    await until_indexed(scratch)
    kept = await keep_many(scratch, RECORDS)
    answer = Answer(scratch.custody, scratch.principal, Party(PERSON), surroundings=SURROUNDINGS, mixed_audio=False)
    began_mib, began_s = forget_peak(), time.monotonic()
    first = await answer.begin()
    found_s, told, told_bytes, first_s = time.monotonic() - began_s, set(), 0, 0.0
    async for page in answer.told():
        first_s = first_s or time.monotonic() - began_s
        told_bytes += sum(len(json.dumps(each.line)) for each in page)
        fresh = {each.record.stored.record.value for each in page}
        assert not fresh & told
        told |= fresh
        await asyncio.sleep(0)
    summary = await answer.end()
    grown = peak_mib() - began_mib
    took_s = time.monotonic() - began_s
    print(
        f"\n{len(told)} records, {told_bytes / 1e6:.0f} MB in {took_s:.1f} s; found in {found_s * 1e3:.0f} ms, "
        f"first page after {first_s * 1e3:.0f} ms; peak grew by {grown:.1f} MiB"
    )
    assert told == kept
    assert first["found"] == len(kept)
    assert (summary["complete"], summary["counts"]["named"]) == (True, len(kept))
    assert grown < GROWTH_MIB_MAX, f"the answer of {told_bytes >> 20} MiB took {grown:.0f} MiB of memory"
