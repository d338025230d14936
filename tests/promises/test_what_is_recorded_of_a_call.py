"""What is recorded of a call, after consent only; what is not is said; sensitive digits are nowhere."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import numpy as np
import pytest

from sealwire.communications.calls.consent import ConsentRefused
from sealwire.communications.control.builtins import BUILT_INS
from sealwire.communications.control.port import (
    CallControl,
    ChannelEnded,
    RecordingImpossible,
    RecordingWish,
    WrongMoment,
)
from sealwire.communications.prompts import sound
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.webhooks.events import Event
from sealwire.doors.caller import Caller
from sealwire.governance.services import Consent, RecordingPolicy
from sealwire.ground import diagnostics
from sealwire.vocabulary import HangupCause
from tests.telephony_house import ACCOUNT, FAR, GREETING, SPEECH, House, Script, hears, open_house, picks_up, two_houses


class Talker(Caller):
    """Speaks from the first moment on."""

    async def _talk(self, answered: float) -> None:
        self._due, self._leave_at = answered, answered + self.plan.hang_up_after
        await self._speak()
        await self._silent_until(lambda: False, float("inf"))


async def test_sensitive_digits_are_in_no_record_event_or_log(tmp_path: Path, monkeypatch):
    heard: list[str] = []

    async def asks(call: CallControl) -> int:
        await call.primary.answer()
        heard.append((await call.primary.collect(count_max=4, sensitive=True)).digits)
        return 0

    with (tmp_path / "diagnostics").open("w") as ours:
        monkeypatch.setattr(diagnostics, "_out", ours)
        async with open_house(tmp_path, application=lambda: Script(asks)) as house:
            await Caller(house.plan(digits="8642", seconds=0.1, end_digit="", seconds_max=8)).run()
            ended, run = await house.keeper.next_call(), await house.keeper.next_run()
        monkeypatch.undo()
    assert heard == ["8642"]
    written = (tmp_path / "diagnostics").read_text()
    assert "call.ended" in written  # the control
    for place in (ended.digits, written, repr(ended), repr(run), repr(house.crier.told)):
        assert "8642" not in place


def with_consent(consent: Consent) -> object:
    return msgspec.structs.replace(GREETING, recording=RecordingPolicy(whole_call=True, consent=consent))


async def test_with_a_consent_prompt_no_byte_is_taken_before_it_was_played(tmp_path: Path):
    async def listens(call: CallControl) -> int:
        await call.primary.answer()
        await call.primary.collect(count_max=1, first_seconds=3)
        return 0

    async with open_house(tmp_path, application=lambda: Script(listens), service=with_consent(Consent.PROMPT)) as house:
        plan = house.plan(digits="", end_digit="", keep_heard=True, interrupt_after=0, seconds_max=8)
        report = await Caller(plan).run()
        ended = await house.keeper.next_call()
    assert likeness(sound("consent-prompt"), bytes(report.heard)).correlation >= 0.9
    assert len(ended.recordings) == 1
    assert ended.answered_at is not None
    prompt_s = len(sound("consent-prompt")) / 16_000
    assert (house.keeper.opened_at[0] - ended.answered_at).total_seconds() >= prompt_s - 0.1
    assert likeness(sound("consent-prompt"), ended.recordings[0].kept).correlation < 0.5


@pytest.mark.parametrize(("key", "recordings"), [("1", 1), ("2", 0)])
async def test_at_a_consent_gate_only_who_presses_one_is_recorded(tmp_path: Path, key: str, recordings: int):
    async def goes_on(call: CallControl) -> int:
        await call.primary.answer()
        if not recordings:
            with pytest.raises(RecordingImpossible):
                await call.primary.record(RecordingWish(seconds_max=1))
        await call.primary.play(SPEECH[:16_000])
        return 0

    async with open_house(tmp_path, application=lambda: Script(goes_on), service=with_consent(Consent.GATE)) as house:
        await Caller(house.plan(digits=key, end_digit="", seconds_max=10)).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert (len(ended.recordings), len(house.keeper.sinks), run.return_code) == (recordings, recordings, 0)
    assert (Event.RECORDING_REFUSED in house.crier.events) == (not recordings)


async def test_a_policy_that_cannot_be_followed_is_said_announced_and_the_call_goes_on(tmp_path: Path):
    async def goes_on(call: CallControl) -> int:
        await call.primary.answer()
        await call.primary.play(sound("tone"))
        return 0

    async with open_house(tmp_path, application=lambda: Script(goes_on), service=with_consent(Consent.NONE)) as house:
        house.keeper.is_down = True
        report = await Caller(house.plan(digits="", end_digit="", keep_heard=True, seconds_max=8)).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert likeness(sound("unrecorded"), bytes(report.heard)).correlation >= 0.9
    assert (ended.recordings, run.return_code) == ([], 0)
    assert house.crier.events[0] is Event.RECORDING_REFUSED


async def test_a_recording_that_is_paused_leaves_out_what_is_said(tmp_path: Path):
    async def pauses(call: CallControl) -> int:
        await call.primary.answer()
        await call.start_recording(RecordingWish())
        with pytest.raises(WrongMoment):
            await call.start_recording(RecordingWish())
        await call.pause_recording()
        await asyncio.sleep(1.5)
        await call.resume_recording()
        await call.stop_recording()
        return 0

    async with open_house(tmp_path, application=lambda: Script(pauses)) as house:
        await Talker(house.plan(digits="", end_digit="", interrupt_after=0, seconds=2, seconds_max=6)).run()
        ended = await house.keeper.next_call()
    (recording,) = ended.recordings
    assert recording.samples == pytest.approx(1.5 * 8000, abs=2400)
    loud = max(abs(value) for value in memoryview(recording.kept[: len(recording.kept) // 2 * 2]).cast("h"))
    assert loud < 300


async def test_a_second_recording_of_the_same_call_is_made_too(tmp_path: Path):
    async def twice(call: CallControl) -> int:
        await call.primary.answer()
        for _ in range(2):
            await call.start_recording(RecordingWish())
            await asyncio.sleep(0.3)
            await call.stop_recording()
        return 0

    async with open_house(tmp_path, application=lambda: Script(twice)) as house:
        await Caller(house.plan(digits="", end_digit="", interrupt_after=0, seconds=1, seconds_max=6)).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert (run.return_code, len(ended.recordings)) == (0, 2)


async def test_who_is_stopped_while_a_recording_begins_can_begin_it_again(tmp_path: Path):
    async def begins_twice(call: CallControl) -> int:
        await call.primary.answer()
        beginning = asyncio.ensure_future(call.start_recording(RecordingWish(beep=True)))
        await asyncio.sleep(0.05)
        beginning.cancel()
        await asyncio.wait({beginning})
        await call.start_recording(RecordingWish())
        await asyncio.sleep(0.3)
        return 0

    async with open_house(tmp_path, application=lambda: Script(begins_twice)) as house:
        await Caller(house.plan(digits="", end_digit="", interrupt_after=0, seconds=1, seconds_max=6)).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert (run.return_code, len(ended.recordings)) == (0, 1)


async def test_a_recording_that_is_given_up_does_not_take_the_next_one_with_it(tmp_path: Path):
    """The first is still being opened when it is stopped, and takes its time to give up."""
    stopping = asyncio.Event()

    async def records_twice(call: CallControl) -> int:
        await call.primary.answer()
        first = asyncio.ensure_future(call.primary.record(RecordingWish()))
        await asyncio.sleep(0.2)
        await call.primary.stop()
        with pytest.raises(RecordingImpossible):
            await first
        async with asyncio.timeout(5):
            recorded = await call.primary.record(RecordingWish(seconds_max=1.0))
        assert recorded.ended_by == "length"
        return 0

    async with open_house(tmp_path, application=lambda: Script(records_twice)) as house:
        begin, asked = house.keeper.begin_recording, []

        async def slow_at_first(*args: object, **named: object) -> object:
            asked.append(named)
            if len(asked) > 1:
                return await begin(*args, **named)
            try:
                await stopping.wait()
            finally:
                await asyncio.sleep(0.3)

        house.keeper.begin_recording = slow_at_first
        await Talker(house.plan(digits="", end_digit="", interrupt_after=0, seconds=3, seconds_max=8)).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert (run.return_code, len(ended.recordings)) == (0, 1)
    assert ended.recordings[0].samples >= 4000


async def test_who_is_stopped_while_a_recording_ends_loses_nothing_of_it(tmp_path: Path):
    async def ends_it(call: CallControl) -> int:
        await call.primary.answer()
        await call.start_recording(RecordingWish())
        await asyncio.sleep(0.5)
        ending = asyncio.ensure_future(call.stop_recording())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        ending.cancel()
        return 0

    async with open_house(tmp_path, application=lambda: Script(ends_it)) as house:
        await Caller(house.plan(digits="", end_digit="", interrupt_after=0, seconds=1, seconds_max=6)).run()
        ended = await house.keeper.next_call()
    assert [recording.samples > 1600 for recording in ended.recordings] == [True]


async def test_sensitive_digits_do_not_end_a_pause_nor_does_its_end_record_their_tones(tmp_path: Path):
    """Who paused a recording goes on when they say so; who goes on too early hears nothing of what is typed."""

    async def pauses_while_typing(call: CallControl) -> int:
        await call.primary.answer()
        await call.start_recording(RecordingWish(eliminate_dtmf=False))
        typing = asyncio.ensure_future(call.primary.collect(count_max=1, first_seconds=1.0, sensitive=True))
        await asyncio.sleep(0.2)
        await call.pause_recording()
        await typing
        await asyncio.sleep(1.0)  # still paused
        await call.resume_recording()
        typing = asyncio.ensure_future(call.primary.collect(count_max=1, first_seconds=1.0, sensitive=True))
        await asyncio.sleep(0.1)
        await call.pause_recording()
        await call.resume_recording()
        await typing
        await call.stop_recording()
        return 0

    async with open_house(tmp_path, application=lambda: Script(pauses_while_typing)) as house:
        await Talker(house.plan(digits="", end_digit="", interrupt_after=0, seconds=5, seconds_max=8)).run()
        ended = await house.keeper.next_call()
    (recording,) = ended.recordings
    wave = np.frombuffer(recording.kept, dtype="<i2")
    assert len(wave) >= 2.9 * 8000  # three seconds: what is paused or typed is silence, not a gap
    assert np.abs(wave[4000:]).max() < 300


async def test_a_prompt_that_was_cut_short_is_no_consent(tmp_path: Path):
    async def listens(call: CallControl) -> int:
        await call.primary.answer()
        with pytest.raises(ConsentRefused):
            await call.start_recording(RecordingWish())
        return 0

    async def cuts_short(house: House) -> None:
        while True:
            for call in house.switchboard.calls_of(ACCOUNT):
                if call.first.line.call.state.value == "playing":
                    await call.first.stop()
            await asyncio.sleep(0.05)

    async with open_house(tmp_path, application=lambda: Script(listens), service=with_consent(Consent.PROMPT)) as house:
        cutting = asyncio.ensure_future(cuts_short(house))
        await Caller(house.plan(digits="", end_digit="", interrupt_after=0, seconds_max=8)).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
        cutting.cancel()
    assert (ended.recordings, house.keeper.sinks, run.return_code) == ([], [], 0)


@pytest.mark.slow
async def test_who_is_bridged_in_while_a_recording_begins_is_asked_first(tmp_path: Path):
    """The keeper takes its time to give a place; meanwhile somebody else joins who was never asked."""
    may_open = asyncio.Event()

    async def connects(call: CallControl) -> int:
        await call.primary.answer()
        other = await call.dial(FAR)
        beginning = asyncio.ensure_future(call.start_recording(RecordingWish()))
        async with asyncio.timeout(10):
            while call.whole_call.state.value != "opening":
                await asyncio.sleep(0.02)
        bridging = asyncio.ensure_future(call.bridge(call.primary, other))
        await asyncio.sleep(0.5)
        may_open.set()
        await beginning
        with pytest.raises((ConsentRefused, ChannelEnded)):
            await bridging
        return 0

    service = msgspec.structs.replace(GREETING, recording=RecordingPolicy(consent=Consent.GATE))
    async with two_houses(tmp_path, connects, picks_up, service=service) as (here, _):
        begin = here.keeper.begin_recording

        async def slow(*args: object, **named: object) -> object:
            await may_open.wait()
            return await begin(*args, **named)

        here.keeper.begin_recording = slow
        plan = here.plan(digits="1", end_digit="", seconds_max=20, hang_up_after=16.0, speech=bytes(3200))
        await Caller(plan).run()
        legs = [await here.keeper.next_call(), await here.keeper.next_call()]
        assert (await here.keeper.next_run()).return_code == 0
    recordings = [recording for leg in legs for recording in leg.recordings]
    assert len(recordings) == 1
    assert hears(recordings[0].kept) < 0.4  # of the far party, who said no


async def test_a_recording_that_breaks_in_mid_call_is_announced_and_said_and_the_call_goes_on(tmp_path: Path):
    async def goes_on(call: CallControl) -> int:
        await call.primary.answer()
        await call.start_recording(RecordingWish())
        await asyncio.sleep(4)
        with pytest.raises(WrongMoment):
            await call.pause_recording()
        return 6

    async def breaks(_: bytes) -> None:
        raise OSError("the disk is full")

    async with open_house(tmp_path, application=lambda: Script(goes_on)) as house:
        plan = house.plan(digits="", end_digit="", keep_heard=True, interrupt_after=0, seconds_max=10)
        calling = asyncio.ensure_future(Caller(plan).run())
        async with asyncio.timeout(5):
            while not house.keeper.sinks:
                await asyncio.sleep(0.01)
        house.keeper.sinks[0].write = breaks  # type: ignore[method-assign]
        report = await calling
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert (ended.recordings, run.return_code) == ([], 6)
    assert house.keeper.sinks[0].aborted
    assert house.crier.events[0] is Event.RECORDING_REFUSED
    assert likeness(sound("unrecorded"), bytes(report.heard)).correlation >= 0.8


async def test_a_number_that_is_not_in_service_turns_calls_away_without_answering(tmp_path: Path):
    async with open_house(tmp_path, application=lambda: BUILT_INS["not-in-service"]) as house:
        report = await Caller(house.plan()).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert (report.status, report.answered, run.return_code) == (404, False, 0)
    assert (ended.cause, ended.answered_at) == (HangupCause.NUMBER_UNKNOWN, None)


@pytest.mark.slow
async def test_voicemail_asks_for_a_message_and_keeps_it(tmp_path: Path):
    async with open_house(tmp_path, application=lambda: BUILT_INS["voicemail"]) as house:
        report = await Caller(house.plan(digits="#", keep_heard=True, interrupt_after=1.0, seconds_max=20)).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert run.return_code == 0
    assert likeness(sound("leave-message")[:12_000], bytes(report.heard)).correlation >= 0.8
    assert len(ended.recordings) == 1
    assert hears(ended.recordings[0].kept) >= 0.8


@pytest.mark.slow
async def test_an_echo_gives_back_what_was_said_and_keeps_nothing(tmp_path: Path):
    async with open_house(tmp_path, application=lambda: BUILT_INS["echo"]) as house:
        plan = house.plan(digits="5", keep_heard=True, end_digit="", seconds=2, hang_up_after=9.0, seconds_max=20)
        report = await Caller(plan).run()
        ended = await house.keeper.next_call()
    assert hears(bytes(report.heard)) >= 0.8
    assert (ended.recordings, house.keeper.sinks) == ([], [])
