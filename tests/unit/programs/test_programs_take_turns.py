"""Which of several programs gets the next call, and how a program leaves and comes back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import OpenDatabase
from tests.unit.programs.house import House, joined, open_house, started
from tests.unit.programs.memory_call import MemoryCall

from sealwire.communications.control.port import ChannelState
from sealwire.doors.uas_gateway import UasGateway
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import ReturnCode


@pytest.fixture
async def house(tmp_path: Path, database: OpenDatabase) -> AsyncIterator[House]:
    async with open_house(tmp_path, await database()) as running:
        yield running


async def test_two_programs_share_the_calls_and_the_less_busy_one_is_asked_first(house: House) -> None:
    one, other = await house.start(await house.register()), await house.start(await house.register())
    calls = [MemoryCall(house.account) for _ in range(6)]
    running = [started(house, call=call) for call in calls]
    await house.until(lambda: all(call.primary.state is ChannelState.UP for call in calls))
    assert [len(each.sessions) for each in house.directory.connections] == [3, 3]
    assert [sum(line == "up" for line in each.lines) for each in (one, other)] == [3, 3]
    for call in calls[:2]:
        call.primary.end()
    for call in calls:
        call.primary.end()
    assert await asyncio.gather(*running) == [3] * 6


async def test_a_call_offered_to_a_program_that_dies_goes_to_another(house: House) -> None:
    dying = await joined(house, "stays")
    call = MemoryCall(house.account)
    running = started(house, call=call)
    await dying.frame("offer")
    await house.start(await house.register())
    await dying.close()
    await house.until(lambda: call.primary.state is ChannelState.UP)
    call.primary.end()
    assert await running == 3


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("declines", ReturnCode.APPLICATION_MISSING),
        ("dies", ReturnCode.PROGRAM_LOST),
        ("waits", ReturnCode.PROGRAM_SILENT),
    ],
)
async def test_a_call_that_no_program_takes_is_turned_away_with_the_reason(
    house: House, how: str, code: ReturnCode
) -> None:
    raw, call = await joined(house, "menu"), MemoryCall(house.account)
    running = started(house, "menu", call)
    offer = await raw.frame("offer")
    if how == "declines":
        raw.send(type="decline", call=offer["call"])
    elif how == "dies":
        await raw.close()
    assert await running == code
    assert call.primary.done == ["reject SERVICE_UNAVAILABLE"]


async def test_a_program_that_missed_an_offer_is_asked_after_the_others(house: House) -> None:
    raw = await joined(house, "stays")
    assert await started(house) == ReturnCode.PROGRAM_SILENT
    await house.start(await house.register())
    calls = [MemoryCall(house.account) for _ in range(3)]
    running = [started(house, call=call) for call in calls]
    await house.until(lambda: all(call.primary.state is ChannelState.UP for call in calls), seconds_max=1.5)
    for call in calls:
        call.primary.end()
    await asyncio.gather(*running)
    assert (await raw.frame("offer"))["application"] == "stays"


async def test_a_caller_who_hangs_up_before_a_program_takes_the_call_is_told_apart(house: House) -> None:
    raw, call = await joined(house, "menu"), MemoryCall(house.account)
    running = started(house, "menu", call)
    offer = await raw.frame("offer")
    call.primary.end()
    assert await running == ReturnCode.ENDED_BEFORE_START
    assert (await raw.frame("withdrawn"))["call"] == offer["call"]


async def test_a_program_has_no_more_calls_than_it_said_it_takes(house: House) -> None:
    raw = await joined(house, "menu", calls_max=1)
    running = started(house, "menu")
    offer = await raw.frame("offer")
    raw.send(type="accept", call=offer["call"])
    assert await started(house, "menu") == ReturnCode.APPLICATION_MISSING
    raw.send(type="done", call=offer["call"], code=1)
    assert await running == 1


async def test_sigterm_drains_calls_go_on_new_ones_go_elsewhere_and_the_program_ends_with_the_last(
    house: House,
) -> None:
    draining = await house.start(await house.register())
    call = MemoryCall(house.account)
    running = started(house, call=call)
    await house.until(lambda: call.primary.state is ChannelState.UP)
    other = await house.start(await house.register())
    draining.process.send_signal(signal.SIGTERM)
    await draining.says("draining, 1 calls")
    await house.until(lambda: any(each.is_draining for each in house.directory.connections))
    later = MemoryCall(house.account)
    running_later = started(house, call=later)
    await other.says("up")
    assert draining.process.returncode is None
    call.primary.end()
    assert await running == 3
    assert await draining.ends() == 0
    later.primary.end()
    assert await running_later == 3


async def test_a_program_comes_back_when_the_service_was_away(house: House) -> None:
    await house.start(await house.register())
    await house.gateway.stop()
    await house.until(lambda: house.directory.connections == [])
    again = UasGateway(house.settings, house.directory, database=house.database, clock=SystemClock())
    await asyncio.sleep(0.5)
    await again.start()
    try:
        await house.until(lambda: len(house.directory.connections) == 1)
        call = MemoryCall(house.account)
        running = started(house, "menu", call)
        call.primary.typed = "1"
        assert await running == 0
    finally:
        await again.stop()
