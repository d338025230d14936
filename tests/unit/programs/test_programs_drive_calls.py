"""A real program in its own process, over real TLS, drives a call; whatever becomes of it, the call ends well."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conftest import OpenDatabase
from tests.unit.programs.house import House, open_house
from tests.unit.programs.memory_call import MemoryCall

from sealwire.communications.control.port import ChannelState, Interruption
from sealwire.vocabulary import HangupCause, ReturnCode


@pytest.fixture
async def house(tmp_path: Path, database: OpenDatabase) -> AsyncIterator[House]:
    async with open_house(tmp_path, await database()) as running:
        yield running


async def run(house: House, name: str, call: MemoryCall, *, seconds_max: float = 20) -> int:
    application = house.directory.application(house.account, name)
    assert application is not None
    async with asyncio.timeout(seconds_max):
        return await application.run(call)


async def test_a_program_answers_prompts_collects_and_returns_its_code(house: House) -> None:
    program = await house.start(await house.register())
    call = MemoryCall(house.account)
    call.primary.typed = "2"
    assert await run(house, "menu", call) == 7
    assert await program.says("digits") == "digits 2 count inbound"
    assert call.primary.done == ["answer", "play 160 any", "collect 1", "play 70"]
    assert call.speech_s > 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("none", 0),
        ("0", 0),
        ("12", 12),
        ("-100", -100),
        ("-99", ReturnCode.RESERVED_CODE_RETURNED),
        ("-1", ReturnCode.RESERVED_CODE_RETURNED),
        ("text", ReturnCode.NOT_AN_INTEGER),
        ("true", ReturnCode.NOT_AN_INTEGER),
        ("large", ReturnCode.NOT_AN_INTEGER),
    ],
)
async def test_what_a_program_returns_becomes_the_code_or_says_what_was_wrong(
    house: House, arguments: str, code: int
) -> None:
    await house.start(await house.register())
    assert await run(house, "code", MemoryCall(house.account, arguments=arguments)) == code


async def test_an_application_that_raises_has_failed_and_its_words_are_not_logged(house: House) -> None:
    program = await house.start(await house.register())
    assert await run(house, "fails", MemoryCall(house.account)) == ReturnCode.APPLICATION_FAILED
    await program.says("failed: RuntimeError at stage_program.py")
    assert "+441632960123" not in "\n".join(program.lines)


async def test_three_legs_are_dialled_spoken_to_at_once_bridged_and_recorded(house: House) -> None:
    program = await house.start(await house.register())
    call = MemoryCall(house.account)
    assert await run(house, "legs", call) == 3
    assert await program.says("not reached") == "not reached busy"
    await program.says("other has ended")
    assert await program.says("failed") == "failed missing"
    assert call.recording == ["start 2", "pause", "resume", "stop"]
    assert call.parameters == "three legs"
    assert call.channels[2].state is ChannelState.ENDED


async def test_stop_ends_the_verb_under_way_without_waiting_for_it(house: House) -> None:
    await house.start(await house.register())
    assert await run(house, "stops", MemoryCall(house.account), seconds_max=5) == 0


async def test_what_somebody_outside_wants_reaches_the_program(house: House) -> None:
    program = await house.start(await house.register())
    call = MemoryCall(house.account)
    call.interruptions.put_nowait(Interruption("redirect", {"to": "desk"}))
    assert await run(house, "redirected", call) == 0
    assert await program.says("wanted") == "wanted redirect {'to': 'desk'}"


async def test_a_caller_who_hangs_up_is_told_to_the_program_whose_code_counts(house: House) -> None:
    program = await house.start(await house.register())
    call = MemoryCall(house.account)
    running = asyncio.ensure_future(run(house, "stays", call))
    await house.until(lambda: call.primary.state is ChannelState.UP)
    call.primary.end(HangupCause.NORMAL)
    assert await running == 3
    assert await program.says("ended") == "ended normal"


async def test_an_application_that_lets_the_hangup_pass_has_ended_well(house: House) -> None:
    await house.start(await house.register())
    call = MemoryCall(house.account)
    call.primary.play_s = 30
    running = asyncio.ensure_future(run(house, "lets-go", call))
    await house.until(lambda: "play 400 any" in call.primary.done)
    call.primary.end()
    assert await running == 0


@pytest.mark.alone
async def test_kill_9_in_mid_call_hangs_up_every_channel_at_once_with_a_code_of_its_own(house: House) -> None:
    program = await house.start(await house.register())
    call = MemoryCall(house.account)
    running = asyncio.ensure_future(run(house, "stays", call))
    await house.until(lambda: call.primary.state is ChannelState.UP)
    killed_at = time.monotonic()
    program.process.kill()
    assert await running == ReturnCode.PROGRAM_LOST
    assert time.monotonic() - killed_at < 1
    assert (call.primary.state, call.primary.cause) == (ChannelState.ENDED, HangupCause.PROGRAM_LOST)
    assert house.directory.application(house.account, "stays") is None


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stopped", "blocked"])
async def test_a_program_that_is_connected_but_silent_is_given_up_within_ten_seconds(house: House, how: str) -> None:
    program = await house.start(await house.register())
    call = MemoryCall(house.account)
    running = asyncio.ensure_future(run(house, "stays" if how == "stopped" else "blocks", call))
    await house.until(lambda: call.primary.state is ChannelState.UP)
    began = time.monotonic()
    if how == "stopped":  # as a host without power: the connection stays open and nothing comes
        program.process.send_signal(signal.SIGSTOP)
    assert await running == ReturnCode.PROGRAM_SILENT
    assert 5 < time.monotonic() - began < 10.5
    assert call.primary.cause is HangupCause.PROGRAM_LOST


async def test_no_program_connected_is_said_by_the_directory(house: House) -> None:
    assert house.directory.application(house.account, "menu") is None
    await house.start(await house.register())
    assert house.directory.application(house.account, "menu") is not None
    assert house.directory.application(house.account, "not-registered") is None


async def test_a_command_takes_at_most_50_ms_there_and_back_at_the_99th_percentile(house: House) -> None:
    program = await house.start(await house.register())
    assert await run(house, "rounds", MemoryCall(house.account)) == 0
    line = await program.says("rounds p50")
    print(line)
    assert float(line.rpartition(" ")[2]) <= 50
