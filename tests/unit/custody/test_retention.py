"""What is due goes in every account, whatever happens in another; and not on the word of a clock that jumped."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.conftest import ModuleDatabase, OpenDatabase

from sealwire.custody.keys.client import KeeperClient
from sealwire.custody.keys.effaceability import Effaceability
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.retention.expiry import ClockWatch, expire_due
from sealwire.custody.retention.periods import change, settle, settle_all, wanted
from sealwire.evidence.leaves import LeafClass
from sealwire.ground import diagnostics
from sealwire.ground.clock import TestClock, today
from sealwire.vocabulary import AccountId, CredentialId
from sealwire_verifier.note import SigningKey

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
            "INSERT INTO custody.live_call (account_id, record_id, retention_class, day, slot, kept_at, "
            "sealed, commitment, call_id, started_at, seen_at) VALUES ($1, $2, 0, $3, 0, $4, '', '', $2, $4, $4)",
            account, uuid4(), day - 3, NOON,
        )  # fmt: skip
        await owner.execute(
            "INSERT INTO custody.retention_period (account_id, category, retention_class, days, told_days) "
            "VALUES ($1, 6, 0, 2, 2)",
            account,
        )
    yield owner
    await owner.execute(
        "TRUNCATE governance.account, custody.live_call, custody.gone_day, custody.erasure, "
        "custody.retention_period, custody.expiry, evidence.event_outbox CASCADE"
    )
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


async def classes_of_leaves(owner: asyncpg.Connection[Any], account: UUID) -> list[LeafClass]:
    rows = await owner.fetch("SELECT leaf_class FROM evidence.event_outbox WHERE account_id = $1", account)
    return sorted(LeafClass(row["leaf_class"]) for row in rows)


async def test_a_run_that_erased_leaves_a_leaf_and_one_that_found_nothing_leaves_none(
    due_in_both: asyncpg.Connection[Any], database: OpenDatabase, clock: MovableClock
) -> None:
    worker = await database("sealwire_worker")
    assert await expire_due(worker, clock, backup_cycle_days=28) == 2
    first = await classes_of_leaves(due_in_both, FIRST)
    assert first == [LeafClass.ERASURE_REQUESTED, LeafClass.RETENTION_RUN]
    assert await expire_due(worker, clock, backup_cycle_days=28) == 0
    assert await classes_of_leaves(due_in_both, FIRST) == first


async def test_a_missed_night_is_caught_up_and_raises_an_alarm(
    due_in_both: asyncpg.Connection[Any], database: OpenDatabase, clock: MovableClock
) -> None:
    clock.advance(days=1)
    assert await expire_due(await database("sealwire_worker"), clock, backup_cycle_days=28) == 2
    assert LeafClass.RETENTION_MISSED in await classes_of_leaves(due_in_both, FIRST)
    (alarm,) = await due_in_both.fetch(
        "SELECT payload FROM evidence.event_outbox WHERE account_id = $1 AND leaf_class = $2",
        FIRST, int(LeafClass.RETENTION_MISSED),
    )  # fmt: skip
    told = json.loads(alarm["payload"])
    assert (told["days"], told["oldest_due"]) == (1, "2026-11-22")
    row = await due_in_both.fetchrow("SELECT * FROM custody.expiry WHERE account_id = $1", FIRST)
    assert row is not None
    assert (row["days"], row["missed_days"], row["missed_at"]) == (1, 1, clock.now())


async def test_what_is_past_due_only_since_its_period_was_shortened_was_not_missed(
    due_in_both: asyncpg.Connection[Any], database: OpenDatabase, clock: MovableClock
) -> None:
    await due_in_both.execute("UPDATE custody.retention_period SET changed_day = $1", int(today(clock)) + 5)
    clock.advance(days=5)
    assert await expire_due(await database("sealwire_worker"), clock, backup_cycle_days=28) == 2
    assert LeafClass.RETENTION_MISSED not in await classes_of_leaves(due_in_both, FIRST)


async def test_nothing_expires_by_a_period_that_the_keeper_was_not_told(
    due_in_both: asyncpg.Connection[Any], database: OpenDatabase, clock: MovableClock
) -> None:
    await due_in_both.execute("UPDATE custody.retention_period SET told_days = 40 WHERE account_id = $1", FIRST)
    assert await expire_due(await database("sealwire_worker"), clock, backup_cycle_days=28) == 1
    assert await hidden_days_of(due_in_both, FIRST) == 0


@pytest.fixture
async def keeper(tmp_path: Path, clock: MovableClock) -> AsyncIterator[Keeper]:
    """A real one, in this process, that knows the first account."""
    opened = await Keeper.open(tmp_path, clock=clock, effaceability=Effaceability("unverified", "a test"), findable={})
    key = SigningKey("sealwire.local/log/0123456789abcdef", Ed25519PrivateKey.generate())
    await opened.create_account(AccountId(FIRST), log_vkey=str(key.vkey), periods={"6/0": 2})
    yield opened
    await opened.close()


async def test_a_keeper_that_was_away_is_told_by_the_worker_and_only_then_it_counts(
    due_in_both: asyncpg.Connection[Any], database: OpenDatabase, clock: MovableClock, keeper: Keeper, tmp_path: Path
) -> None:
    service, worker, away = await database(), await database("sealwire_worker"), KeeperClient(tmp_path / "no.sock")
    account = AccountId(FIRST)
    async with service.account(account) as connection:
        await change(
            connection, account, [wanted("live-call", 0, 1)], instruction=None, by=CredentialId.new(),
            backup_cycle_days=28, clock=clock,
        )  # fmt: skip
    assert not await settle(service, away, account)
    assert await expire_due(worker, clock, backup_cycle_days=28) == 1  # the other account's
    assert keeper.load(account).periods == {"6/0": 2}
    assert await settle_all(worker, keeper) == 1  # type: ignore[arg-type] # in this process, not over a socket
    assert keeper.load(account).periods == {"6/0": 1}
    assert await settle_all(worker, keeper) == 0  # type: ignore[arg-type]
    assert await expire_due(worker, clock, backup_cycle_days=28) == 1
