"""One call inside a worker: its sound out, its sound in, and what the stack says about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from baresip import BaresipError
from baresip.call import Call as NativeCall
from baresip.call import CallState, DigitEvent
from baresip.events import Event, StackEvent

from sealwire.communications.switches.baresip.mouth import Mouth
from sealwire.communications.switches.baresip.rings import Rings
from sealwire.vocabulary import HangupCause

_SILENT_ON_CLOSE = "rtp stream error"
_UNANSWERED_ON_CLOSE = ("Connection timed out", "408 ", "481 ")
"""Of a call that was up: the far end no longer answers, or knows nothing of it."""
_CAUSES = (
    dict.fromkeys((404, 410, 484, 604), HangupCause.NUMBER_UNKNOWN)
    | dict.fromkeys((408, 480), HangupCause.NO_ANSWER)
    | dict.fromkeys((486, 600), HangupCause.BUSY)
    | dict.fromkeys((401, 403, 407, 433, 603, 607, 608), HangupCause.REJECTED)
    | dict.fromkeys((415, 488, 606), HangupCause.CODEC_MISMATCH)
    | {487: HangupCause.CANCELLED}
)
Report = Callable[..., None]


class Heard(NamedTuple):
    """Of one line in one stretch of time: what the far end said and what it was given to hear."""

    leg: str
    spoken: bytes
    played: bytes


class Line:
    """Reports by `report(name, leg=…, …)`; `tick` moves its audio and must be called about ten times a second."""

    def __init__(self, leg: str, call: NativeCall, report: Report) -> None:
        self.leg = leg
        self.call = call
        self._rings = Rings(call.handle)
        self.mouth = Mouth(self._rings, lambda play: report("played", leg=leg, play=play))
        self.other: Line | None = None
        """Who hears what is said here, while bridged."""
        self.listening = False
        self.ended = False
        self.held = False
        self.heard_at_s = time.monotonic()
        """When anything was last received, or the call answered."""
        self.cause: HangupCause | None = None
        """Why we end it, when we do."""
        self.sending = asyncio.Lock()
        self._report = report
        self.outbound = call.state is CallState.OUTGOING
        self._answered = False
        self._ringing = False
        self._unheard: list[bytes] = []
        call.on(self._on_event)
        call.on_dtmf(self._on_digit)

    @property
    def answered(self) -> bool:
        return self._answered and not self.ended

    def tick(self, now_s: float) -> Heard | None:
        """Move audio; gives what was received (maybe nothing) when somebody listens."""
        if not self.answered:
            return None
        self.mouth.feed()
        self.receive()
        return self._handed_over(now_s) if self.listening else None

    def receive(self) -> None:
        """Take what came since the last time: for whoever listens, and for the other party of a bridge."""
        received = self._rings.read()
        if not received:
            return
        self.heard_at_s = time.monotonic()
        if self.listening:
            self._unheard.append(received)
        if self.other is not None and self.other.answered:
            self.other.mouth.relay(received)

    def start_listening(self, *, played: bool) -> float:
        if not self.listening:  # who listens already is still owed what has not been handed over
            self._unheard.clear()
            self._rings.read()  # what came before is nobody's business
        self.listening, now_s = True, time.monotonic()
        self.mouth.keep_given(now_s if played else None)
        return now_s

    def stop_listening(self) -> tuple[bytes, bytes, float]:
        if self.listening and not self.ended:
            self.receive()
        now_s = time.monotonic()
        heard = self._handed_over(now_s)
        self.listening = False
        self.mouth.keep_given(None)
        return heard.spoken, heard.played, now_s

    def _handed_over(self, now_s: float) -> Heard:
        spoken = self._unheard[0] if len(self._unheard) == 1 else b"".join(self._unheard)
        self._unheard.clear()
        return Heard(self.leg, spoken, self.mouth.taken(now_s))

    def _on_digit(self, event: DigitEvent) -> None:
        self.heard_at_s = time.monotonic()
        self._report("digit", leg=self.leg, digit=event.digit, held_ms=event.duration_ms)

    def _on_event(self, event: StackEvent) -> None:
        match event.event:
            case Event.CALL_RINGING | Event.CALL_PROGRESS if not self._ringing:
                self._ringing = True
                self._report("ringing", leg=self.leg)
            case Event.CALL_ESTABLISHED if not self._answered:
                self._answered, self.heard_at_s = True, time.monotonic()
                self._report("answered", leg=self.leg)
            case Event.CALL_HOLD | Event.CALL_RESUME:
                self.held, self.heard_at_s = event.event is Event.CALL_HOLD, time.monotonic()
                self._report("held", leg=self.leg, held=self.held)
            case Event.CALL_TRANSFER:
                self._decline = asyncio.ensure_future(self._decline_transfer())
            case Event.CALL_CLOSED if not self.ended:
                self._closed(event.text or "")

    async def _decline_transfer(self) -> None:
        """Who is called next is not the far end's to choose."""
        with suppress(BaresipError):
            await self.call.reject_transfer()

    def _closed(self, text: str) -> None:
        self.ended = True
        stats = self.call.final_stats
        lost = (stats.audio_rx_dropped_bytes + stats.audio_rx_discarded_bytes) // 320 if stats else 0
        status = 0 if self._answered else status_of(text)
        cause = self.cause or cause_of(text, answered=self._answered, outbound=self.outbound)
        self._report("ended", leg=self.leg, cause=int(cause), frames_lost=lost, status=status)


def status_of(text: str) -> int:
    """The SIP status the stack's closing words begin with, or 0."""
    return int(text[:3]) if text[:3].isdecimal() and text[3:4] in ("", " ") else 0


def cause_of(text: str, *, answered: bool, outbound: bool = False) -> HangupCause:
    """The stack's closing words as a Q.850 cause."""
    status = status_of(text)
    if text == _SILENT_ON_CLOSE:
        return HangupCause.MEDIA_TIMEOUT
    if answered:
        return HangupCause.MEDIA_TIMEOUT if text.startswith(_UNANSWERED_ON_CLOSE) else HangupCause.NORMAL
    if status >= 300:
        return _CAUSES.get(status, HangupCause.SERVICE_UNAVAILABLE)
    return HangupCause.NO_ANSWER if outbound else HangupCause.CANCELLED
