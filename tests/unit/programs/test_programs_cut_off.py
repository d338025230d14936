"""A program that breaks a rule is cut off, alone; one that asks for nonsense is told so."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import OpenDatabase
from tests.unit.programs.house import House, joined, open_house, started
from tests.unit.programs.memory_call import MemoryCall

from sealwire.communications.control.port import ChannelState
from sealwire.communications.control.programs import connection as connections
from sealwire.communications.control.programs.directory import PROGRAMS_MAX
from sealwire.communications.control.programs.session import COMMANDS_MAX
from sealwire.vocabulary import ReturnCode


@pytest.fixture
async def house(tmp_path: Path, database: OpenDatabase) -> AsyncIterator[House]:
    async with open_house(tmp_path, await database()) as running:
        yield running


async def test_a_length_that_is_too_large_ends_the_connection_before_a_byte_of_it_is_read(house: House) -> None:
    raw = await joined(house)
    raw.writer.write(struct.pack(">I", 0xFFFFFFFF))
    assert (await raw.frame("goodbye"))["code"] == "frame-wrong"
    assert await raw.is_cut()


async def test_a_length_that_promises_more_than_comes_is_silence(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr(connections, "PING_S", 0.2)
    monkeypatch.setattr(connections, "SILENCE_S", 0.6)
    raw = await joined(house)
    raw.writer.write(struct.pack(">I", 60_000) + b"\x81")
    assert await raw.is_cut(seconds_max=2)
    await house.until(lambda: house.directory.connections == [])


@pytest.mark.parametrize(
    "body", [b"\xc1", b"", b"\x91" * 5000 + b"\x01", b"\x81\xa4type\xa7unknown", b"\x81\xa4type\xa7command"]
)
async def test_a_frame_that_is_none_ends_the_connection(house: House, body: bytes) -> None:
    raw = await joined(house)
    raw.writer.write(struct.pack(">I", len(body)) + body)
    assert (await raw.frame("goodbye"))["code"] == "frame-wrong"
    assert await raw.is_cut()


async def test_a_flood_of_frames_is_cut_off_and_the_other_programs_call_goes_on(house: House) -> None:
    await house.start(await house.register())
    call = MemoryCall(house.account)
    running = started(house, call=call)
    await house.until(lambda: call.primary.state is ChannelState.UP)
    raw = await joined(house)
    pong = b"\x81\xa4type\xa4pong"
    raw.writer.write((struct.pack(">I", len(pong)) + pong) * 20_000)
    assert (await raw.frame("goodbye"))["code"] == "too-many-frames"
    assert await raw.is_cut()
    assert call.primary.state is ChannelState.UP
    call.primary.end()
    assert await running == 3


async def test_a_program_that_does_not_read_is_cut_off(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr(connections, "UNSENT_BYTES_MAX", 50_000)
    raw = await joined(house, "menu", calls_max=10_000)
    raw.reader._transport.pause_reading()  # type: ignore[attr-defined]
    for _ in range(400):
        if house.directory.connections == [] or house.directory.connections[0].is_lost:
            break
        started(house, "menu", MemoryCall(house.account, arguments="x" * 30_000))
        await asyncio.sleep(0)
    await house.until(lambda: house.directory.connections == [])


async def test_the_first_frame_is_a_hello_of_a_known_version_and_comes_in_time(house: House, monkeypatch: Any) -> None:
    first = await house.raw(await house.register())
    first.send(type="pong")
    assert (await first.frame("goodbye"))["code"] == "no-hello"
    second = await house.raw(await house.register())
    second.hello(version=2)
    goodbye = await second.frame("goodbye")
    assert (goodbye["code"], goodbye["final"]) == ("version-unknown", True)
    third = await joined(house)
    third.hello()
    assert (await third.frame("goodbye"))["code"] == "no-hello"
    monkeypatch.setattr(connections, "HELLO_S_MAX", 0.2)
    late = await house.raw(await house.register())
    assert (await late.frame("goodbye"))["code"] == "no-hello"


async def test_an_account_has_at_most_so_many_programs(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr("sealwire.communications.control.programs.directory.PROGRAMS_MAX", 2)
    assert PROGRAMS_MAX == 64
    await joined(house)
    await joined(house)
    third = await house.raw(await house.register())
    third.hello()
    goodbye = await third.frame("goodbye")
    assert (goodbye["code"], goodbye["final"]) == ("too-many-programs", False)


async def test_commands_that_make_no_sense_are_answered_and_change_nothing(house: House) -> None:
    raw, call = await joined(house, "menu"), MemoryCall(house.account)
    running = started(house, "menu", call)
    offer = await raw.frame("offer")
    raw.send(type="accept", call=offer["call"])
    wrong: list[tuple[int, Any, str]] = [
        (0, {"action": "fly"}, "action-wrong"),
        (0, {"action": "say", "text": "x", "speed": 3}, "action-wrong"),
        (0, "answer", "action-wrong"),
        (0, {"action": "bridge", "other": 2}, "channel-missing"),
        (3, {"action": "answer"}, "channel-missing"),
        (0, {"action": "redirect", "page": "https://example.org/"}, "wrong-moment"),
        (0, {"action": "dial", "to": "not a number!"}, "not-a-party"),
        (0, {"action": "send_message", "to": "+441632960123", "text": "x"}, "messages-unavailable"),
    ]
    for number, (channel, action, code) in enumerate(wrong):
        raw.send(type="command", call=offer["call"], id=number, channel=channel, action=action)
        failure = await raw.frame("failure")
        assert (failure["id"], failure["code"]) == (number, code)
    assert call.primary.done == []
    raw.send(type="command", call="app_of_somebody_else", id=99, channel=0, action={"action": "hang_up"})
    for number in range(COMMANDS_MAX + 1):
        raw.send(type="command", call=offer["call"], id=100 + number, channel=0, action={"action": "wait_ended"})
    failure = await raw.frame("failure")
    assert (failure["id"], failure["code"]) == (100 + COMMANDS_MAX, "too-many-commands")
    raw.send(type="done", call=offer["call"], code=0)
    assert await running == 0


async def test_verbs_on_one_channel_run_one_after_the_other(house: House) -> None:
    raw, call = await joined(house, "menu"), MemoryCall(house.account, state=ChannelState.UP)
    running = started(house, "menu", call)
    offer = await raw.frame("offer")
    raw.send(type="accept", call=offer["call"])
    call.primary.play_s = 0.1
    for number in range(3):
        raw.send(type="command", call=offer["call"], id=number, action={"action": "say", "text": "x"})
    began = time.monotonic()
    assert [(await raw.frame("result"))["id"] for _ in range(3)] == [0, 1, 2]
    assert time.monotonic() - began > 0.25
    raw.send(type="done", call=offer["call"], code=0)
    assert await running == 0


async def test_an_application_that_goes_on_for_ever_after_the_call_is_given_up(house: House, monkeypatch: Any) -> None:
    monkeypatch.setattr("sealwire.communications.control.programs.session.WIND_UP_S_MAX", 0.2)
    raw, call = await joined(house, "menu"), MemoryCall(house.account)
    running = started(house, "menu", call)
    offer = await raw.frame("offer")
    raw.send(type="accept", call=offer["call"])
    call.primary.end()
    assert await running == ReturnCode.PROGRAM_SILENT
    assert (await raw.frame("withdrawn"))["call"] == offer["call"]
