"""`bench keep`: call records kept per second, sealed with all that belongs to it, against the same rows unsealed.

Sealed means the whole of `Custody.keep`: slot, seal, tokens, commitment, agreement check, row, index, outbox leaf,
one transaction each, while the sequencer writes the log beside it. Unsealed means the same columns, indexes and
round trips without any of that. Rounds of both alternate; the ratio is taken pair by pair.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.categories.codec import findable_values, pack_sealed, to_column
from sealwire.custody.lifecycle import Custody
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CallId, Day, HangupCause, Party, RecordId

CONNECTIONS = 16
_numbers = itertools.count()
_queries = load_queries(__package__, "baseline.sql")


def sample_call(number: int, now: dt.datetime) -> CallRecord:
    """A call record as they come: two numbers of the reserved ranges, a digit."""
    return CallRecord(
        call_id=CallId.new(),
        direction="inbound",
        started_at=now - dt.timedelta(seconds=61),
        answered_at=now - dt.timedelta(seconds=60),
        ended_at=now,
        hangup_cause=HangupCause.NORMAL,
        caller=Party(f"+4416329{number % 100_000:05d}"),
        callee=Party("+441632960100"),
        digits=str(number % 10),
    )


async def prepare_baseline(owner: Any) -> None:
    """Make the unsealed twin's tables, as the owner of the database."""
    await owner.execute(_queries.prepare)


async def measure(custody: Custody, account: AccountId, *, rounds: int, seconds: float) -> dict[str, Any]:
    """Rates and their ratio; medians over the rounds."""
    await _round(lambda n: _keep_sealed(custody, account, n), 0.5)
    await _round(lambda n: _keep_plain(custody, account, n), 0.5)
    sealed, plain = [], []
    for _ in range(rounds):
        plain.append(await _round(lambda n: _keep_plain(custody, account, n), seconds))
        sealed.append(await _round(lambda n: _keep_sealed(custody, account, n), seconds))
    ratios = [one / other for one, other in zip(sealed, plain, strict=True)]
    return {
        "bench": "keep",
        "connections": CONNECTIONS,
        "rounds": rounds,
        "sealed_per_s": round(statistics.median(sealed)),
        "unsealed_per_s": round(statistics.median(plain)),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
    }


async def _round(act: Callable[[int], Awaitable[None]], seconds: float) -> float:
    """How many a second `CONNECTIONS` concurrent loops manage."""
    ends_s, done, began_s = time.monotonic() + seconds, 0, time.monotonic()

    async def loop() -> None:
        nonlocal done
        while time.monotonic() < ends_s:
            done += 1
            await act(next(_numbers))

    await asyncio.gather(*(loop() for _ in range(CONNECTIONS)))
    return done / (time.monotonic() - began_s)


async def _keep_sealed(custody: Custody, account: AccountId, number: int) -> None:
    await custody.keep(account, sample_call(number, custody.clock.now()))


async def _keep_plain(custody: Custody, account: AccountId, number: int) -> None:
    record = sample_call(number, custody.clock.now())
    category = category_of(CallRecord)
    day = Day.of(record.ended_at)
    numbers = [value.encode() for value in findable_values(category, record)]
    plain = [to_column(getattr(record, field.name)) for field in category.plain_fields]
    await custody.database.call(
            _queries.keep, account.value, RecordId.new().value, 0, int(day), number, int(day) + 90,
            custody.clock.now(), pack_sealed(category, record), bytes(32), numbers, *plain,
        )  # fmt: skip
