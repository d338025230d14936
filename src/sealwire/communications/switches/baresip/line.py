"""One call inside a worker: its sound out, its sound in, and what the stack says about it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from baresip import AudioNotActive, AudioRestarted
from baresip.call import Call as NativeCall
from baresip.call import DigitEvent
from baresip.events import Event, StackEvent

from sealwire.vocabulary import HangupCause

READ_BYTES = 16_000
_SILENT_ON_CLOSE = "rtp stream error"
_CAUSES = {404: HangupCause.NUMBER_UNKNOWN, 408: HangupCause.NO_ANSWER, 480: HangupCause.NO_ANSWER} | {
    486: HangupCause.BUSY,
    600: HangupCause.BUSY,
    603: HangupCause.REJECTED,
}

Report = Callable[..., None]


class Line:
    """Reports by `report(name, leg=…, …)`; `tick` moves its audio and must be called about ten times a second."""

    def __init__(self, leg: str, call: NativeCall, report: Report) -> None:
        self.leg = leg
        self.call = call
        self.listening = False
        self.ended = False
        self._report = report
        self._answered = False
        self._sound = memoryview(b"")
        self._play = 0
        call.on(self._on_event)
        call.on_dtmf(self._on_digit)

    def play(self, pcm: bytes, play: int) -> None:
        """Start a sound; one that is being played ends here."""
        self.stop_playing()
        self._sound, self._play = memoryview(pcm), play
        self._write()

    def stop_playing(self) -> None:
        if not self._play:
            return
        play, self._sound, self._play = self._play, memoryview(b""), 0
        with suppress(AudioNotActive, AudioRestarted):
            self.call.audio.flush_tx()
        self._report("played", leg=self.leg, play=play)

    def tick(self) -> bytes | None:
        """Move audio; gives what was received (maybe nothing) when somebody listens."""
        if self.ended or not self._answered:
            return None
        if self._play:
            self._write()
        received = self._read()
        return received if self.listening else None

    def start_listening(self) -> float:
        self._read()  # what came before is nobody's business
        self.listening = True
        return time.monotonic()

    def stop_listening(self) -> tuple[bytes, float]:
        received = self._read() if self.listening and not self.ended else b""
        self.listening = False
        return received, time.monotonic()

    def _read(self) -> bytes:
        parts = []
        with suppress(AudioNotActive, AudioRestarted):
            while part := self.call.audio.read(READ_BYTES):
                parts.append(part)
                if len(part) < READ_BYTES:
                    break
        return b"".join(parts)

    def _write(self) -> None:
        with suppress(AudioNotActive, AudioRestarted):
            if self._sound:
                self._sound = self._sound[self.call.audio.write(self._sound) :]
            elif not self.call.audio.info().tx_buffered:
                play, self._play = self._play, 0
                self._report("played", leg=self.leg, play=play)

    def _on_digit(self, event: DigitEvent) -> None:
        self._report("digit", leg=self.leg, digit=event.digit, held_ms=event.duration_ms)

    def _on_event(self, event: StackEvent) -> None:
        if event.event is Event.CALL_ESTABLISHED and not self._answered:
            self._answered = True
            self._report("answered", leg=self.leg)
        elif event.event is Event.CALL_CLOSED and not self.ended:
            self.ended = True
            stats = self.call.final_stats
            lost = (stats.audio_rx_dropped_bytes + stats.audio_rx_discarded_bytes) // 320 if stats else 0
            cause = cause_of(event.text or "", answered=self._answered)
            self._report("ended", leg=self.leg, cause=int(cause), frames_lost=lost)


def cause_of(text: str, *, answered: bool) -> HangupCause:
    """The stack's closing words as a Q.850 cause."""
    status = int(text[:3]) if text[:3].isdigit() else 0
    if text == _SILENT_ON_CLOSE:
        return HangupCause.MEDIA_TIMEOUT
    if status >= 300:
        return _CAUSES.get(status, HangupCause.SERVICE_UNAVAILABLE)
    return HangupCause.NORMAL if answered else HangupCause.NO_ANSWER
