"""A recording is as long as the time it covers, holds who it should, and never blocks its call."""

from __future__ import annotations

import asyncio
import datetime as dt

import numpy as np
import pytest
from tests.sound_house import digit, heard_by_multimon, needs, pcm, wave

from sealwire.communications.calls.ports import LiveCallStarted
from sealwire.communications.control.port import RecordingImpossible, RecordingWish
from sealwire.communications.recordings import feed
from sealwire.communications.recordings.desk import CallRecorder
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.recordings.timeline import Timeline
from sealwire.doors.caller import demo_speech
from sealwire.errors import Refused, Unavailable
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import AccountId, CallId, Party, RecordId

LOUD = b"\x00\x20" * 800
"""100 ms of sound."""
SOFT = b"\x00\x10" * 800


class Sink:
    def __init__(self, *, fails: bool = False, stalls: bool = False) -> None:
        self.record = RecordId.new()
        self.pcm, self.fails, self.aborted = bytearray(), fails, False
        self.may_go_on = asyncio.Event()
        if not stalls:
            self.may_go_on.set()

    async def write(self, pcm: bytes) -> None:
        await self.may_go_on.wait()
        if self.fails:
            raise OSError("disk full")
        self.pcm += pcm

    async def finish(self) -> object:
        return len(self.pcm)

    async def abort(self) -> None:
        self.aborted = True


class Keeper:
    def __init__(self, sink: Sink, error: Exception | None = None) -> None:
        self.sink, self.error, self.asked = sink, error, []

    async def begin_recording(self, account, call_id, caller, callee, started_at, *, wish=None, service=None):
        self.asked.append((account, call_id, wish, service))
        if self.error is not None:
            raise self.error
        return self.sink


def call() -> LiveCallStarted:
    return LiveCallStarted(
        CallId.new(),
        AccountId.new(),
        Party("+441632960101"),
        Party("+441632960100"),
        "inbound",
        dt.datetime.now(dt.UTC),
    )


def recorder_on(sink: Sink, *, whole_call: bool = False, ended: list[str] | None = None) -> CallRecorder:
    return CallRecorder(
        call(), keeper=Keeper(sink), clock=SystemClock(), whole_call=whole_call,
        on_ended=(ended if ended is not None else []).append,
    )  # fmt: skip


async def opened(sink: Sink, *, whole_call: bool = False, ended: list[str] | None = None, **wish) -> CallRecorder:
    recorder = recorder_on(sink, whole_call=whole_call, ended=ended)
    assert await recorder.open(RecordingWish(eliminate_dtmf=wish.pop("eliminate_dtmf", False), **wish)) == sink.record
    recorder.start(0.0)
    return recorder


def test_jitter_is_left_alone_and_a_gap_is_filled_exactly():
    line = Timeline(started_s=10.0)
    assert line.gap_before(800, until_s=10.15) == 0
    line.add(800)
    assert line.gap_before(800, until_s=11.2) == 8000
    line.add(800, silence=8000)
    assert (line.samples, line.padded) == (9600, 8000)


def test_a_burst_after_a_gap_is_kept_whole():
    line = Timeline(started_s=0.0)
    line.add(800, silence=line.gap_before(800, until_s=1.1))
    assert line.gap_before(8000, until_s=1.2) == 0


@pytest.mark.parametrize("eliminate_dtmf", [False, True])
async def test_gaps_and_the_end_are_filled_to_the_wall_clock(eliminate_dtmf):
    recorder = await opened(sink := Sink(), eliminate_dtmf=eliminate_dtmf)
    recorder.take(LOUD, 0.1)
    recorder.take(b"", 0.2)
    recorder.take(LOUD, 1.1)
    ended = await recorder.stop(3.5)
    assert ended.kept == len(sink.pcm) == ended.samples * 2 == 56_000
    assert bytes(sink.pcm[:1600]) == LOUD
    assert bytes(sink.pcm[16_000:17_600]) == LOUD
    assert not any(sink.pcm[1600:16_000])
    assert (ended.samples_padded, ended.frames_lost) == (28_000 - 1600, 0)


async def test_one_channel_mixes_both_and_does_not_wrap():
    recorder = await opened(sink := Sink(), whole_call=True)
    assert recorder.needs_played
    recorder.take(b"\xff\x7f" * 800, 0.1, played=b"\x00\x20" * 800)
    recorder.take(LOUD, 0.2, played=SOFT)
    recorder.take(b"", 0.3, played=SOFT)
    await recorder.stop(0.3)
    heard = wave(bytes(sink.pcm))
    assert set(heard[:800]) == {32767.0}
    assert set(heard[800:1600]) == {0x3000}
    assert set(heard[1600:2400]) == {0x1000}
    assert len(heard) == 2400


async def test_two_channels_keep_the_party_left_and_the_rest_right():
    recorder = await opened(sink := Sink(), channels=2)
    assert recorder.needs_played
    one, two = demo_speech("caller-one")[:80_000], demo_speech("caller-two")[:80_000]
    for at in range(0, 80_000, 1600):
        recorder.take(one[at : at + 1600], (at + 1600) / 16_000, played=two[at : at + 1600])
    ended = await recorder.stop(5.0)
    both = np.frombuffer(bytes(sink.pcm), dtype="<i2").reshape(-1, 2)
    assert (both[:, 0].tobytes(), both[:, 1].tobytes()) == (one, two)
    assert ended.samples == len(both) == 40_000


async def test_a_party_that_falls_silent_or_late_does_not_shift_the_other():
    recorder = await opened(sink := Sink(), channels=2)
    recorder.take(LOUD, 0.1)
    for tick in range(2, 11):
        recorder.take(b"", tick / 10, played=SOFT if tick == 10 else b"")
    await recorder.stop(1.0)
    both = np.frombuffer(bytes(sink.pcm), dtype="<i2").reshape(-1, 2)
    assert 8000 - 960 <= len(both) <= 8000
    assert both[:800, 0].all()
    assert not both[800:, 0].any()
    assert abs(int(np.flatnonzero(both[:, 1])[0]) - 7200) <= 960


async def test_the_verb_records_the_party_alone():
    recorder = await opened(sink := Sink())
    assert not recorder.needs_played
    recorder.take(LOUD, 0.1, played=SOFT)
    await recorder.stop(0.1)
    assert bytes(sink.pcm) == LOUD


async def test_a_pause_with_silence_keeps_the_timeline_and_nothing_that_was_said_in_it():
    recorder = await opened(sink := Sink())
    recorder.take(LOUD, 0.1)
    recorder.pause(silence=True)
    for tick in range(2, 11):
        recorder.take(LOUD, tick / 10)
    recorder.resume(1.0)
    for tick in range(11, 21):
        recorder.take(LOUD, tick / 10)
    ended = await recorder.stop(2.0)
    heard = wave(bytes(sink.pcm))
    assert ended.samples == len(heard) == 16_000
    assert heard[:800].all()
    assert not heard[800:9600].any(), "what waits in jitter buffers was said before the pause ended"
    assert heard[9600:].all()


async def test_a_pause_can_close_its_gap():
    recorder = await opened(sink := Sink(), whole_call=True)
    recorder.take(LOUD, 0.1, played=LOUD)
    recorder.pause(silence=False)
    for tick in range(2, 11):
        recorder.take(SOFT, tick / 10, played=SOFT)
    recorder.resume(1.0)
    recorder.take(LOUD, 1.1, played=b"")
    ended = await recorder.stop(1.1)
    assert ended.samples * 2 == len(sink.pcm) == 3200


async def test_no_byte_is_taken_before_it_is_open_or_after_it_has_ended():
    recorder = recorder_on(sink := Sink())
    recorder.take(LOUD, 0.1)
    await recorder.open(RecordingWish(eliminate_dtmf=False))
    recorder.take(SOFT, 0.2)
    await recorder.stop()
    recorder.take(LOUD, 0.3)
    assert bytes(sink.pcm) == SOFT


async def test_silence_is_noticed_once_and_also_when_no_audio_comes_at_all():
    recorder = await opened(Sink(), silence_seconds=1.0, ended=(told := []))
    recorder.take(LOUD, 0.5)
    recorder.take(bytes(1600), 1.0)
    recorder.take(b"", 1.4)
    assert not told
    recorder.take(b"", 1.5)
    recorder.take(b"", 9.9)
    assert told == ["silence"]
    await recorder.abandon()


async def test_a_paused_recording_does_not_end_by_silence():
    recorder = await opened(Sink(), silence_seconds=1.0, ended=(told := []))
    recorder.pause(silence=True)
    recorder.take(b"", 5.0)
    recorder.resume(5.0)
    recorder.take(b"", 5.5)
    assert not told
    recorder.take(b"", 6.1)
    assert told == ["silence"]
    await recorder.abandon()


async def test_the_length_limit_is_exact_and_told_once():
    recorder = await opened(sink := Sink(), seconds_max=1.0, ended=(told := []))
    for tick in range(1, 21):
        recorder.take(LOUD, tick / 10)
    ended = await recorder.stop(2.0)
    assert told == ["length"]
    assert ended.samples * 2 == len(sink.pcm) == 16_000


async def test_a_beep_is_there_when_wished_for():
    recorder = recorder_on(Sink())
    await recorder.open(RecordingWish(beep=True))
    assert len(recorder.beep) > 2000
    await recorder.abandon()
    assert recorder_on(Sink()).beep == b""


@needs("multimon-ng", "sox")
async def test_digits_of_both_parties_are_not_in_it_unless_that_is_wished_for():
    speech = wave(demo_speech("caller-one"))[:24_000]
    said, given = speech.copy(), speech[::-1].copy()
    said[4000:4800], given[12_000:12_800] = digit("4", ms=100), digit("9", ms=100)
    for eliminate, heard in ((False, {"4", "9"}), (True, set())):
        recorder = await opened(sink := Sink(), channels=2, eliminate_dtmf=eliminate)
        for at in range(0, 24_000, 800):
            recorder.take(pcm(said[at : at + 800]), (at + 800) / 8000, played=pcm(given[at : at + 800]))
        await recorder.stop(3.0)
        both = np.frombuffer(bytes(sink.pcm), dtype="<i2").reshape(-1, 2)
        assert set(heard_by_multimon(both[:, 0].tobytes()) + heard_by_multimon(both[:, 1].tobytes())) == heard
    assert likeness(pcm(speech), both[:, 0].tobytes()).correlation >= 0.9


async def test_an_event_is_passed_to_the_elimination():
    recorder = await opened(sink := Sink(), eliminate_dtmf=True)
    recorder.take(LOUD, 0.1)
    recorder.digit()
    await recorder.stop(0.1)
    assert len(sink.pcm) == 1600
    assert not any(sink.pcm)


async def test_a_sink_that_stalls_costs_counted_frames_and_not_the_call(monkeypatch):
    monkeypatch.setattr(feed, "BACKLOG_BYTES_MAX", 16_000)
    recorder = await opened(sink := Sink(stalls=True))
    for tick in range(1, 21):
        recorder.take(LOUD, tick / 10)
        await asyncio.sleep(0)
    sink.may_go_on.set()
    ended = await recorder.stop(2.0)
    assert ended.frames_lost >= 45
    assert ended.samples * 2 == len(sink.pcm) == 32_000


async def test_after_a_long_stall_what_is_said_is_recorded_again(monkeypatch):
    monkeypatch.setattr(feed, "BACKLOG_BYTES_MAX", 32_000)
    recorder = await opened(sink := Sink(stalls=True))
    for tick in range(1, 81):
        recorder.take(LOUD, tick / 10)
        await asyncio.sleep(0)
    sink.may_go_on.set()
    for tick in range(81, 121):
        await asyncio.sleep(0.01)
        recorder.take(LOUD, tick / 10)
    ended = await recorder.stop(12.0)
    assert ended.samples * 2 == len(sink.pcm) == 192_000
    assert bytes(sink.pcm[-16_000:]) == LOUD * 10
    assert 250 < ended.frames_lost < 450


async def test_a_sink_that_fails_is_reported_and_nothing_of_it_is_kept():
    recorder = await opened(sink := Sink(fails=True), ended=(told := []))
    recorder.take(LOUD, 0.1)
    async with asyncio.timeout(1):
        while not told:
            await asyncio.sleep(0.01)
    recorder.take(LOUD, 0.2)
    assert await recorder.stop(0.3) is None
    assert told == ["failed"]
    assert sink.aborted


async def test_what_is_abandoned_is_not_kept():
    recorder = await opened(sink := Sink())
    recorder.take(LOUD, 0.1)
    await recorder.abandon()
    assert sink.aborted
    assert await recorder.stop() is None


@pytest.mark.parametrize(
    "error", [Unavailable(), Refused("no valid key"), RecordingImpossible("no valid key"), OSError("away")]
)
async def test_whatever_the_keeper_says_no_with_the_recording_is_impossible_and_says_so(error):
    recorder = CallRecorder(call(), keeper=Keeper(Sink(), error), clock=SystemClock())
    with pytest.raises(RecordingImpossible) as told:
        await recorder.open(RecordingWish())
    if isinstance(error, Refused):
        assert str(told.value) == "no valid key"
    recorder.take(LOUD, 0.1)
    assert await recorder.stop() is None


async def test_a_far_end_that_sends_faster_than_time_passes_does_not_fill_memory():
    recorder = await opened(sink := Sink())
    for _ in range(200):
        recorder.take(LOUD, 0.1)
    ended = await recorder.stop(0.1)
    assert len(sink.pcm) <= 16_000 * 5.2
    assert ended.frames_lost > 0


def test_likeness_finds_speech_at_its_place_and_tells_speakers_apart():
    one, two = demo_speech("caller-one"), demo_speech("caller-two")
    found = likeness(one, bytes(8000) + one[: len(one) // 2 * 2] + two)
    assert found.correlation > 0.99
    assert found.offset_s == pytest.approx(0.5)
    assert likeness(one, two).correlation < 0.3
    assert likeness(one, b"").correlation == 0.0
    assert likeness(bytes(100), one).correlation == 0.0
