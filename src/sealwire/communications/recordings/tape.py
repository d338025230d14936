"""What is recorded, from two sources to one stream: aligned, without DTMF, pauses left out, mixed or apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sealwire.communications.recordings.blend import apart, loudest, mixed, samples
from sealwire.communications.recordings.elimination import Eliminator
from sealwire.communications.recordings.timeline import RESUME_MARGIN_S, Track, samples_of
from sealwire.communications.switches.port import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE

SILENT_PEAK = 300
"""Samples below this (of 32,768) are taken for silence."""
_FOR_EVER = 1e12


class Tape:
    """Gives finished audio to `write`, which says whether it was taken. Calls `on_end` once: silence, or length."""

    def __init__(
        self,
        started_s: float,
        *,
        write: Callable[[bytes], bool],
        on_end: Callable[[str], None],
        two_sided: bool,
        channels: int,
        eliminate_dtmf: bool,
        seconds_max: float,
        silence_seconds: float,
    ) -> None:
        self._write, self._on_end = write, on_end
        self._tracks = [Track(started_s) for _ in range(2 if two_sided else 1)]
        self._eliminator = Eliminator(len(self._tracks)) if eliminate_dtmf else None
        self._blend = apart if channels == 2 else mixed
        self._samples_max = round(seconds_max * SAMPLE_RATE)
        self._silence_seconds = silence_seconds
        self._quiet_since_s = started_s
        self._paused = self._skipping = self._ended = False
        self.samples = 0
        """Samples of each channel, silence in place of lost ones included."""
        self.samples_lost = 0
        self._owed = 0
        self._width = SAMPLE_BYTES * (2 if two_sided and channels == 2 else 1)

    @property
    def bytes_owed(self) -> int:
        """Silence to be written at the end in place of what the sink could not take."""
        return self._owed * self._width

    @property
    def samples_padded(self) -> int:
        return self._tracks[0].timeline.padded

    @property
    def frames_lost(self) -> int:
        lost = self.samples_lost + sum(track.samples_lost for track in self._tracks)
        return -(-lost * SAMPLE_BYTES // FRAME_BYTES)

    def take(self, spoken: bytes, read_at_s: float, *, played: bytes = b"") -> None:
        """Add what was said, and what was given to hear, up to `read_at_s`; empty when nothing came."""
        for track, pcm in zip(self._tracks, (spoken, played), strict=False):
            track.put(pcm, read_at_s)
        self._move(min(samples_of(track.ready) for track in self._tracks))
        self._notice_silence(spoken, read_at_s)

    def event(self, held_ms: int = 0) -> None:
        """The far end sent an RFC 4733 event that lasted so long."""
        if self._eliminator is not None:
            self._eliminator.event(0, held_ms=held_ms)

    def pause(self, *, silence: bool) -> None:
        """Leave out all that is read from now on: as silence, or with the gap closed."""
        self._paused, self._skipping = True, not silence
        for track in self._tracks:
            track.hush(_FOR_EVER)

    def resume(self, at_s: float) -> None:
        """Record on. What was said before this moment stays out, even when it is read after it."""
        if self._paused:
            self._paused = self._skipping = False
            self._quiet_since_s = at_s
            for track in self._tracks:
                track.hush(at_s + RESUME_MARGIN_S)

    def finish(self, ended_s: float) -> None:
        """Fill up to the end, and write what was held back."""
        for track in self._tracks:
            track.put(b"", ended_s)
        longest = max(track.timeline.samples for track in self._tracks)
        for track in self._tracks:
            missing = longest - track.timeline.samples
            track.timeline.add(0, silence=missing)
            track.ready += bytes(missing * SAMPLE_BYTES)
        self._move(samples_of(self._tracks[0].ready))
        if self._eliminator is not None:
            self._put_out(self._eliminator.rest())

    def _move(self, count: int) -> None:
        taken = [track.take(count) for track in self._tracks]
        if not count or self._skipping:
            return
        rows = np.stack([samples(pcm) for pcm in taken])
        self._put_out(self._eliminator.put(rows) if self._eliminator is not None else rows)

    def _put_out(self, rows: NDArray[np.int16]) -> None:
        """Write, up to the length limit."""
        count = min(rows.shape[1], self._samples_max - self.samples)
        if count > 0:
            self.samples += count
            one, other = rows[0, :count], rows[-1, :count]
            audio = one.astype("<i2").tobytes() if len(rows) == 1 else self._blend(one, other)
            if not (self._paid_back() and self._write(audio)):
                self._owed += count  # its place is filled with silence as soon as the sink takes something again
                self.samples_lost += count
        if self.samples >= self._samples_max:
            self._end("length")

    def _paid_back(self) -> bool:
        """Nothing is owed any more. Paid a second at a time: all of a long stall would never fit what waits to go."""
        while self._owed:
            some = min(self._owed, SAMPLE_RATE)
            if not self._write(bytes(some * self._width)):
                return False
            self._owed -= some
        return True

    def _notice_silence(self, spoken: bytes, read_at_s: float) -> None:
        if not self._silence_seconds or self._paused:
            return
        if loudest(spoken) >= SILENT_PEAK:
            self._quiet_since_s = read_at_s
        elif read_at_s - self._quiet_since_s >= self._silence_seconds:
            self._end("silence")

    def _end(self, why: str) -> None:
        if not self._ended:
            self._ended = True
            self._on_end(why)
