"""A recording is as long as the time it covers, notices silence, and never blocks its call."""

from __future__ import annotations

import asyncio

import pytest

from sealwire.communications.recordings import capture
from sealwire.communications.recordings.capture import Recorder, Timeline
from sealwire.communications.recordings.likeness import likeness
from sealwire.doors.caller import demo_speech

LOUD = b"\x00\x20" * 800
"""100 ms of sound."""


class Sink:
    def __init__(self, *, fails: bool = False, stalls: bool = False) -> None:
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


async def test_gaps_and_the_end_are_filled_to_the_wall_clock():
    recorder = Recorder(sink := Sink(), started_s=0.0)
    recorder.take(LOUD, 0.1)
    recorder.take(b"", 0.2)
    recorder.take(LOUD, 1.1)
    captured = await recorder.finish(3.5)
    assert captured.kept == len(sink.pcm) == captured.samples * 2 == 56_000
    assert bytes(sink.pcm[:1600]) == LOUD
    assert bytes(sink.pcm[16_000:17_600]) == LOUD
    assert not any(sink.pcm[1600:16_000])
    assert (captured.samples_padded, captured.frames_lost) == (28_000 - 1600, 0)


async def test_silence_is_noticed_once_and_also_when_no_audio_comes_at_all():
    told: list[float] = []
    recorder = Recorder(Sink(), started_s=0.0, silence_seconds=1.0, on_silence=lambda: told.append(1))
    recorder.take(LOUD, 0.5)
    recorder.take(bytes(1600), 1.0)
    recorder.take(b"", 1.4)
    assert not told
    recorder.take(b"", 1.5)
    recorder.take(b"", 9.9)
    assert len(told) == 1
    await recorder.abort()


async def test_a_sink_that_stalls_costs_counted_frames_and_not_the_call(monkeypatch):
    monkeypatch.setattr(capture, "BACKLOG_SECONDS_MAX", 1)
    recorder = Recorder(sink := Sink(stalls=True), started_s=0.0)
    for tick in range(1, 21):
        recorder.take(LOUD, tick / 10)
        await asyncio.sleep(0)
    sink.may_go_on.set()
    captured = await recorder.finish(2.0)
    assert captured.frames_lost >= 45
    assert captured.samples == 16_000


async def test_a_sink_that_fails_is_reported_and_can_be_given_up():
    failed = asyncio.Event()
    recorder = Recorder(sink := Sink(fails=True), started_s=0.0, on_failed=failed.set)
    recorder.take(LOUD, 0.1)
    async with asyncio.timeout(1):
        await failed.wait()
    recorder.take(LOUD, 0.2)
    with pytest.raises(OSError, match="disk full"):
        await recorder.finish(0.3)
    await recorder.abort()
    assert sink.aborted


def test_likeness_finds_speech_at_its_place_and_tells_speakers_apart():
    one, two = demo_speech("caller-one"), demo_speech("caller-two")
    found = likeness(one, bytes(8000) + one[: len(one) // 2 * 2] + two)
    assert found.correlation > 0.99
    assert found.offset_s == pytest.approx(0.5)
    assert likeness(one, two).correlation < 0.3
    assert likeness(one, b"").correlation == 0.0
    assert likeness(bytes(100), one).correlation == 0.0
