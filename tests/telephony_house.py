"""A switchboard with a real engine for tests: records and recordings stay in memory, telephones are real."""

from __future__ import annotations

import asyncio
import random
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.communications.calls.commands import Instruction, Outcome, Play
from sealwire.communications.calls.greeting import Greeting
from sealwire.communications.calls.ports import (
    UNKNOWN_CALLEE,
    CallEnded,
    LiveCallStarted,
    MediaSink,
    Refusal,
    Route,
    ServiceMaker,
)
from sealwire.communications.calls.switchboard import Switchboard
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.doors.caller import CallPlan, demo_speech
from sealwire.errors import Unavailable
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import AccountId, Party

CALLER = "+441632960123"
GREETED = "+441632960999"
REFUSED = "+441632960403"
ACCOUNT = AccountId.new()
NO_AGREEMENT = Refusal(403, "no agreement is in force for this number")
SPEECH = demo_speech("caller-one")


class MemorySink:
    """Holds a recording as it was written."""

    def __init__(self) -> None:
        self.pcm = bytearray()
        self.aborted = False

    async def write(self, pcm: bytes) -> None:
        self.pcm += pcm

    async def finish(self) -> object:
        return bytes(self.pcm)

    async def abort(self) -> None:
        self.aborted = True


@dataclass
class MemoryKeeper:
    """Keeps calls in a list; `is_down` makes it refuse recordings as a keeper that does not run."""

    is_down: bool = False
    calls: asyncio.Queue[CallEnded] = field(default_factory=asyncio.Queue)
    live: list[LiveCallStarted] = field(default_factory=list)
    sinks: list[MemorySink] = field(default_factory=list)

    async def begin_recording(self, *_: object) -> MediaSink:
        if self.is_down:
            raise Unavailable
        self.sinks.append(MemorySink())
        return self.sinks[-1]

    async def keep_call(self, ended: CallEnded) -> None:
        self.calls.put_nowait(ended)

    async def on_live(self, started: LiveCallStarted) -> None:
        self.live.append(started)

    async def next_call(self) -> CallEnded:
        async with asyncio.timeout(20):
            return await self.calls.get()


class BriskGreeting(Greeting):
    """Says goodbye with a tone, so that tests end sooner."""

    def decide(self, outcome: Outcome) -> Instruction:
        instruction = super().decide(outcome)
        return Play("tone") if instruction == Play("goodbye") else instruction


class NumberRouter:
    """Two numbers are known; one of them has no agreement."""

    async def route(self, callee: Party) -> Route | Refusal:
        if callee.text == REFUSED:
            return NO_AGREEMENT
        return Route(ACCOUNT) if callee.text == GREETED else UNKNOWN_CALLEE


@dataclass
class House:
    """What a test may touch."""

    switchboard: Switchboard
    engine: BaresipEngine
    keeper: MemoryKeeper
    address: str

    def uri(self, number: str = GREETED) -> str:
        return f"sip:{number}@{self.address}"

    def plan(self, number: str = GREETED, *, seconds: float = 1.5, **changes: object) -> CallPlan:
        """A short call: types over the prompt, says a little, types `#`."""
        speech = SPEECH[: int(seconds * 8000) * 2]
        plan = CallPlan(to=self.uri(number), caller=CALLER, speech=speech, interrupt_after=0.3)
        for name, value in changes.items():
            setattr(plan, name, value)
        return plan


@asynccontextmanager
async def open_house(
    folder: Path, *, call_seconds_max: float = 60, services: Mapping[str, ServiceMaker] | None = None
) -> AsyncIterator[House]:
    address, keeper = f"127.0.0.1:{free_sip_port()}", MemoryKeeper()
    engine = BaresipEngine(sip_listen=address, rtp_ports=free_rtp_ports(), work_dir=folder / "engine")
    switchboard = Switchboard(
        engine,
        router=NumberRouter(),
        keeper=keeper,
        clock=SystemClock(),
        call_seconds_max=call_seconds_max,
        services=services or {"greeting": lambda _: BriskGreeting()},
        on_live=keeper.on_live,
    )
    await switchboard.start()
    try:
        yield House(switchboard, engine, keeper, address)
    finally:
        await switchboard.stop()


def free_sip_port() -> int:
    """A port free for UDP and TCP, and the next one too, as TLS would take it."""
    for port in random.sample(range(15060, 15158, 2), 49):
        try:
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                for number in (port, port + 1):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
    raise AssertionError("no free SIP port between 15060 and 15158")


def free_rtp_ports() -> str:
    first = random.randrange(21000, 29600, 400)
    return f"{first}-{first + 399}"


async def run_program(*arguments: str, seconds_max: float = 90) -> tuple[int, str]:
    """A program of ours in a process of its own: exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *arguments, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(seconds_max):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()
