"""An engine alone for tests: legs are collected with what they said, telephones are real, nothing is recorded."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.communications.calls.events import DigitHeard, LegAnswered, LegEnded, LegEvent
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.communications.switches.port import DialTarget, Engine, Leg
from sealwire.vocabulary import Party
from tests import ports

SCENARIOS = Path(__file__).parent / "promises" / "sipp"
CALLER = Party("+441632960123")
CALLEE = Party("+441632960777")
needs_sipp = (shutil.which("sipp") is None, "SIPp is not installed (Debian: sip-tester)")


@dataclass
class Ear:
    """A LegListener that remembers everything."""

    leg: Leg | None = None
    events: list[LegEvent] = field(default_factory=list)
    stretches: list[tuple[float, bytes, bytes]] = field(default_factory=list)

    def heard(self, event: LegEvent) -> None:
        self.events.append(event)

    def audio(self, spoken: bytes, read_at_s: float, *, played: bytes = b"") -> None:
        self.stretches.append((read_at_s, spoken, played))

    def has(self, kind: type) -> bool:
        return any(isinstance(event, kind) for event in self.events)

    async def until(self, kind: type, seconds: float = 10.0) -> LegEvent:
        """The first event of this kind, when it comes."""
        await until(lambda: self.has(kind), seconds)
        return next(event for event in self.events if isinstance(event, kind))

    async def ended(self, seconds: float = 10.0) -> LegEnded:
        found = await self.until(LegEnded, seconds)
        assert isinstance(found, LegEnded)
        return found

    @property
    def digits(self) -> str:
        return "".join(event.digit for event in self.events if isinstance(event, DigitHeard))

    @property
    def spoken(self) -> bytes:
        return b"".join(spoken for _, spoken, _ in self.stretches)

    def given(self, since_s: float) -> bytes:
        """What the far end was given, with silence where nothing was, since this moment."""
        whole = bytearray()
        for read_at_s, _, played in self.stretches:
            due = round((read_at_s - since_s) * 8000) * 2
            missing = due - len(whole) - len(played)
            whole += bytes(max(missing, 0) if missing > 960 or not played else 0) + played
        return bytes(whole)


@dataclass
class EngineHouse:
    """What a test may touch: `arrived` gives inbound legs in their order."""

    engine: Engine
    address: str
    arrived: asyncio.Queue[Ear] = field(default_factory=asyncio.Queue)

    def take(self, leg: Leg) -> Ear:
        ear = Ear(leg)
        self.arrived.put_nowait(ear)
        return ear

    async def next_leg(self, seconds: float = 10.0) -> tuple[Leg, Ear]:
        async with asyncio.timeout(seconds):
            ear = await self.arrived.get()
        assert ear.leg is not None
        return ear.leg, ear

    async def dial(self, address: str, *, beside: Leg | None = None, **changes: object) -> tuple[Leg, Ear]:
        ear = Ear()
        target = DialTarget(**({"callee": CALLEE, "caller": CALLER, "address": address} | changes))  # type: ignore[arg-type]
        ear.leg = await self.engine.dial(target, ear, beside=beside)
        return ear.leg, ear

    async def call_up(self, other: EngineHouse, **changes: object) -> tuple[tuple[Leg, Ear], tuple[Leg, Ear]]:
        """A call from this engine to another, answered: our leg and theirs."""
        ours, our_ear = await self.dial(other.address, **changes)
        theirs, their_ear = await other.next_leg()
        await theirs.answer()
        await our_ear.until(LegAnswered)
        await their_ear.until(LegAnswered)
        return (ours, our_ear), (theirs, their_ear)


@asynccontextmanager
async def open_engine(folder: Path, **settings: object) -> AsyncIterator[EngineHouse]:
    address = f"127.0.0.1:{ports.take(2)}"  # the next one is for TLS
    given = {"sip_listen": address, "rtp_ports": free_rtp_ports(), "work_dir": folder / f"engine-{address[10:]}"}
    engine = BaresipEngine(**(given | settings))  # type: ignore[arg-type]
    house = EngineHouse(engine, address)
    await engine.start(house.take)
    try:
        yield house
    finally:
        await engine.stop()


async def until(true, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_rtp_ports() -> str:
    first = ports.take(40)
    return f"{first}-{first + 39}"


@dataclass
class Sipp:
    """A running SIPp: `code` waits for its end."""

    process: asyncio.subprocess.Process
    port: int
    started_s: float = field(default_factory=time.monotonic)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def code(self, seconds: float = 60.0) -> int:
        async with asyncio.timeout(seconds):
            return await self.process.wait()


@asynccontextmanager
async def sipp(scenario: str, folder: Path, *arguments: str, to: str = "") -> AsyncIterator[Sipp]:
    """One of our scenarios (tests/promises/sipp), calling `to` or waiting for a call."""
    port, media = ports.take(), ports.take(4)
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-m", "1", "-i", "127.0.0.1", "-mi", "127.0.0.1"),
        *("-p", str(port), "-mp", str(media), "-s", CALLEE.text, "-nostdin", *arguments, *([to] if to else [])),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "TERM": "dumb"},
    )
    try:
        if not to:
            await until(lambda: not _is_free(socket.SOCK_DGRAM, port))
        yield Sipp(process, port)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
