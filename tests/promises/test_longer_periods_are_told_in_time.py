"""A longer period that was chosen while the keeper was away is told to it before its own sweep goes by the old one."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

from sealwire.custody.retention.periods import change, periods_of, wanted
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.keeper import FIRST_SWEEP_AFTER_S
from sealwire.timetable import SETTLE

from .conftest import RECORD_PARTS

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]


async def is_told(scratch: Scratch) -> bool:
    async with scratch.custody.database.account(scratch.account) as connection:
        periods = await periods_of(connection, scratch.account)
    return all(period.is_in_force for period in periods)


async def test_whoever_chose_it_may_die_and_the_keeper_be_away() -> None:
    """As when the API was killed after its transaction, while the keeper was being started again."""
    async with scratch_cloud(RECORD_PARTS) as scratch:
        keeper = scratch.cloud.child("keeper")
        assert keeper.pid is not None
        os.kill(keeper.pid, signal.SIGKILL)
        await keeper.wait()
        async with scratch.custody.database.account(scratch.account) as connection:
            await change(
                connection, scratch.account, [wanted("recording", 0, 90)], instruction=None,
                by=scratch.principal.credential, backup_cycle_days=28, clock=scratch.custody.clock,
            )  # fmt: skip
        await asyncio.sleep(2)  # the worker was woken, and found no keeper
        assert not await is_told(scratch)
        keeper.start()
        begun_s = time.monotonic()
        while not await is_told(scratch):
            assert time.monotonic() - begun_s < FIRST_SWEEP_AFTER_S, "the keeper would have swept by the old period"
            await asyncio.sleep(0.2)


async def test_the_keeper_waits_with_its_first_sweep_for_longer_than_telling_it_takes() -> None:
    assert SETTLE.every_s <= FIRST_SWEEP_AFTER_S / 2
