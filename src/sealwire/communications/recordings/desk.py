"""One recording of one leg, from asking for a place to write to until it is sealed or given up.

Fails closed: whatever goes wrong with the keeper or the customer's keys, nothing is recorded and the caller is told.
The consent gate stands before it: nothing here asks for consent, and no byte is taken before `open` has returned.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import Callable

from sealwire.communications import prompts
from sealwire.communications.calls.ports import LiveCallStarted, RecordingEnded
from sealwire.communications.control.port import RecordingImpossible, RecordingWish
from sealwire.communications.recordings.feed import Feed
from sealwire.communications.recordings.ports import RecordingKeeper, RecordingSink
from sealwire.communications.recordings.tape import Tape
from sealwire.errors import Refused, SealwireError
from sealwire.governance.services import Service
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.vocabulary import RecordId

FINISH_SECONDS_MAX = 30.0
"""How long sealing the rest of a recording may take once it has ended."""


class CallRecorder:
    """Records what the far end says, and for a whole call or two channels also what it is given to hear.

    `on_ended` is called once with `silence`, `length` or `failed`; then call `stop`, or after `failed` `abandon`.
    """

    def __init__(
        self,
        call: LiveCallStarted,
        *,
        keeper: RecordingKeeper,
        clock: Clock,
        service: Service | None = None,
        whole_call: bool = False,
        on_ended: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._about = call
        self._keeper = keeper
        self._clock = clock
        self._service = service
        self._whole_call = whole_call
        self._on_ended = on_ended
        self._wish = RecordingWish()
        self._sink: RecordingSink | None = None
        self._feed: Feed | None = None
        self._tape: Tape | None = None
        self._started_at: dt.datetime | None = None
        self._last_read_s = 0.0

    @property
    def needs_played(self) -> bool:
        """Whether `take` wants what the far end is given to hear: then listen with `played=True`."""
        return self._whole_call or self._wish.channels == 2

    @property
    def beep(self) -> bytes:
        """The sound to play before audio is taken; empty when none is wished for."""
        return prompts.sound("tone") if self._wish.beep else b""

    async def open(self, wish: RecordingWish) -> RecordId:
        """Ask for a sealed place to record into; RecordingImpossible when there is none, and nothing is recorded."""
        about, self._wish = self._about, wish
        self._started_at = self._clock.now()
        try:
            self._sink = await self._keeper.begin_recording(
                about.account, about.call_id, about.caller, about.callee, self._started_at,
                wish=wish, service=self._service,
            )  # fmt: skip
        except RecordingImpossible as refusal:
            diagnostics.event("recording.refused", call=about.call_id, reason=refusal.code())
            raise
        except Refused as refusal:
            diagnostics.event("recording.refused", call=about.call_id, reason=refusal.code())
            raise RecordingImpossible(str(refusal)) from None
        except SealwireError as error:
            diagnostics.event("recording.refused", call=about.call_id, reason=error.code())
            raise RecordingImpossible from None
        except Exception as error:
            diagnostics.failure("recording.open-failed", error, call=about.call_id)
            raise RecordingImpossible from None
        self._feed = Feed(self._sink, on_failed=lambda: self._on_ended("failed"))
        return self._sink.record

    def start(self, started_s: float) -> None:
        """The moment (time.monotonic) from which it covers time; else that of the first `take`."""
        assert self._feed is not None, "open it first"
        if self._tape is None:
            self._started_at, self._last_read_s = self._clock.now(), started_s
            self._tape = Tape(
                started_s,
                write=self._feed.push,
                on_end=self._on_ended,
                two_sided=self.needs_played,
                channels=self._wish.channels,
                eliminate_dtmf=self._wish.eliminate_dtmf,
                seconds_max=self._wish.seconds_max,
                silence_seconds=self._wish.silence_seconds,
            )

    def take(self, spoken: bytes, read_at_s: float, *, played: bytes = b"") -> None:
        """Add what was said up to `read_at_s` (time.monotonic); nothing is taken before it is open. Never waits."""
        if self._feed is None:
            return
        if self._tape is None:
            self.start(read_at_s - max(len(spoken), len(played)) / 16_000)
            assert self._tape is not None
        self._last_read_s = read_at_s
        self._tape.take(spoken, read_at_s, played=played)

    def digit(self, held_ms: int = 0) -> None:
        """An RFC 4733 event was heard: what its gateway let through as sound around it is not kept either."""
        if self._tape is not None:
            self._tape.event(held_ms)

    def pause(self, silence: bool = True) -> None:
        """Leave out what is said from now on: as silence, or with the gap closed."""
        if self._feed is not None and self._tape is None:
            self.start(time.monotonic())
        if self._tape is not None:
            self._tape.pause(silence=silence)

    def resume(self, at_s: float | None = None) -> None:
        """Record on; what was said before this moment and is only read later stays out."""
        if self._tape is not None:
            self._tape.resume(time.monotonic() if at_s is None else at_s)

    async def stop(self, ended_s: float | None = None) -> RecordingEnded | None:
        """End it and seal the rest; None when it could not be kept, and then nothing of it is."""
        feed, tape, started_at = self._feed, self._tape, self._started_at
        self._sink = self._feed = self._tape = None
        if feed is None or started_at is None:
            return None
        ended_at = self._clock.now()
        try:
            async with asyncio.timeout(FINISH_SECONDS_MAX):
                if tape is not None:
                    tape.finish(self._last_read_s if ended_s is None else ended_s)
                kept = await feed.finish(owed=tape.bytes_owed if tape is not None else 0)
        except Exception as error:
            diagnostics.failure("recording.not-kept", error, call=self._about.call_id)
            await self._give_up(feed)
            return None
        return RecordingEnded(
            kept=kept,
            started_at=started_at,
            ended_at=ended_at,
            samples=tape.samples if tape is not None else 0,
            samples_padded=tape.samples_padded if tape is not None else 0,
            frames_lost=tape.frames_lost if tape is not None else 0,
        )

    async def abandon(self) -> None:
        """Keep nothing of it."""
        feed, self._sink, self._feed, self._tape = self._feed, None, None, None
        if feed is not None:
            await self._give_up(feed)

    async def _give_up(self, feed: Feed) -> None:
        try:
            await feed.abort()
        except Exception as error:
            diagnostics.failure("recording.abort-failed", error, call=self._about.call_id)
