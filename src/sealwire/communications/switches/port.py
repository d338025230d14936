"""The one port to any switch: what an engine offers and what it reports. Its dialect ends behind it.

Audio is 8 kHz, mono, signed 16-bit little-endian PCM everywhere above this line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from sealwire.communications.calls.events import LegEvent
from sealwire.errors import Missing, Unavailable
from sealwire.vocabulary import Party

SAMPLE_RATE = 8000
SAMPLE_BYTES = 2
FRAME_BYTES = 320
"""One RTP frame of 20 ms."""


class LegGone(Missing):
    """This leg has ended already; nothing was done to it."""


class SipAddressTaken(Unavailable):
    """Another program listens at the SIP address; stop it, or choose another address with sip_listen."""


class EngineDidNotStart(Unavailable):
    """The telephony engine did not start; look at the line before this one in the diagnostics."""


class LegListener(Protocol):
    """Hears one leg. Both are called on the event loop and must not wait."""

    def heard(self, event: LegEvent) -> None: ...

    def audio(self, pcm: bytes, read_at_s: float) -> None:
        """PCM received up to `read_at_s` (time.monotonic of this machine); empty when none came."""


class Leg(Protocol):
    """One party's line. Every method raises LegGone once it has ended."""

    @property
    def caller(self) -> Party: ...

    @property
    def callee(self) -> Party: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    async def answer(self) -> None: ...

    async def refuse(self, *, status: int, sentence: str) -> None: ...

    async def play(self, pcm: bytes, *, play: int) -> None:
        """Start a sound in place of the one being played; PlayEnded(play) reports its end."""

    async def stop_playing(self) -> None: ...

    async def listen(self) -> float:
        """Hand over received audio from now on; gives the time it starts at (time.monotonic)."""

    async def stop_listening(self) -> float:
        """Hand over what is left, then no more; gives the time it ended at."""

    async def hang_up(self) -> None: ...


class Engine(Protocol):
    """A switch: takes calls and reports them."""

    async def start(self, on_arrival: Callable[[Leg], LegListener]) -> None: ...

    async def stop(self) -> None: ...
