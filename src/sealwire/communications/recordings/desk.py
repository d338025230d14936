"""The recordings of one call: asks for a place to write to, records into it, finishes or gives up."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sealwire.communications.calls import events as e
from sealwire.communications.calls.ports import LiveCallStarted, MediaSink, RecordingEnded, RecordKeeper
from sealwire.communications.recordings.capture import Recorder
from sealwire.communications.switches.port import Leg, LegGone
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock

FINISH_SECONDS_MAX = 30.0
"""How long sealing the rest of a recording may take once it has ended."""


@dataclass(frozen=True, slots=True)
class _Running:
    recorder: Recorder
    started_at: dt.datetime


class RecordingDesk:
    """Fails closed: whatever goes wrong with the keeper, nothing is recorded and the call hears of it."""

    def __init__(
        self,
        call: LiveCallStarted,
        leg: Leg,
        *,
        keeper: RecordKeeper,
        clock: Clock,
        report: Callable[[e.CallEvent], None],
    ) -> None:
        self._about = call
        self._leg = leg
        self._keeper = keeper
        self._clock = clock
        self._report = report
        self._opening: asyncio.Task[None] | None = None
        self._sink: MediaSink | None = None
        self._running: _Running | None = None
        self._finishing: list[asyncio.Task[RecordingEnded | None]] = []

    def take(self, pcm: bytes, read_at_s: float) -> None:
        """Audio of the far end; ignored unless a recording runs."""
        if self._running is not None:
            self._running.recorder.take(pcm, read_at_s)

    def open(self) -> None:
        """Ask the keeper; RecordingOpened or RecordingRefused will be reported."""
        self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        about = self._about
        try:
            self._sink = await self._keeper.begin_recording(
                about.account, about.call_id, about.caller, about.callee, self._clock.now()
            )
        except SealwireError as error:
            diagnostics.event("recording.refused", call=about.call_id, reason=error.code())
            self._report(e.RecordingRefused())
        except Exception as error:
            diagnostics.failure("recording.open-failed", error, call=about.call_id)
            self._report(e.RecordingRefused())
        else:
            self._report(e.RecordingOpened())

    async def start(self, silence_seconds: float) -> None:
        """Record from now on into what was opened."""
        sink, self._sink = self._sink, None
        assert sink is not None
        try:
            started_s = await self._leg.listen()
        except LegGone:
            await _give_up(sink)
            raise
        recorder = Recorder(
            sink,
            started_s=started_s,
            silence_seconds=silence_seconds,
            on_silence=lambda: self._report(e.SilenceHeard()),
            on_failed=lambda: self._report(e.CaptureFailed()),
        )
        self._running = _Running(recorder, self._clock.now())

    async def stop(self) -> None:
        """End the recording; sealing the rest goes on beside the call."""
        if self._running is None:
            return
        try:
            ended_s = await self._leg.stop_listening()
        except LegGone:
            ended_s = time.monotonic()  # the engine counts on this clock too
        running, self._running = self._running, None
        self._finishing.append(asyncio.ensure_future(self._finish(running, ended_s)))

    async def abandon(self) -> None:
        """Keep nothing of what was opened or is being recorded."""
        if self._opening is not None:
            self._opening.cancel()
            with suppress(asyncio.CancelledError):
                await self._opening
        sink, self._sink = self._sink, None
        if sink is not None:
            await _give_up(sink)
        if self._running is not None:
            running, self._running = self._running, None
            with suppress(LegGone):
                await self._leg.stop_listening()
            await _give_up(running.recorder)

    async def finished(self) -> list[RecordingEnded]:
        """Wait for everything that was stopped; recordings that could not be sealed are not in the list."""
        await self.stop()
        await self.abandon()
        done = await asyncio.gather(*self._finishing)
        return [recording for recording in done if recording is not None]

    async def _finish(self, running: _Running, ended_s: float) -> RecordingEnded | None:
        ended_at = self._clock.now()
        try:
            async with asyncio.timeout(FINISH_SECONDS_MAX):
                captured = await running.recorder.finish(ended_s)
        except Exception as error:
            diagnostics.failure("recording.not-kept", error, call=self._about.call_id)
            await _give_up(running.recorder)
            return None
        return RecordingEnded(
            kept=captured.kept,
            started_at=running.started_at,
            ended_at=ended_at,
            samples=captured.samples,
            samples_padded=captured.samples_padded,
            frames_lost=captured.frames_lost,
        )


async def _give_up(what: MediaSink | Recorder) -> None:
    try:
        await what.abort()
    except Exception as error:
        diagnostics.failure("recording.abort-failed", error)
