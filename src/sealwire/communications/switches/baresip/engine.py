"""The embedded engine as the switchboard sees it: worker processes that are watched, and legs on them.

A worker that dies or stops answering is replaced; each of its legs ends with ENGINE_FAILED at that moment.
With more than one worker each has its own SIP port (two apart) and its share of the RTP ports, and a SIP
dispatcher in front spreads the calls.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sealwire.communications.calls.events import DigitHeard, LegAnswered, LegEnded, LegEvent, PlayEnded
from sealwire.communications.switches.baresip.stack_settings import StackSettings
from sealwire.communications.switches.port import EngineDidNotStart, Leg, LegGone, LegListener
from sealwire.config import Settings, SettingsRefused
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.wire import Peer, PeerLost
from sealwire.vocabulary import HangupCause, Party

START_SECONDS_MAX = 20.0
PING_SECONDS = 5.0
LEAVE_SECONDS_MAX = 4.0
_SIP_USER = re.compile(r"sips?:([^@;>]*)@", re.IGNORECASE)

OnArrival = Callable[[Leg], LegListener]


def party_of(uri: str) -> Party:
    """Who a SIP address names: `"Ann" <sip:+44…@host>` (RFC 3261 §20.10) as a party."""
    found = _SIP_USER.search(uri)
    return Party.from_sip_user(found.group(1) if found else "")


class BaresipEngine:
    """As many workers as the settings say. `start` returns when all of them listen."""

    def __init__(
        self, *, sip_listen: str, rtp_ports: str, work_dir: Path, workers: int = 1, media_timeout_s: int = 30
    ) -> None:
        self._stacks = _divide(sip_listen, rtp_ports, workers=workers, media_timeout_s=media_timeout_s)
        self._work_dir = work_dir
        self._workers: list[_Worker] = []

    @classmethod
    def from_settings(cls, settings: Settings) -> BaresipEngine:
        return cls(
            sip_listen=settings.sip_listen,
            rtp_ports=settings.rtp_ports,
            work_dir=settings.run_dir / "engine",
            workers=settings.engine_workers,
        )

    @property
    def worker_pids(self) -> list[int]:
        """The processes that are alive now."""
        return [worker.pid for worker in self._workers if worker.pid]

    async def start(self, on_arrival: Callable[[Leg], LegListener]) -> None:
        for number, stack in enumerate(self._stacks):
            self._workers.append(_Worker(number, stack, self._work_dir / str(number), on_arrival))
        try:
            await asyncio.gather(*(worker.start() for worker in self._workers))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        self._workers.clear()
        shutil.rmtree(self._work_dir, ignore_errors=True)


class _Worker:
    """One worker process through all its lives."""

    def __init__(self, number: int, stack: StackSettings, work_dir: Path, on_arrival: OnArrival) -> None:
        self._number = number
        self._stack = stack
        self._work_dir = work_dir
        self._on_arrival = on_arrival
        self._legs: dict[str, _BaresipLeg] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._peer: Peer | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        serving = await self._begin()
        self._watching = asyncio.ensure_future(self._watch(serving))

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await self._end()

    async def _begin(self) -> asyncio.Task[None]:
        shutil.rmtree(self._work_dir, ignore_errors=True)
        self._work_dir.mkdir(mode=0o700, parents=True)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"{__package__}.worker", str(theirs.fileno()), str(self._work_dir)),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
            )
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        heard = (self._arrived, self._answered, self._digit, self._played, self._ended, self._audio)
        self._peer = Peer({handler.__name__.removeprefix("_"): handler for handler in heard})
        serving = asyncio.ensure_future(self._peer.run(reader, writer))
        await asyncio.sleep(0)
        try:
            async with asyncio.timeout(START_SECONDS_MAX):
                await self._peer.call("start", **msgspec.to_builtins(self._stack))
        except (TimeoutError, PeerLost):
            await self._end()
            raise EngineDidNotStart from None
        except SealwireError:
            await self._end()
            raise
        diagnostics.event("engine.started", worker=self._number, pid=self._process.pid)
        return serving

    async def _watch(self, serving: asyncio.Task[None]) -> None:
        """Wait for the end of each life, report its legs as failed, and begin the next with growing patience."""
        patience = 0.1
        while True:
            born = time.monotonic()
            pinging = asyncio.ensure_future(self._ping_forever())
            await asyncio.wait((serving, pinging), return_when=asyncio.FIRST_COMPLETED)
            pinging.cancel()
            diagnostics.event("engine.worker-lost", worker=self._number, legs=len(self._legs))
            await self._end()
            patience = 0.1 if time.monotonic() - born > 60 else min(patience * 2, 10.0)
            while True:
                await asyncio.sleep(patience)
                try:
                    serving = await self._begin()
                    break
                except Exception as error:
                    diagnostics.failure("engine.restart-failed", error, worker=self._number)
                    patience = min(patience * 2, 10.0)

    async def _ping_forever(self) -> None:
        """Ends when the worker or its SIP thread no longer answers."""
        assert self._peer is not None
        with suppress(TimeoutError, SealwireError):
            while True:
                await asyncio.sleep(PING_SECONDS)
                async with asyncio.timeout(PING_SECONDS):
                    await self._peer.call("ping")

    async def _end(self) -> None:
        if self._peer is not None:
            self._peer.close()
        legs, self._legs = list(self._legs.values()), {}
        for leg in legs:
            leg.tell(LegEnded(HangupCause.ENGINE_FAILED))
        if self._process is not None:
            try:
                async with asyncio.timeout(LEAVE_SECONDS_MAX):
                    await self._process.wait()  # it leaves by itself when its socket closes
            except TimeoutError:
                self._process.kill()
                await self._process.wait()

    async def _arrived(self, peer: Peer, body: dict[str, Any]) -> None:
        leg = _BaresipLeg(peer, body["leg"], party_of(body["caller"]), party_of(body["callee"]), body["headers"])
        self._legs[leg.name] = leg
        leg.listener = self._on_arrival(leg)

    async def _answered(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, LegAnswered())

    async def _digit(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, DigitHeard(body["digit"], body["held_ms"]))

    async def _played(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, PlayEnded(body["play"]))

    async def _ended(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, LegEnded(HangupCause(body["cause"]), body["frames_lost"]))
        self._legs.pop(body["leg"], None)

    async def _audio(self, _: Peer, body: dict[str, Any]) -> None:
        for name, pcm in body["heard"]:
            if (leg := self._legs.get(name)) is not None and leg.listener is not None:
                leg.listener.audio(pcm, body["read_at_s"])

    def _tell(self, body: dict[str, Any], event: LegEvent) -> None:
        if (leg := self._legs.get(body["leg"])) is not None:
            leg.tell(event)


class _BaresipLeg:
    """A leg on a worker; see switches.port.Leg."""

    def __init__(self, peer: Peer, name: str, caller: Party, callee: Party, headers: Mapping[str, str]) -> None:
        self.name = name
        self.caller = caller
        self.callee = callee
        self.headers = headers
        self.listener: LegListener | None = None
        self._peer = peer

    def tell(self, event: LegEvent) -> None:
        if self.listener is not None:
            self.listener.heard(event)

    async def answer(self) -> None:
        await self._do("answer")

    async def refuse(self, *, status: int, sentence: str) -> None:
        await self._do("refuse", status=status, sentence=sentence)

    async def play(self, pcm: bytes, *, play: int) -> None:
        await self._do("play", pcm=pcm, play=play)

    async def stop_playing(self) -> None:
        await self._do("stop_playing")

    async def listen(self) -> float:
        return float(await self._do("listen"))

    async def stop_listening(self) -> float:
        pcm, ended_at_s = await self._do("stop_listening")
        if pcm and self.listener is not None:
            self.listener.audio(pcm, ended_at_s)
        return float(ended_at_s)

    async def hang_up(self) -> None:
        await self._do("hang_up")

    async def _do(self, verb: str, **body: Any) -> Any:
        try:
            return await self._peer.call(verb, leg=self.name, **body)
        except PeerLost:
            raise LegGone from None


def _divide(sip_listen: str, rtp_ports: str, *, workers: int, media_timeout_s: int) -> list[StackSettings]:
    """Give each worker its SIP port and its share of the RTP ports."""
    host, _, port = sip_listen.rpartition(":")
    first, _, last = rtp_ports.partition("-")
    if not (host and port.isdigit() and first.isdigit() and last.isdigit()):
        raise SettingsRefused("write sip_listen as ADDRESS:PORT and rtp_ports as FIRST-LAST")
    share = (int(last) + 1 - int(first)) // max(workers, 1) & ~1
    if workers < 1 or share < 4 or int(last) > 65535:
        raise SettingsRefused("rtp_ports must leave each engine worker at least 4 ports below 65536")
    return [
        StackSettings(
            sip_host=host.strip("[]"),
            sip_port=int(port) + 2 * number,
            rtp_first=int(first) + share * number,
            rtp_last=int(first) + share * (number + 1) - 1,
            media_timeout_s=media_timeout_s,
        )
        for number in range(workers)
    ]
