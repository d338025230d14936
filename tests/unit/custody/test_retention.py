"""What is due goes in every account, whatever happens in another; and not on the word of a clock that jumped."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from tests.conftest import ModuleDatabase, OpenDatabase

from sealwire.custody.retention import ClockWatch, expire_due
from sealwire.ground import diagnostics
from sealwire.ground.clock import TestClock, today

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
FIRST, SECOND = UUID(int=1), UUID(int=2)


class MovableClock(TestClock):
    """A clock that somebody sets: the date changes and no time passes."""

    def set_by(self, **by: float) -> None:
        self._now += dt.timedelta(**by)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock(NOON)


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """The diagnostics of this process."""
    out = io.StringIO()
    diagnostics.start("test", out)
    yield out
    diagnostics.start("sealwire")


def events(told: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.getvalue().splitlines()]


@pytest.fixture
async def due_in_both(module_database: ModuleDatabase) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Two accounts with a record each whose last day was yesterday; a connection as the owner."""
    owner = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    day = int(today(TestClock(NOON)))
    for account in (FIRST, SECOND):
        await owner.execute(
            "INSERT INTO governance.account (account_id, name, object_prefix, log_origin, log_vkey, created_at) "
            "VALUES ($1, 'x', 'x', 'x', 'x', $2)",
            account, NOON,
        )  # fmt: skip
        await owner.execute(
            "INSERT INTO custody.live_call (account_id, record_id, retention_class, day, slot, due_day, kept_at, "
            "sealed, commitment, call_id, started_at, seen_at) VALUES ($1, $2, 0, $3, 0, $4, $5, '', '', $2, $5, $5)",
            account, uuid4(), day - 3, day - 1, NOON,
        )  # fmt: skip
    yield owner
    await owner.execute("TRUNCATE governance.account, custody.live_call, custody.gone_day, custody.erasure CASCADE")
    await owner.close()


async def hidden_days_of(owner: asyncpg.Connection[Any], account: UUID) -> int:
    return int(await owner.fetchval("SELECT count(*) FROM custody.gone_day WHERE account_id = $1", account))


async def test_an_account_where_expiry_fails_holds_up_no_other(
    due_in_both: asyncpg.Connection[Any], database: OpenDatabase, clock: MovableClock, told: io.StringIO
) -> None:
    await due_in_both.execute("""
        CREATE FUNCTION public.fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''x''; END';
        CREATE TRIGGER fails BEFORE INSERT ON custody.gone_day FOR EACH ROW
            WHEN (NEW.account_id = '00000000-0000-0000-0000-000000000001') EXECUTE FUNCTION public.fail()""")
    try:
        assert await expire_due(await database("sealwire_worker"), clock, backup_cycle_days=28) == 1
    finally:
        await due_in_both.execute("DROP FUNCTION public.fail() CASCADE")
    assert [await hidden_days_of(due_in_both, account) for account in (FIRST, SECOND)] == [0, 1]
    failed = [event for event in events(told) if event["event"] == "retention.account-failed"]
    assert [event["account"] for event in failed] == ["acc_" + FIRST.hex]
    assert await expire_due(await database("sealwire_worker"), clock, backup_cycle_days=28) == 1


async def test_a_clock_that_jumped_expires_nothing_until_it_is_back(
    due_in_both: asyncpg.Connection[Any], database: OpenDatabase, clock: MovableClock, told: io.StringIO
) -> None:
    worker, watch = await database("sealwire_worker"), ClockWatch(clock)
    clock.set_by(days=400)
    for _ in range(2):
        assert await expire_due(worker, clock, backup_cycle_days=28, watch=watch) == 0
        clock.advance(minutes=10)
    assert [await hidden_days_of(due_in_both, account) for account in (FIRST, SECOND)] == [0, 0]
    suspected = [event for event in events(told) if event["event"] == "clock.suspect"]
    assert [event["jump_s"] for event in suspected] == [400 * 86400] * 2
    clock.set_by(days=-400)
    assert await expire_due(worker, clock, backup_cycle_days=28, watch=watch) == 2


def test_a_clock_set_back_is_suspect_and_one_that_drifts_is_followed(clock: MovableClock) -> None:
    watch = ClockWatch(clock)
    for _ in range(100):
        clock.advance(minutes=10)
        clock.set_by(seconds=60)
        assert not watch.is_suspect()
    clock.set_by(minutes=-6)
    assert watch.is_suspect()


def test_a_new_start_after_somebody_has_looked_trusts_the_clock_again(clock: MovableClock) -> None:
    watch = ClockWatch(clock)
    clock.set_by(days=1)
    assert watch.is_suspect()
    assert not ClockWatch(clock).is_suspect()
