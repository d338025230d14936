"""Turns received audio into one recording: gaps filled to the wall clock, silence noticed, never a file.

Audio goes into memory and from there to the sink that seals it. If the sink cannot follow, frames are
dropped and counted, and the wall clock fills their place with silence; the call itself never waits.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sealwire.communications.calls.ports import MediaSink
from sealwire.communications.switches.port import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE
from sealwire.ground import diagnostics

GAP_SECONDS = 0.12
"""A shortfall up to this is network jitter and is left alone; more is a gap and is filled."""
SILENT_PEAK = 300
"""Samples below this (of 32,768) are taken for silence."""
BACKLOG_SECONDS_MAX = 30
_SECOND_OF_SILENCE = bytes(SAMPLE_RATE * SAMPLE_BYTES)


@dataclass(slots=True)
class Timeline:
    """How much silence is missing so that a recording is as long as the time it covers."""

    started_s: float
    samples: int = 0
    padded: int = 0

    def gap_before(self, fresh: int, *, until_s: float) -> int:
        """Samples of silence to put before `fresh` samples that were received up to `until_s`."""
        missing = round((until_s - self.started_s) * SAMPLE_RATE) - self.samples - fresh
        return missing if missing > GAP_SECONDS * SAMPLE_RATE else 0

    def add(self, fresh: int, *, silence: int = 0) -> None:
        self.samples += fresh + silence
        self.padded += silence


@dataclass(frozen=True, slots=True)
class Captured:
    """What became of a recording."""

    kept: object
    samples: int
    samples_padded: int
    frames_lost: int


class Recorder:
    """Writes one recording. `take` never waits; a task of its own feeds the sink."""

    def __init__(
        self,
        sink: MediaSink,
        *,
        started_s: float,
        silence_seconds: float = 0.0,
        on_silence: Callable[[], None] = lambda: None,
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._sink = sink
        self._timeline = Timeline(started_s)
        self._silence_seconds = silence_seconds
        self._quiet_since_s = started_s
        self._on_silence = on_silence
        self._on_failed = on_failed
        self._backlog = bytearray()
        self._wake = asyncio.Event()
        self._closing = False
        self._failed = False
        self._frames_lost = 0
        self._feeding = asyncio.ensure_future(self._feed())

    def take(self, pcm: bytes, read_at_s: float) -> None:
        """Add what was received up to `read_at_s`; empty when nothing came."""
        fresh = len(pcm) // SAMPLE_BYTES
        silence = self._timeline.gap_before(fresh, until_s=read_at_s)
        if self._push(bytes(silence * SAMPLE_BYTES) + pcm if silence else pcm):
            self._timeline.add(fresh, silence=silence)
        else:
            self._frames_lost += -(-len(pcm) // FRAME_BYTES)
        self._notice_silence(pcm, read_at_s)

    async def finish(self, ended_s: float) -> Captured:
        """Fill up to the end, wait until all is written, and close the sink."""
        silence = self._timeline.gap_before(0, until_s=ended_s)
        self._timeline.add(0, silence=silence)
        await self._drain()
        for _ in range(silence // SAMPLE_RATE):
            await self._sink.write(_SECOND_OF_SILENCE)
        if rest := silence % SAMPLE_RATE:
            await self._sink.write(bytes(rest * SAMPLE_BYTES))
        kept = await self._sink.finish()
        return Captured(kept, self._timeline.samples, self._timeline.padded, self._frames_lost)

    async def abort(self) -> None:
        """Give the recording up; nothing of it is kept."""
        self._backlog.clear()
        self._feeding.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._feeding
        await self._sink.abort()

    def _push(self, pcm: bytes) -> bool:
        if self._closing or self._failed:
            return False
        if len(self._backlog) + len(pcm) > BACKLOG_SECONDS_MAX * SAMPLE_RATE * SAMPLE_BYTES:
            return False
        self._backlog += pcm
        self._wake.set()
        return True

    def _notice_silence(self, pcm: bytes, read_at_s: float) -> None:
        if not self._silence_seconds:
            return
        if pcm and _peak(pcm) >= SILENT_PEAK:
            self._quiet_since_s = read_at_s
        elif read_at_s - self._quiet_since_s >= self._silence_seconds:
            self._silence_seconds = 0.0
            self._on_silence()

    async def _drain(self) -> None:
        self._closing = True
        self._wake.set()
        await self._feeding

    async def _feed(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._backlog:
                    pcm = bytes(self._backlog)
                    self._backlog.clear()
                    await self._sink.write(pcm)
                if self._closing:
                    return
        except Exception as error:
            self._failed = True
            self._backlog.clear()
            diagnostics.failure("recording.write-failed", error)
            self._on_failed()
            raise


def _peak(pcm: bytes) -> int:
    samples = array("h", pcm[: len(pcm) // 2 * 2])
    highest, lowest = max(samples, default=0), min(samples, default=0)
    return max(highest, -lowest)
