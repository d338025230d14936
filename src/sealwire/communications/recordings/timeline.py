"""Keeps a recording as long as the time it covers: gaps are filled to the wall clock, pauses are cut or kept."""

from __future__ import annotations

from dataclasses import dataclass

from sealwire.communications.switches.port import SAMPLE_BYTES, SAMPLE_RATE

GAP_SECONDS = 0.12
"""A shortfall up to this is network jitter and is left alone; more is a gap and is filled."""
AHEAD_SECONDS_MAX = 5.0
"""A far end that sends faster than time passes is cut here, so that it cannot fill our memory."""
RESUME_MARGIN_S = 0.2
"""What is read this soon after a pause ends may have been said in it, as it waited in jitter buffers."""


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

    def excess(self, fresh: int, *, until_s: float) -> int:
        """How many of `fresh` samples lie too far in the future."""
        most = round((until_s - self.started_s + AHEAD_SECONDS_MAX) * SAMPLE_RATE)
        return max(0, min(fresh, self.samples + fresh - most))

    def add(self, fresh: int, *, silence: int = 0) -> None:
        self.samples += fresh + silence
        self.padded += silence


class Track:
    """One party's side: what came, put on the timeline, waiting to be taken off together with the other side."""

    def __init__(self, started_s: float) -> None:
        self.timeline = Timeline(started_s)
        self.ready = bytearray()
        self.samples_lost = 0
        self._hushed_until_s = started_s

    def hush(self, until_s: float) -> None:
        """Nothing that was said before this moment is to be heard."""
        self._hushed_until_s = until_s

    def put(self, pcm: bytes, read_at_s: float) -> None:
        """Add what came up to `read_at_s`, after the silence that is missing before it."""
        pcm = pcm[: len(pcm) & ~1]
        fresh = len(pcm) // SAMPLE_BYTES
        if excess := self.timeline.excess(fresh, until_s=read_at_s):
            self.samples_lost += excess
            fresh -= excess
            pcm = pcm[: fresh * SAMPLE_BYTES]
        silence = self.timeline.gap_before(fresh, until_s=read_at_s)
        self.timeline.add(fresh, silence=silence)
        if silence:
            self.ready += bytes(silence * SAMPLE_BYTES)
        self.ready += self._hushed(pcm, fresh, read_at_s)

    def fill(self, until_s: float) -> None:
        """Silence up to this moment, where it is missing."""
        missing = max(0, round((until_s - self.timeline.started_s) * SAMPLE_RATE) - self.timeline.samples)
        self.timeline.add(0, silence=missing)
        self.ready += bytes(missing * SAMPLE_BYTES)

    def take(self, samples: int) -> bytes:
        """The next samples, off the track."""
        taken = bytes(self.ready[: samples * SAMPLE_BYTES])
        del self.ready[: samples * SAMPLE_BYTES]
        return taken

    def _hushed(self, pcm: bytes, fresh: int, read_at_s: float) -> bytes:
        quiet = min(fresh, round((self._hushed_until_s - read_at_s) * SAMPLE_RATE) + fresh)
        return bytes(quiet * SAMPLE_BYTES) + pcm[quiet * SAMPLE_BYTES :] if quiet > 0 else pcm


def samples_of(buffer: bytes | bytearray) -> int:
    """How many samples lie in this buffer."""
    return len(buffer) // SAMPLE_BYTES
