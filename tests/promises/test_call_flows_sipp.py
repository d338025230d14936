"""How calls go wrong, played by SIPp against a real engine: each scenario in sipp/ is one way, written by us."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from sealwire.communications.calls.events import LegAnswered, LegEnded, LegHeld, LegRinging
from sealwire.doors.caller import demo_speech
from sealwire.vocabulary import HangupCause, Party
from tests.engine_house import open_engine, sipp, until
from tests.rtp_capture import Capture

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed (Debian: sip-tester)")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="SIPp plays captures through a raw socket, which needs root")
SPEECH = demo_speech("caller-one")


def speak(folder: Path, seconds: float) -> None:
    capture = Capture()
    capture.audio(SPEECH[: int(seconds * 16_000)])
    capture.write(folder / "call.pcap")


async def test_a_caller_who_is_told_busy_hears_486(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("caller_is_refused", tmp_path, to=house.address) as caller:
        leg, ear = await house.next_leg()
        await leg.refuse(status=486, sentence="the line is busy")
        assert await caller.code() == 0
        assert (await ear.ended()).cause is HangupCause.REJECTED


async def test_a_busy_callee_ends_the_call_as_busy(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("callee_is_busy", tmp_path) as far:
        _, ear = await house.dial(far.address)
        assert await ear.ended() == LegEnded(HangupCause.BUSY, 0, 486)
        assert await far.code() == 0


async def test_a_callee_who_does_not_answer_is_cancelled_when_we_give_up(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("callee_does_not_answer", tmp_path) as far:
        leg, ear = await house.dial(far.address)
        await ear.until(LegRinging)
        await asyncio.sleep(0.3)
        await leg.hang_up()
        assert (await ear.ended()).cause is HangupCause.CANCELLED
        assert await far.code() == 0


async def test_a_network_that_gives_up_ends_the_call_as_not_answered(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("callee_times_out", tmp_path) as far:
        _, ear = await house.dial(far.address)
        assert await ear.ended() == LegEnded(HangupCause.NO_ANSWER, 0, 408)
        assert ear.has(LegRinging)
        assert await far.code() == 0


async def test_a_caller_who_gives_up_while_it_rings_has_cancelled(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("caller_cancels", tmp_path, to=house.address) as caller:
        _, ear = await house.next_leg()
        assert (await ear.ended()).cause is HangupCause.CANCELLED
        assert await caller.code() == 0


async def test_a_caller_who_holds_and_resumes_is_reported_and_keeps_the_call(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("caller_holds", tmp_path, to=house.address) as caller:
        leg, ear = await house.next_leg()
        await leg.answer()
        assert (await ear.ended()).cause is HangupCause.NORMAL
        assert [event.held for event in ear.events if isinstance(event, LegHeld)] == [True, False]
        assert await caller.code() == 0


@needs_root
async def test_a_caller_gone_without_a_bye_ends_the_call_by_silence(tmp_path: Path):
    speak(tmp_path, 1)
    async with (
        open_engine(tmp_path, media_timeout_s=2) as house,
        sipp("bye_is_lost", tmp_path, to=house.address) as caller,
    ):
        leg, ear = await house.next_leg()
        await leg.answer()
        assert await caller.code() == 0
        assert not ear.has(LegEnded)
        assert (await ear.ended(6)).cause is HangupCause.MEDIA_TIMEOUT


@needs_root
async def test_a_caller_whose_sound_stops_is_told_goodbye(tmp_path: Path):
    speak(tmp_path, 1)
    async with (
        open_engine(tmp_path, media_timeout_s=2) as house,
        sipp("rtp_stops", tmp_path, to=house.address) as caller,
    ):
        leg, ear = await house.next_leg()
        await leg.answer()
        assert (await ear.ended(6)).cause is HangupCause.MEDIA_TIMEOUT
        assert await caller.code() == 0


async def test_a_caller_who_never_sends_sound_is_told_goodbye_too(tmp_path: Path):
    async with (
        open_engine(tmp_path, media_timeout_s=2) as house,
        sipp("rtp_never_comes", tmp_path, to=house.address) as caller,
    ):
        leg, ear = await house.next_leg()
        await leg.answer()
        assert (await ear.ended(6)).cause is HangupCause.MEDIA_TIMEOUT
        assert await caller.code() == 0


@pytest.mark.slow
async def test_one_who_puts_us_on_hold_and_is_gone_does_not_hold_us_for_ever(tmp_path: Path):
    async with (
        open_engine(tmp_path, media_timeout_s=2) as house,
        sipp("holder_is_gone", tmp_path, to=house.address) as caller,
    ):
        leg, ear = await house.next_leg()
        await leg.answer()
        await ear.until(LegHeld)
        assert await caller.code() == 0
        assert (await ear.ended(45)).cause is HangupCause.MEDIA_TIMEOUT


async def test_a_caller_without_a_codec_of_ours_is_told_488_and_reaches_nobody(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("codec_mismatch", tmp_path, to=house.address) as caller:
        assert await caller.code() == 0
        assert house.arrived.empty()


async def test_a_callee_without_a_codec_of_ours_ends_the_call_as_that(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("callee_knows_no_codec", tmp_path) as far:
        _, ear = await house.dial(far.address)
        assert await ear.ended() == LegEnded(HangupCause.CODEC_MISMATCH, 0, 488)


@needs_root
@pytest.mark.slow
async def test_three_hundred_digits_without_a_pause_are_all_heard_in_order(tmp_path: Path):
    typed = [n * 7 % 12 for n in range(300)]
    capture = Capture()
    capture.audio(bytes(8_000))
    for event in typed:
        capture.digit(event, frames=2)
        capture.audio(bytes(320))
    capture.audio(bytes(16_000))
    capture.write(tmp_path / "call.pcap")
    expected = "".join("0123456789*#"[event] for event in typed)
    async with open_engine(tmp_path) as house, sipp("dtmf_storm", tmp_path, to=house.address) as caller:
        leg, ear = await house.next_leg()
        await leg.answer()
        await ear.until(LegAnswered)
        await until(lambda: len(ear.digits) >= len(expected), capture.seconds + 10)
        assert ear.digits == expected
        await leg.hang_up()
        assert await caller.code() == 0


async def test_a_trunk_that_wants_digest_gets_it(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("trunk_wants_digest", tmp_path) as far:
        leg, ear = await house.dial(far.address, username="trunk-user", password="trunk-secret")
        await ear.until(LegAnswered)
        await leg.hang_up()
        assert (await ear.ended()).cause is HangupCause.NORMAL
        assert await far.code() == 0


@pytest.mark.parametrize("password", ["wrong", ""])
async def test_a_trunk_that_does_not_accept_our_password_ends_the_call_at_once(tmp_path: Path, password: str):
    async with open_engine(tmp_path) as house, sipp("trunk_wants_digest", tmp_path) as far:
        _, ear = await house.dial(far.address, username="trunk-user", password=password)
        assert await ear.ended() == LegEnded(HangupCause.REJECTED, 0, 401)
        assert await far.code() == 0


async def test_a_transfer_that_is_taken_ends_our_call(tmp_path: Path):
    async with open_engine(tmp_path) as house, sipp("callee_is_transferred", tmp_path) as far:
        leg, ear = await house.dial(far.address)
        await ear.until(LegAnswered)
        await leg.transfer(Party("+441632960888"))
        assert (await ear.ended()).cause is HangupCause.NORMAL
        assert await far.code() == 0
