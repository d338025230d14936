"""What one far end is given to hear: sounds and the other party of a bridge, and how much of it has gone out.

The engine holds what was written until its own clock sends it, so what it no longer holds is what was heard.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from sealwire.communications.switches.baresip.rings import Rings

SECOND_BYTES = 16_000
AHEAD_BYTES = 4_800
"""A sound is written at most 300 ms ahead: three ticks, so that a late one is not heard."""
RELAY_FILL_BYTES = 960
"""A bridge that ran dry starts 60 ms ahead again, against the unevenness of a network."""
RELAY_BYTES_MAX = 3_200
"""What a bridge holds above 200 ms comes from a clock faster than ours, and is left out."""
FLUSH_SECONDS = 0.045
"""The engine drops what was flushed at its next frame, and whatever was written by then."""
_JITTER_BYTES = 960


class Mouth:
    """Plays and relays. `taken` places what went out in time."""

    def __init__(self, rings: Rings, on_played: Callable[[int], None]) -> None:
        self._rings = rings
        self._on_played = on_played
        self._sound = memoryview(b"")
        self._play = 0
        self._given: Given | None = None
        self._flushed_until_s = 0.0

    @property
    def is_playing(self) -> bool:
        return bool(self._play)

    def play(self, pcm: bytes, play: int) -> None:
        """Start a sound; one that is being played ends here."""
        self.stop()
        self._sound, self._play = memoryview(pcm), play
        if self._is_flushing():
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.feed)
        else:
            self.feed()

    def stop(self) -> None:
        """Be quiet at once; a sound that is being played ends here."""
        self.hush()
        if self._play:
            play, self._sound, self._play = self._play, memoryview(b""), 0
            self._on_played(play)

    def hush(self) -> None:
        """Drop what was written and has not gone out yet."""
        held = self._rings.held()
        if not held:
            return
        self._rings.flush()
        self._flushed_until_s = time.monotonic() + FLUSH_SECONDS
        if self._given is not None:
            self._given.gone(held)
            self._given.forget()

    def feed(self) -> None:
        """Keep a sound going, and notice its end."""
        if not self._play or self._is_flushing():
            return
        held = self._rings.held()
        if self._sound:
            if held < AHEAD_BYTES:
                self._sound = self._sound[self._write(self._sound[: AHEAD_BYTES - held]) :]
        elif not held:
            play, self._play = self._play, 0
            self._on_played(play)

    def relay(self, pcm: bytes) -> None:
        """Say what the other party said, unless a sound is being played."""
        if self._play or not pcm or self._is_flushing():
            return
        held = self._rings.held()
        if held > RELAY_BYTES_MAX:
            return
        self._write(bytes(RELAY_FILL_BYTES) + pcm if not held else pcm)

    def keep_given(self, since_s: float | None) -> None:
        """Remember what is given from this moment (time.monotonic), or no more."""
        self._given = None if since_s is None else Given(since_s)

    def taken(self, until_s: float) -> bytes:
        """What went out since the last time, ending at `until_s`; empty for silence all the while."""
        if self._given is None:
            return b""
        self._given.gone(self._rings.held())
        return self._given.taken(until_s)

    def _is_flushing(self) -> bool:
        return time.monotonic() < self._flushed_until_s

    def _write(self, pcm: memoryview | bytes) -> int:
        written = self._rings.write(pcm)
        if written and self._given is not None:
            self._given.wrote(bytes(pcm[:written]), time.monotonic())
        return written


class Given:
    """The record of what a far end was given, on the wall clock."""

    def __init__(self, since_s: float) -> None:
        self._since_s = since_s
        self._placed = 0
        """Bytes of the wall clock since `since_s` that are accounted for."""
        self._began_s: float | None = None
        """When the sound that is being given began, if it began after the last stretch."""
        self._sounding = False
        self._waiting = bytearray()
        self._out = bytearray()

    def wrote(self, pcm: bytes, now_s: float) -> None:
        if not self._sounding:
            self._sounding, self._began_s = True, now_s
            missing = self._due(now_s) - self._placed - len(self._out)
            if missing > 0:
                self._out += bytes(missing)  # it was quiet until now
        self._waiting += pcm

    def gone(self, held: int) -> None:
        """The engine holds this much: what was written before it has been sent."""
        sent = len(self._waiting) - held
        if sent > 0:
            self._out += self._waiting[:sent]
            del self._waiting[:sent]
        if not self._waiting:
            self._sounding = False

    def forget(self) -> None:
        """What was written and not sent will not be."""
        self._waiting.clear()
        self._sounding = False

    def taken(self, until_s: float) -> bytes:
        due = self._due(until_s) - self._placed
        if not self._out and not self._sounding:
            self._placed += max(due, 0)
            return b""
        missing = due - len(self._out)
        if missing > 0 and not self._sounding:
            self._out += bytes(missing)
        elif missing > _JITTER_BYTES:
            self._out[:0] = bytes(missing)
        out = bytes(self._out)
        self._out.clear()
        self._placed += len(out)
        return out

    def _due(self, now_s: float) -> int:
        return round((now_s - self._since_s) * SECOND_BYTES / 2) * 2
