"""One worker process through all its lives: started, watched, replaced, and asked for its legs."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sealwire.communications.calls.events import (
    DigitHeard,
    LegAnswered,
    LegEnded,
    LegEvent,
    LegHeld,
    LegRinging,
    PlayEnded,
)
from sealwire.communications.switches.baresip.leg import BaresipLeg, party_of
from sealwire.communications.switches.baresip.stack_settings import StackSettings
from sealwire.communications.switches.port import CallNotPlaced, DialTarget, EngineDidNotStart, Leg, LegListener
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.wire import Peer, PeerLost
from sealwire.vocabulary import HangupCause

START_SECONDS_MAX = 20.0
PING_SECONDS = 5.0
LEAVE_SECONDS_MAX = 4.0

OnArrival = Callable[[Leg], LegListener]


class WatchedWorker:
    """`start` returns when it listens; from then on it is replaced whenever it dies or hangs."""

    def __init__(self, number: int, stack: StackSettings, work_dir: Path, on_arrival: OnArrival) -> None:
        self._number = number
        self._stack = stack
        self._work_dir = work_dir
        self._on_arrival = on_arrival
        self._legs: dict[str, BaresipLeg] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._peer: Peer | None = None
        self._watching: asyncio.Task[None] | None = None
        self._dialled = itertools.count(1)

    @property
    def legs(self) -> int:
        return len(self._legs)

    @property
    def is_serving(self) -> bool:
        return self._peer is not None and not self._peer.closed.is_set()

    def has(self, leg: Leg) -> bool:
        return isinstance(leg, BaresipLeg) and self._legs.get(leg.name) is leg

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

    async def dial(self, target: DialTarget, listener: LegListener) -> Leg:
        assert self._peer is not None
        leg = BaresipLeg(
            self._peer, f"out{next(self._dialled)}", target.caller, target.callee, {}, transport=target.transport
        )
        leg.listener = listener
        self._legs[leg.name] = leg  # before anything can be heard of it
        try:
            await self._peer.call(
                "dial",
                leg=leg.name,
                callee=target.callee.text,
                caller=target.caller.text,
                address=target.address,
                transport=target.transport,
                username=target.username,
                password=target.password,
                headers=dict(target.headers),
            )
        except PeerLost:
            self._legs.pop(leg.name, None)
            raise CallNotPlaced from None
        except BaseException:
            self._legs.pop(leg.name, None)
            raise
        return leg

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
        heard = (self._arrived, self._ringing, self._answered, self._held, self._digit, self._played, self._ended)
        self._peer = Peer({handler.__name__.removeprefix("_"): handler for handler in (*heard, self._audio)})
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
        leg = BaresipLeg(
            peer,
            body["leg"],
            party_of(body["caller"]),
            party_of(body["callee"]),
            body["headers"],
            source=body["source"],
            transport=body["transport"],
        )
        self._legs[leg.name] = leg
        leg.listener = self._on_arrival(leg)

    async def _ringing(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, LegRinging())

    async def _held(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, LegHeld(body["held"]))

    async def _answered(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, LegAnswered())

    async def _digit(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, DigitHeard(body["digit"], body["held_ms"]))

    async def _played(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, PlayEnded(body["play"]))

    async def _ended(self, _: Peer, body: dict[str, Any]) -> None:
        self._tell(body, LegEnded(HangupCause(body["cause"]), body["frames_lost"], body["status"]))
        self._legs.pop(body["leg"], None)

    async def _audio(self, _: Peer, body: dict[str, Any]) -> None:
        for name, spoken, played in body["heard"]:
            if (leg := self._legs.get(name)) is not None and leg.listener is not None:
                leg.listener.audio(spoken, body["read_at_s"], played=played)

    def _tell(self, body: dict[str, Any], event: LegEvent) -> None:
        if (leg := self._legs.get(body["leg"])) is not None:
            leg.tell(event)
