"""Hears what is said and keeps it in memory until it is played back: for the built-in echo, nothing is recorded."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from sealwire.communications.calls.ports import RecordingEnded
from sealwire.communications.control.port import RecordingWish
from sealwire.communications.recordings.blend import loudest
from sealwire.communications.recordings.tape import SILENT_PEAK
from sealwire.communications.switches.port import SAMPLE_BYTES, SAMPLE_RATE
from sealwire.vocabulary import RecordId

SILENCE_SECONDS = 1.2
_EPOCH = dt.datetime.fromtimestamp(0, dt.UTC)


class EchoRecorder:
    """A recorder whose tape is this object's `pcm`."""

    needs_played = False

    def __init__(self, *, on_silence: Callable[[], None]) -> None:
        self.pcm = bytearray()
        self._on_silence = on_silence
        self._quiet_since_s: float | None = None
        self._bytes_max = 0

    async def open(self, wish: RecordingWish) -> RecordId:
        self._bytes_max = int(wish.seconds_max * SAMPLE_RATE) * SAMPLE_BYTES
        return RecordId.new()

    def start(self, started_s: float) -> None:
        del started_s
        self._quiet_since_s = None

    def take(self, spoken: bytes, read_at_s: float, *, played: bytes = b"") -> None:
        del played
        if loudest(spoken) >= SILENT_PEAK:
            self._quiet_since_s = read_at_s
        elif self._quiet_since_s is None:
            return  # nothing was said yet
        self.pcm += spoken[: max(0, self._bytes_max - len(self.pcm))]
        if read_at_s - self._quiet_since_s >= SILENCE_SECONDS:
            self._on_silence()

    def digit(self, held_ms: int = 0) -> None:
        del held_ms

    def pause(self, silence: bool = True) -> None:
        del silence

    def resume(self, at_s: float | None = None) -> None:
        del at_s

    async def stop(self, ended_s: float | None = None) -> RecordingEnded | None:
        del ended_s
        samples = len(self.pcm) // SAMPLE_BYTES
        return RecordingEnded(None, _EPOCH, _EPOCH, samples, 0, 0)

    async def abandon(self) -> None:
        self.pcm.clear()
