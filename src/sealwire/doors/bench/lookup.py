"""`bench lookup`: how long until the first answer to "everything about this number", among millions of records.

The first answer is all of a search but opening: the leaf of the lookup in a signed checkpoint, a token for each day of
each category in use from the keeper, a probe of the index for each, and the rows of the first page. Most records are
made up (random tokens in the index, no row); those of the numbers that are searched are real: sealed, kept, in the log.
Beside it, pair by pair, a plaintext lookup in a plain table of as many rows. Cold: the first search of a
number; nothing is restarted for it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import statistics
import time
from dataclasses import dataclass
from typing import Any

import asyncpg

from sealwire.custody.categories import CATALOGUE
from sealwire.custody.requests.finding import pages, search
from sealwire.doors.bench import bulk
from sealwire.doors.bench.keep import sample_call
from sealwire.doors.bench.scratch import Scratch
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import Day, Party, Purpose

DAYS = 90
_queries = load_queries(__package__, "bulk.sql")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is looked through, and how often."""

    records: int
    lookups: int


async def measure(scratch: Scratch, plan: Plan) -> dict[str, Any]:
    """Milliseconds to the first answer, warm and cold, and to the same in plaintext."""
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        today = int(Day.of(scratch.custody.clock.now()))
        days = [today - back for back in range(DAYS)]
        codes = [category.code for category in CATALOGUE if category.findable_positions]
        people = await _keep_real(scratch, plan.lookups)
        tokens = await bulk.fill_index(owner, scratch.account, days=days, records_per_day=plan.records // DAYS)
        await owner.execute(_queries.note_days_of_all, scratch.account.value, codes, days)
        numbers = await bulk.prepare_plain_index(owner, tokens)
        warm, plain = list[float](), list[float]()
        asked, first, found = 0, 0.0, 0
        for at, person in enumerate(people):
            began_s = time.perf_counter()
            asked, count = await _first_answer(scratch, person)
            took_ms = (time.perf_counter() - began_s) * 1000
            first, warm = (took_ms, warm) if at == 0 else (first, [*warm, took_ms])
            found += count
            began_s = time.perf_counter()
            await bulk.find_plain(owner, numbers[at % len(numbers)])
            plain.append((time.perf_counter() - began_s) * 1000)
    finally:
        await owner.close()
    ordered = sorted(warm)
    return {
        "bench": "lookup",
        "records": plan.records,
        "index_rows": tokens,
        "tokens_per_lookup": asked,
        "lookups": len(warm),
        "first_answer_ms_median": round(statistics.median(warm), 1),
        "first_answer_ms_p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 1),
        "cold_first_answer_ms": round(first, 1),
        "plaintext_ms_median": round(statistics.median(plain), 2),
        "over_plaintext": round(statistics.median(warm) / statistics.median(plain), 1),
        "recall": found / (len(people) * RECORDS_OF_EACH),
    }


RECORDS_OF_EACH = 3


async def _keep_real(scratch: Scratch, people: int) -> list[Party]:
    """Each person's calls, on different days, kept as any record is."""
    now, parties = scratch.custody.clock.now(), []
    for person in range(people):
        call = sample_call(person, now)
        for back in range(RECORDS_OF_EACH):
            moment = now - dt.timedelta(days=back * 29 + person % 7)
            await scratch.custody.keep(scratch.account, sample_call(person, moment))
        parties.append(call.caller)
    await asyncio.sleep(1)  # until the sequencer rests
    return parties


async def _first_answer(scratch: Scratch, person: Party) -> tuple[int, int]:
    """How many tokens were looked for, and how many living records the first page has."""
    found = await search(scratch.custody, scratch.principal, person, purpose=Purpose.SUBJECT_REQUEST)
    async for page in pages(scratch.custody, found):
        return len(found.days), len(page.living)
    return len(found.days), 0
