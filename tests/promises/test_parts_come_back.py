"""What breaks for a moment is mended by itself: nobody has to start anything again, and erasures are soon in time."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from sealwire.custody.keys.client import KeeperUnavailable
from sealwire.custody.lifecycle import keeper_client
from sealwire.custody.sealing import sealer
from sealwire.custody.sealing.sealer import Sealer
from sealwire.doors import switchboard
from sealwire.doors.bench.scratch import Scratch
from sealwire.doors.doctor import State, removal
from sealwire.doors.supervisor import KEEPER, SEQUENCER, WORKER, Part
from sealwire.ground.clock import TestClock, today
from sealwire.ground.postgres.database import DatabaseUnavailable

from .acts import ask_to_erase, erasure_at, keep_call

pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def owner_of(scratch: Scratch) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        yield connection
    finally:
        await connection.close()


async def erased_within_s(scratch: Scratch, number: str) -> float:
    kept = await keep_call(scratch, number)
    began_s = time.monotonic()
    await erasure_at(scratch, await ask_to_erase(scratch, [kept.record]), "unreadable", "removed", seconds=20)
    return time.monotonic() - began_s


async def until_ready(scratch: Scratch, part: Part) -> None:
    ends_s = time.monotonic() + 20
    while not part.is_ready(scratch.settings):
        assert time.monotonic() < ends_s
        await asyncio.sleep(0.02)


async def test_a_worker_whose_connection_was_ended_still_erases_within_two_seconds(scratch: Scratch) -> None:
    async with owner_of(scratch) as owner:
        for round_trip in range(3):
            ended = await owner.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = 'sealwire_worker' AND starts_with(query, 'LISTEN')"
            )
            assert len(ended) == 1
            assert await erased_within_s(scratch, f"+44163296080{round_trip}") < 2
            await asyncio.sleep(0.5)


async def test_an_erasure_that_failed_is_tried_again_in_a_second_or_two(scratch: Scratch) -> None:
    kept = await keep_call(scratch, "+441632960810")
    keeper = scratch.cloud.child("keeper")
    await keeper.stop()
    erasure = await ask_to_erase(scratch, [kept.record])
    await asyncio.sleep(0.5)
    await erasure_at(scratch, erasure, "hidden")
    keeper.start()
    back_s = time.monotonic()
    await erasure_at(scratch, erasure, "unreadable", "removed", seconds=40)
    assert time.monotonic() - back_s < 6


async def test_calls_stay_up_when_the_keeper_dies_while_blocks_are_given_back(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, client = TestClock(dt.datetime.now(dt.UTC)), keeper_client(scratch.settings)
    monkeypatch.setattr(scratch.custody, "sealer", Sealer(client, clock))
    await scratch.custody.sealer.slot(scratch.account, category=1, day=today(clock))
    keeper = scratch.cloud.child("keeper")
    assert keeper.pid is not None
    os.kill(keeper.pid, signal.SIGSTOP)
    clock.advance(seconds=sealer.IDLE_S_MAX + 1)
    dropping = asyncio.ensure_future(switchboard._again_and_again(scratch.custody.sealer.drop_idle, 0.01))
    await asyncio.sleep(0.2)
    os.kill(keeper.pid, signal.SIGKILL)
    await keeper.wait()
    await asyncio.sleep(0.2)
    assert not dropping.done()
    keeper.start()
    await until_ready(scratch, KEEPER)
    await scratch.custody.sealer.slot(scratch.account, category=1, day=today(clock))
    clock.advance(seconds=sealer.IDLE_S_MAX + 1)
    ends_s = time.monotonic() + 10
    while scratch.custody.sealer._blocks and time.monotonic() < ends_s:
        await asyncio.sleep(0.02)
    assert not scratch.custody.sealer._blocks
    assert not dropping.done()
    dropping.cancel()
    await asyncio.gather(dropping, return_exceptions=True)
    await client.close()


async def test_calls_stay_up_whatever_giving_back_blocks_raises() -> None:
    tries = asyncio.Queue[None]()

    async def unlucky() -> None:
        tries.put_nowait(None)
        raise KeeperUnavailable

    dropping = asyncio.ensure_future(switchboard._again_and_again(unlucky, 0.01))
    for _ in range(3):
        await asyncio.wait_for(tries.get(), 5)
    assert not dropping.done()
    dropping.cancel()
    await asyncio.gather(dropping, return_exceptions=True)


async def test_a_killed_database_is_said_to_be_away_and_serves_again_when_it_is_back(scratch: Scratch) -> None:
    kept = await keep_call(scratch, "+441632960820")
    database = scratch.cloud.child("postgres")
    assert database.pid is not None
    os.kill(database.pid, signal.SIGKILL)
    await database.wait()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await scratch.custody.find(scratch.account, [kept.record])
        with pytest.raises(DatabaseUnavailable):
            await keep_call(scratch, "+441632960821")
    await scratch.cloud.cluster.start_server()
    assert await scratch.custody.find(scratch.account, [kept.record])
    if not scratch.cloud.child("sequencer").is_running:
        scratch.cloud.child("sequencer").start()
        await until_ready(scratch, SEQUENCER)
    assert scratch.cloud.child("worker").is_running
    assert await erased_within_s(scratch, "+441632960822") < 4


async def test_a_worker_is_ready_when_it_hears_requests_and_not_before_or_after(scratch: Scratch) -> None:
    worker = scratch.cloud.child("worker")
    assert WORKER.is_ready(scratch.settings)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    await worker.wait()
    assert not WORKER.is_ready(scratch.settings)
    worker.start()
    assert not WORKER.is_ready(scratch.settings)
    await until_ready(scratch, WORKER)
    async with owner_of(scratch) as owner:
        assert await owner.fetchval("SELECT count(*) FROM pg_stat_activity WHERE starts_with(query, 'LISTEN')") == 1


async def test_ciphertext_that_waits_longer_than_a_day_is_told_by_the_doctor(scratch: Scratch) -> None:
    await scratch.cloud.child("worker").stop()
    kept = await keep_call(scratch, "+441632960830")
    erasure = await ask_to_erase(scratch, [kept.record])
    async with owner_of(scratch) as owner:
        for hours, state in ((23, State.FINE), (25, State.WARNING)):
            await owner.execute(
                "UPDATE custody.erasure SET state = 'unreadable', unreadable_at = $2 WHERE erasure_id = $1",
                erasure.value, dt.datetime.now(dt.UTC) - dt.timedelta(hours=hours),
            )  # fmt: skip
            found = await asyncio.to_thread(removal, scratch.settings)
            assert found.state is state, found
    assert found.sentence.startswith("1 erasure")
