"""What any engine behind switches/port.py must do. Another engine is held to it by its own opener in ENGINES.

Two engines call each other; the SIPp flows and the torture messages add code of other people.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from array import array
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from sealwire.communications.calls.events import LegAnswered, LegEnded, LegRinging, PlayEnded
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.communications.switches.port import (
    CallNotPlaced,
    LegGone,
    NotBridged,
    NotDigits,
    SipAddressTaken,
    TransferRefused,
)
from sealwire.doors.caller import demo_speech
from sealwire.vocabulary import HangupCause, Party
from tests.engine_house import CALLEE, CALLER, EngineHouse, open_engine, until

ENGINES: dict[str, Callable[..., AbstractAsyncContextManager[EngineHouse]]] = {"baresip": open_engine}
SPEECH, OTHER_SPEECH = demo_speech("caller-one"), demo_speech("caller-two")
FRAME = 320


@pytest.fixture(params=list(ENGINES))
async def pair(request, tmp_path: Path) -> AsyncIterator[tuple[EngineHouse, EngineHouse]]:
    """The engine under test, and one of the same kind as the world around it."""
    opener = ENGINES[request.param]
    async with opener(tmp_path) as house, opener(tmp_path) as world:
        yield house, world


async def test_an_inbound_leg_knows_whom_it_asks_for_who_calls_and_where_it_came_from(pair):
    house, world = pair
    await world.dial(house.address, headers={"X-Order": "17; 100%"})
    leg, _ = await house.next_leg()
    assert (leg.callee, leg.caller) == (CALLEE, CALLER)
    assert (leg.source, leg.transport) == (world.address, "udp")
    assert leg.headers["X-Order"] == "17; 100%"


async def test_a_caller_who_does_not_say_who_calls_is_anonymous(pair):
    house, world = pair
    await world.dial(house.address, caller=Party("anonymous"))
    leg, _ = await house.next_leg()
    assert leg.caller == Party("anonymous")


async def test_tcp_is_a_transport_too(pair):
    house, world = pair
    await world.dial(house.address, transport="tcp")
    leg, _ = await house.next_leg()
    assert leg.transport == "tcp"


async def test_a_call_rings_is_answered_and_ends_with_the_same_cause_on_both_sides(pair):
    house, world = pair
    ours, our_ear = await house.dial(world.address)
    theirs, their_ear = await world.next_leg()
    await theirs.ring()
    await our_ear.until(LegRinging)
    assert not our_ear.has(LegAnswered)
    await theirs.answer()
    await our_ear.until(LegAnswered)
    await ours.hang_up()
    for ear in (our_ear, their_ear):
        assert await ear.ended() == LegEnded(HangupCause.NORMAL, 0, 0)
    with pytest.raises(LegGone):
        await ours.play(SPEECH, play=1)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (486, HangupCause.BUSY),
        (480, HangupCause.NO_ANSWER),
        (404, HangupCause.NUMBER_UNKNOWN),
        (403, HangupCause.REJECTED),
        (488, HangupCause.CODEC_MISMATCH),
        (503, HangupCause.SERVICE_UNAVAILABLE),
    ],
)
async def test_a_refusal_reaches_the_caller_with_its_status_and_cause(pair, status, cause):
    house, world = pair
    _, our_ear = await house.dial(world.address)
    theirs, their_ear = await world.next_leg()
    await theirs.refuse(status=status, sentence="not now")
    assert await our_ear.ended() == LegEnded(cause, 0, status)
    assert (await their_ear.ended()).cause is HangupCause.REJECTED


async def test_an_outbound_call_hung_up_before_its_answer_is_cancelled_for_both(pair):
    house, world = pair
    ours, our_ear = await house.dial(world.address)
    _, their_ear = await world.next_leg()
    await our_ear.until(LegRinging)
    await ours.hang_up()
    assert (await our_ear.ended()).cause is HangupCause.CANCELLED
    assert (await their_ear.ended()).cause is HangupCause.CANCELLED


async def test_an_inbound_call_hung_up_before_its_answer_is_a_refusal(pair):
    house, world = pair
    _, our_ear = await house.dial(world.address)
    theirs, their_ear = await world.next_leg()
    await theirs.hang_up()
    assert (await their_ear.ended()).cause is HangupCause.REJECTED
    ended = await our_ear.ended()
    assert ended.status >= 400
    assert ended.cause is not HangupCause.NORMAL


async def test_a_call_to_nobody_ends_with_a_cause(pair):
    house, _ = pair
    _, ear = await house.dial("127.0.0.1:21399", transport="tcp")
    ended = await ear.ended(40)
    assert ended.cause in (HangupCause.NO_ANSWER, HangupCause.SERVICE_UNAVAILABLE)


@pytest.mark.parametrize(
    "change",
    [
        {"address": "127.0.0.1:21000>\r\nX: y"},
        {"address": "host with spaces"},
        {"transport": "sctp"},
        {"headers": {"X-A": "b\r\nEvil: yes"}},
        {"headers": {"X A": "b"}},
        {"password": 'quo"te', "username": "u"},
    ],
)
async def test_what_cannot_stand_in_a_request_is_refused_and_nothing_is_sent(pair, change):
    house, world = pair
    with pytest.raises(CallNotPlaced):
        await house.dial(**({"address": world.address} | change))
    await asyncio.sleep(0.2)
    assert world.arrived.empty()


async def test_speech_is_heard_as_it_was_said_in_both_directions(pair):
    house, world = pair
    (ours, our_ear), (theirs, their_ear) = await house.call_up(world)
    await ours.listen()
    await theirs.listen()
    await ours.play(SPEECH, play=1)
    await theirs.play(OTHER_SPEECH, play=2)
    await our_ear.until(PlayEnded)
    await their_ear.until(PlayEnded)
    await ours.stop_listening()
    await theirs.stop_listening()
    assert likeness(SPEECH[:48_000], their_ear.spoken).correlation >= 0.9
    assert likeness(OTHER_SPEECH[:48_000], our_ear.spoken).correlation >= 0.9
    assert (our_ear.events[-1], their_ear.events[-1]) == (PlayEnded(1), PlayEnded(2))


async def test_a_sound_in_place_of_another_ends_it_and_stopping_ends_both_at_once(pair):
    house, world = pair
    (ours, our_ear), (theirs, their_ear) = await house.call_up(world)
    await ours.play(SPEECH, play=1)
    await asyncio.sleep(0.3)
    await ours.play(SPEECH, play=2)
    await until(lambda: PlayEnded(1) in our_ear.events)
    await theirs.listen()
    await asyncio.sleep(0.5)
    await ours.stop_playing()
    await until(lambda: PlayEnded(2) in our_ear.events)
    await asyncio.sleep(0.3)
    before = len(their_ear.spoken)
    await asyncio.sleep(0.5)
    await theirs.stop_listening()
    assert loudest(their_ear.spoken[before:]) < 50
    assert loudest(their_ear.spoken[:before]) > 1_000


async def test_what_was_played_is_placed_in_time_beside_what_was_said(pair):
    house, world = pair
    (ours, our_ear), _ = await house.call_up(world)
    began_s = await ours.listen(played=True)
    await asyncio.sleep(1.0)
    played_s = time.monotonic()
    await ours.play(SPEECH, play=1)
    await asyncio.sleep(1.5)
    stopped_s = time.monotonic()
    await ours.stop_playing()
    await asyncio.sleep(1.0)
    ended_s = await ours.stop_listening()
    given = our_ear.given(began_s)
    assert len(given) / 16_000 == pytest.approx(ended_s - began_s, abs=0.1) or not our_ear.stretches[-1][2]
    found = likeness(SPEECH[:16_000], given)
    assert found.correlation >= 0.95
    assert found.offset_s == pytest.approx(played_s - began_s, abs=0.06)
    silent_from = int((stopped_s - began_s + 0.1) * 8000) * 2
    assert not any(given[silent_from:])


async def test_digits_are_heard_in_their_order(pair):
    house, world = pair
    (ours, _), (_, their_ear) = await house.call_up(world)
    await ours.send_digits("0159*#AD")
    await until(lambda: their_ear.digits == "0159*#AD")
    with pytest.raises(NotDigits):
        await ours.send_digits("12x")


@pytest.mark.slow
async def test_two_bridged_callers_hear_each_other_and_nobody_else(pair):
    house, world = pair
    (one, one_ear), (far_one, far_one_ear) = await house.call_up(world)
    other, other_ear = await house.dial(world.address, beside=one)
    far_other, far_other_ear = await world.next_leg()
    await far_other.answer()
    await other_ear.until(LegAnswered)
    await one.play(OTHER_SPEECH, play=7)
    await house.engine.bridge(one, other)
    await until(lambda: PlayEnded(7) in one_ear.events)
    began_s = await other.listen(played=True)
    await one.listen()
    await far_other.listen()
    await far_one.play(SPEECH, play=1)
    await far_one_ear.until(PlayEnded)
    heard_there = await far_other.stop_listening()
    await other.stop_listening()
    await one.stop_listening()
    assert heard_there > began_s
    assert share_heard(SPEECH, far_other_ear.spoken) >= 0.75
    assert share_heard(SPEECH, one_ear.spoken) >= 0.9
    assert share_heard(SPEECH, other_ear.given(began_s)) >= 0.75
    assert share_heard(OTHER_SPEECH, far_other_ear.spoken) <= 0.1
    assert loudest(other_ear.spoken) < 50


@pytest.mark.alone
async def test_a_bridge_adds_less_than_a_quarter_of_a_second(pair):
    house, world = pair
    (one, _), (far_one, _) = await house.call_up(world)
    other, other_ear = await house.dial(world.address, beside=one)
    far_other, far_other_ear = await world.next_leg()
    await far_other.answer()
    await other_ear.until(LegAnswered)
    await house.engine.bridge(one, other)
    await asyncio.sleep(0.5)
    began_s = await far_other.listen()
    said_s = time.monotonic()
    await far_one.play(SPEECH, play=1)
    await asyncio.sleep(3)
    await far_other.stop_listening()
    delay = likeness(SPEECH[:32_000], far_other_ear.spoken).offset_s - (said_s - began_s)
    assert delay < 0.25


async def test_after_unbridge_and_after_the_end_of_one_the_other_hears_nothing_more(pair):
    house, world = pair
    (one, _), (far_one, far_one_ear) = await house.call_up(world)
    other, other_ear = await house.dial(world.address, beside=one)
    far_other, far_other_ear = await world.next_leg()
    await far_other.answer()
    await other_ear.until(LegAnswered)
    await house.engine.bridge(one, other)
    await house.engine.unbridge(other)
    await asyncio.sleep(0.3)
    await far_other.listen()
    await far_one.play(SPEECH, play=1)
    await asyncio.sleep(0.6)
    assert loudest(far_other_ear.spoken) < 50
    await house.engine.bridge(one, other)
    await one.hang_up()
    await far_one_ear.ended()
    assert not other_ear.has(LegEnded)
    await other.play(OTHER_SPEECH, play=3)
    await until(lambda: loudest(far_other_ear.spoken) > 1_000)


async def test_legs_of_different_workers_cannot_be_bridged_and_beside_keeps_them_together(tmp_path: Path):
    async with open_engine(tmp_path, workers=2) as house, open_engine(tmp_path) as world:
        (one, _), _ = await house.call_up(world)
        (elsewhere, _), _ = await house.call_up(world)
        with pytest.raises(NotBridged):
            await house.engine.bridge(one, elsewhere)
        together, _ = await house.dial(world.address, beside=one)
        far, _ = await world.next_leg()
        await far.answer()
        await house.engine.bridge(one, together)


async def test_a_transfer_the_far_end_declines_leaves_the_call_up(pair):
    """And the other way round: nobody who calls us chooses whom we call next."""
    house, world = pair
    (ours, our_ear), (_, their_ear) = await house.call_up(world)
    with pytest.raises(TransferRefused):
        await ours.transfer(Party("+441632960888"))
    await ours.send_digits("5")
    await until(lambda: their_ear.digits == "5")
    assert not our_ear.has(LegEnded)
    assert world.arrived.empty()


async def test_a_far_end_that_dies_without_a_word_ends_the_call_by_its_silence(tmp_path: Path):
    async with open_engine(tmp_path, media_timeout_s=2) as house, open_engine(tmp_path) as world:
        (_, our_ear), _ = await house.call_up(world)
        assert isinstance(world.engine, BaresipEngine)
        for pid in world.engine.worker_pids:
            os.kill(pid, signal.SIGSTOP)
        assert (await our_ear.ended(8)).cause is HangupCause.MEDIA_TIMEOUT
        for pid in world.engine.worker_pids:
            os.kill(pid, signal.SIGCONT)


async def test_an_address_that_is_taken_is_said_so(pair, tmp_path: Path):
    house, _ = pair
    with pytest.raises(SipAddressTaken, match=house.address):
        async with open_engine(tmp_path, sip_listen=house.address):
            pass


def share_heard(said: bytes, heard: bytes) -> float:
    """How many half seconds of it came through whole; a bridge on a busy machine may pause between two of them."""
    pieces = [said[start : start + 8_000] for start in range(0, 72_000, 8_000)]
    return sum(likeness(piece, heard).correlation >= 0.9 for piece in pieces) / len(pieces)


def loudest(pcm: bytes) -> int:
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    return max((abs(sample) for sample in samples), default=0)
