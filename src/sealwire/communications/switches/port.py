"""The one port to any switch: what an engine offers and what it reports. Its dialect ends behind it.

Audio is 8 kHz, mono, signed 16-bit little-endian PCM everywhere above this line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sealwire.communications.calls.events import LegEvent
from sealwire.errors import Malformed, Missing, Unavailable
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


class CallNotPlaced(Unavailable):
    """The outbound call could not be sent; check the address and transport of its trunk, then try again."""


class NotDigits(Malformed):
    """Only 0 to 9, A to D, * and # can be sent as digits; nothing was sent."""


class TransferRefused(Unavailable):
    """The far end did not take the transfer, so the call goes on as it was."""


class NotBridged(Unavailable):
    """These two legs are not on one engine worker, so they cannot hear each other; dial one beside the other."""


class LegListener(Protocol):
    """Hears one leg. Both are called on the event loop and must not wait."""

    def heard(self, event: LegEvent) -> None: ...

    def audio(self, spoken: bytes, read_at_s: float, *, played: bytes = b"") -> None:
        """What the far end said up to `read_at_s` (time.monotonic of this machine), empty when nothing came.

        `played` is what the far end was given to hear in the same stretch of time (prompts, or the other party of
        a bridge), when `listen(played=True)` asked for it: empty for silence all the while, else it ends at
        `read_at_s` and has silence in its place wherever nothing was given.
        """


@dataclass(frozen=True, slots=True)
class DialTarget:
    """Where an outbound leg goes. `address` is HOST:PORT of the trunk; `user` the callee as the trunk wants it."""

    callee: Party = field(repr=False)
    caller: Party = field(repr=False)
    address: str
    transport: str = "udp"
    """udp, tcp or tls; with tls the media are SRTP (mandatory)."""
    username: str = ""
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


class Leg(Protocol):
    """One party's line. Every method raises LegGone once it has ended."""

    @property
    def caller(self) -> Party: ...

    @property
    def callee(self) -> Party:
        """Whom an inbound leg asks for: the user of the Request-URI."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def source(self) -> str:
        """HOST:PORT the INVITE of an inbound leg came from; empty when the engine cannot tell."""

    @property
    def transport(self) -> str: ...

    async def ring(self) -> None:
        """Inbound: 180 Ringing. An engine may have sent it already."""

    async def answer(self) -> None: ...

    async def refuse(self, *, status: int, sentence: str) -> None: ...

    async def play(self, pcm: bytes, *, play: int) -> None:
        """Start a sound in place of the one being played; PlayEnded(play) reports its end."""

    async def stop_playing(self) -> None: ...

    async def listen(self, *, played: bool = False) -> float:
        """Hand over received audio from now on; gives the time it starts at (time.monotonic)."""

    async def stop_listening(self) -> float:
        """Hand over what is left, then no more; gives the time it ended at."""

    async def send_digits(self, digits: str) -> None:
        """RFC 4733; returns when the last one was sent. NotDigits when one of them is none."""

    async def transfer(self, callee: Party) -> None:
        """REFER to this party at the far end's own host; LegEnded follows. TransferRefused when it was not taken."""

    async def hang_up(self) -> None:
        """BYE, CANCEL or a refusal, as the leg's state wants it."""


class Engine(Protocol):
    """A switch: takes calls, places calls, and reports them."""

    async def start(self, on_arrival: Callable[[Leg], LegListener]) -> None: ...

    async def stop(self) -> None: ...

    async def dial(self, target: DialTarget, listener: LegListener, *, beside: Leg | None = None) -> Leg:
        """Send an INVITE; LegRinging, LegAnswered or LegEnded (with its cause) follow. CallNotPlaced when it cannot.

        Only legs that were dialled `beside` each other, or beside the same leg, can surely be bridged.
        """

    async def bridge(self, one: Leg, other: Leg) -> None:
        """Let two legs hear each other, 20 ms frames, until `unbridge` or one ends. Ends what is played on both.

        NotBridged when an engine of several workers has them on different ones.
        """

    async def unbridge(self, leg: Leg) -> None: ...
