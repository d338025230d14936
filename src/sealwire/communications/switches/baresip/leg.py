"""A leg on a worker, as the switchboard holds it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sealwire.communications.calls.events import LegEvent
from sealwire.communications.switches.port import LegGone, LegListener, NotDigits
from sealwire.ground.wire import WAIT_S_MAX, Peer, PeerLost
from sealwire.vocabulary import Party

DIGIT_SECONDS = 0.25
"""A sent digit lasts 100 ms, and 120 ms pass before the next."""
_DIGITS = re.compile(r"[0-9A-Da-d*#]+")
_SIP_USER = re.compile(r"sips?:([^@;>]*)@", re.IGNORECASE)


def party_of(uri: str) -> Party:
    """Who a SIP address names: `"Ann" <sip:+44…@host>` (RFC 3261 §20.10) as a party."""
    found = _SIP_USER.search(uri)
    return Party.from_sip_user(found.group(1) if found else "")


class BaresipLeg:
    """See switches.port.Leg."""

    def __init__(
        self,
        peer: Peer,
        name: str,
        caller: Party,
        callee: Party,
        headers: Mapping[str, str],
        *,
        source: str = "",
        transport: str = "udp",
    ) -> None:
        self.name = name
        self.caller = caller
        self.callee = callee
        self.headers = headers
        self.source = source
        self.transport = transport
        self.listener: LegListener | None = None
        self._peer = peer

    def tell(self, event: LegEvent) -> None:
        if self.listener is not None:
            self.listener.heard(event)

    def shares_worker_with(self, other: BaresipLeg) -> bool:
        return self._peer is other._peer

    async def ring(self) -> None:
        await self.do("ring")

    async def answer(self) -> None:
        await self.do("answer")

    async def refuse(self, *, status: int, sentence: str) -> None:
        await self.do("refuse", status=status, sentence=sentence)

    async def play(self, pcm: bytes, *, play: int) -> None:
        await self.do("play", pcm=pcm, play=play)

    async def stop_playing(self) -> None:
        await self.do("stop_playing")

    async def listen(self, *, played: bool = False) -> float:
        return float(await self.do("listen", played=played))

    async def stop_listening(self) -> float:
        spoken, played, ended_at_s = await self.do("stop_listening")
        if (spoken or played) and self.listener is not None:
            self.listener.audio(spoken, ended_at_s, played=played)
        return float(ended_at_s)

    async def send_digits(self, digits: str) -> None:
        if not _DIGITS.fullmatch(digits):
            raise NotDigits
        await self.do("send_digits", wait_s=WAIT_S_MAX + DIGIT_SECONDS * len(digits), digits=digits)

    async def transfer(self, callee: Party) -> None:
        await self.do("transfer", callee=callee.text)

    async def hang_up(self) -> None:
        await self.do("hang_up")

    async def do(self, verb: str, /, **body: Any) -> Any:
        """Have the worker do something with this leg."""
        try:
            return await self._peer.call(verb, leg=self.name, **body)
        except PeerLost:
            raise LegGone from None
