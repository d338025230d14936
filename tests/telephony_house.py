"""A switchboard with a real engine for tests: records and recordings stay in memory, telephones are real."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.communications.accounting.port import Charge, DestinationNotAllowed, SpendCapReached
from sealwire.communications.calls.exchange import Exchange
from sealwire.communications.calls.pace import Pace
from sealwire.communications.calls.ports import (
    UNKNOWN_CALLEE,
    ApplicationEnded,
    CallEnded,
    LiveCallStarted,
    RecordingEnded,
    Refusal,
    Route,
)
from sealwire.communications.calls.switchboard import Switchboard
from sealwire.communications.control.builtins import Greeting
from sealwire.communications.control.port import Application, CallControl, ChannelEnded, Sounds
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.communications.switches.port import DialTarget, Leg
from sealwire.communications.webhooks.events import Event
from sealwire.doors.caller import CallPlan, demo_speech
from sealwire.errors import Missing, Unavailable
from sealwire.governance.services import BuiltIn, Direction, Service
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import AccountId, CallId, CredentialId, Party, RecordId, ServiceId
from tests import ports

CALLER = "+441632960123"
GREETED = "+441632960999"
REFUSED = "+441632960403"
ACCOUNT = AccountId.new()
NO_AGREEMENT = Refusal(403, "no agreement is in force for this number")
SPEECH = demo_speech("caller-one")


GREETING = Service(
    account=ACCOUNT, service=ServiceId.new(), name="test", direction=Direction.BOTH, logic=BuiltIn(name="greeting")
)
"""Whatever an `applications` of open_house says runs under it."""


class MemorySink:
    """Holds a recording as it was written."""

    def __init__(self) -> None:
        self.record = RecordId.new()
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
    runs: asyncio.Queue[ApplicationEnded] = field(default_factory=asyncio.Queue)
    live: list[LiveCallStarted] = field(default_factory=list)
    up: set[object] = field(default_factory=set)
    sinks: list[MemorySink] = field(default_factory=list)
    recordings: list[RecordingEnded] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    opened_at: list[dt.datetime] = field(default_factory=list)

    async def begin_recording(self, *_: object, **__: object) -> MemorySink:
        if self.is_down:
            raise Unavailable
        self.sinks.append(MemorySink())
        self.opened_at.append(SystemClock().now())
        return self.sinks[-1]

    async def call_started(self, started: LiveCallStarted) -> None:
        self.live.append(started)
        self.up.add(started.call_id)

    async def let_go(self, started: LiveCallStarted) -> None:
        self.up.discard(started.call_id)

    async def keep_recording(self, _: CallEnded, recording: RecordingEnded) -> None:
        self.recordings.append(recording)

    async def keep_call(self, ended: CallEnded) -> None:
        self.calls.put_nowait(ended)
        if ended.leg:
            self.up.discard(ended.call_id)

    async def keep_charges(self, _: CallEnded, charges: list[Charge]) -> None:
        self.charges += charges

    async def keep_application(self, ended: ApplicationEnded) -> None:
        self.runs.put_nowait(ended)
        self.up.discard(ended.call_id)

    async def next_call(self) -> CallEnded:
        async with asyncio.timeout(20):
            return await self.calls.get()

    async def next_run(self) -> ApplicationEnded:
        async with asyncio.timeout(20):
            return await self.runs.get()


def BriskGreeting(*, silence_seconds: float = 3.0) -> Greeting:  # noqa: N802 - a greeting that is brisk
    """Says goodbye with a tone, so that tests end sooner."""
    return Greeting(silence_seconds=silence_seconds, goodbye="tone")


@dataclass
class Routes:
    """Two numbers are known; one of them has no agreement."""

    service_of_all: Service = GREETING

    async def route(self, leg: Leg) -> Route | Refusal:
        if leg.callee.text == REFUSED:
            return NO_AGREEMENT
        return Route(ACCOUNT, self.service_of_all) if leg.callee.text == GREETED else UNKNOWN_CALLEE

    async def service(self, account: AccountId, service: ServiceId) -> Service:
        if (account, service) != (ACCOUNT, self.service_of_all.service):
            raise Missing
        return self.service_of_all


@dataclass
class Purse:
    """Money in seconds: every leg may last `seconds` and is extended `extensions` times; a price a second."""

    seconds: float = 1e6
    extensions: int = 0
    forbidden: str = ""
    empty: bool = False
    open: int = 0

    async def admit_call(
        self, account: AccountId, *, direction: str, callee: Party, credential: CredentialId | None = None,
        is_extra: bool = False, call: CallId | None = None,
    ) -> PurseAdmission:  # fmt: skip
        if self.forbidden and callee.text.startswith(self.forbidden):
            raise DestinationNotAllowed
        if self.empty:
            raise SpendCapReached
        self.open += 1
        return PurseAdmission(self, self.seconds, f"{direction}-second")

    async def admit_transfer(self, account: AccountId, *, to: Party, credential: CredentialId | None = None) -> None:
        await (await self.admit_call(account, direction="outbound", callee=to, credential=credential)).settle()

    async def admit_message(self, *_: object, **__: object) -> PurseAdmission:
        raise NotImplementedError


class PurseAdmission:
    """One leg's money."""

    def __init__(self, purse: Purse, seconds: float, item: str) -> None:
        self.seconds = seconds
        self._purse, self._item, self._left = purse, item, purse.extensions
        self._charges: list[Charge] | None = None

    async def extend(self) -> bool:
        if not self._left:
            return False
        self._left -= 1
        self.seconds += self._purse.seconds
        return True

    async def settle(self, *, answered_seconds: float = 0.0, segments: int = 0) -> list[Charge]:
        if self._charges is None:
            self._purse.open -= 1
            units = -int(-answered_seconds // 1)
            self._charges = [Charge(self._item, units, units * 10, "test")] if units else []
        return self._charges


@dataclass
class OneTrunk:
    """All legs go to this address."""

    address: str = "127.0.0.1:9"

    async def target(self, account: AccountId, *, callee: Party, caller: Party | None) -> DialTarget:
        return DialTarget(callee=callee, caller=caller or Party(GREETED), address=self.address)


@dataclass
class OneApplication:
    """The same application for every service."""

    run_by: Callable[[], Application | None]

    def application(self, _: Service) -> Application | None:
        return self.run_by()


@dataclass
class Crier:
    """Remembers what was announced."""

    told: list[tuple[Event, dict[str, object]]] = field(default_factory=list)

    async def announce(self, account: AccountId, event: Event, **references: str | int | bool) -> None:
        self.told.append((event, references))

    @property
    def events(self) -> list[Event]:
        return [event for event, _ in self.told]


class Script:
    """An application that is one coroutine function."""

    def __init__(self, play: Callable[[CallControl], object]) -> None:
        self._play = play

    async def run(self, call: CallControl) -> int:
        return await self._play(call)  # type: ignore[misc,no-any-return]


@dataclass
class House:
    """What a test may touch."""

    switchboard: Switchboard
    engine: BaresipEngine
    keeper: MemoryKeeper
    address: str
    purse: Purse
    trunk: OneTrunk
    crier: Crier

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
    folder: Path,
    *,
    call_seconds_max: float = 60,
    application: Callable[[], Application | None] = BriskGreeting,
    service: Service = GREETING,
    sounds: Sounds | None = None,
) -> AsyncIterator[House]:
    address, keeper = f"127.0.0.1:{free_sip_port()}", MemoryKeeper()
    engine = BaresipEngine(sip_listen=address, rtp_ports=free_rtp_ports(), work_dir=folder / "engine")
    purse, trunk, crier = Purse(), OneTrunk(), Crier()
    exchange = Exchange(
        engine=engine,
        router=Routes(service),
        keeper=keeper,
        clock=SystemClock(),
        applications=OneApplication(application),
        spending=purse,
        trunks=trunk,
        pace=Pace(),
        call_seconds_max=call_seconds_max,
        sounds=sounds,
        announcer=crier,
    )
    switchboard = Switchboard(exchange)
    await switchboard.start()
    try:
        yield House(switchboard, engine, keeper, address, purse, trunk, crier)
    finally:
        await switchboard.stop()


FAR = Party(GREETED)


@asynccontextmanager
async def two_houses(
    folder: Path, here: object, there: object, *, service: object = GREETING
) -> AsyncIterator[tuple[House, House]]:
    """What is dialled here arrives there."""
    (folder / "here").mkdir()
    (folder / "there").mkdir()
    async with (
        open_house(folder / "here", application=lambda: Script(here), service=service) as one,
        open_house(folder / "there", application=lambda: Script(there)) as other,
    ):
        one.trunk.address = other.address
        yield one, other


async def picks_up(call: CallControl) -> int:
    """Answers, says something, waits for the end."""
    await call.primary.answer()
    await asyncio.sleep(0.5)
    try:
        await call.primary.play(SPEECH)
    except ChannelEnded:
        return 7
    await call.primary.wait_ended()
    return 7


def hears(heard: bytes) -> float:
    """How well what the far party says is heard: its best half second, as a busy machine loses frames on the way."""
    pieces = [SPEECH[at : at + 8_000] for at in range(0, 32_000, 8_000)]
    return max(likeness(piece, heard).correlation for piece in pieces)


async def takes(call: CallControl) -> int:
    """Answers and waits."""
    await call.primary.answer()
    await call.primary.wait_ended()
    return 0


async def waits(call: CallControl) -> int:
    await call.primary.wait_ended()
    return 3


def free_sip_port() -> int:
    """The next one is free too, as TLS would take it."""
    return ports.take(2)


def free_rtp_ports() -> str:
    first = ports.take(400)
    return f"{first}-{first + 399}"


async def run_program(*arguments: str, seconds_max: float = 90) -> tuple[int, str]:
    """A program of ours in a process of its own: exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", *arguments, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(seconds_max):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()
