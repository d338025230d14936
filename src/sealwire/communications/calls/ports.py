"""What a call needs from the rest of the house, as this room sees it; custody, governance and money stand behind."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Protocol

from sealwire.communications.accounting.port import Charge
from sealwire.communications.control.port import Application, RecordingWish
from sealwire.communications.recordings.ports import RecordingKeeper, RecordingSink
from sealwire.communications.switches.port import DialTarget, Leg
from sealwire.governance.services import Service
from sealwire.vocabulary import AccountId, ApplicationId, CallId, HangupCause, Party, RecordId, ReturnCode, ServiceId

MediaSink = RecordingSink


@dataclass(frozen=True, slots=True)
class Route:
    """Whose call this is and which service takes it."""

    account: AccountId
    service: Service


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not taken: a SIP status, a sentence for its Warning header, a cause.

    `code` stands in the application record; without one the call leaves no record, as it was nobody's here.
    """

    status: int
    sentence: str
    cause: HangupCause = HangupCause.REJECTED
    code: ReturnCode | None = None


UNKNOWN_CALLEE = Refusal(404, "no service answers at this number", HangupCause.NUMBER_UNKNOWN)


class Router(Protocol):
    """Who answers at this number, and which service is this?"""

    async def route(self, leg: Leg) -> Route | Refusal:
        """By whom it asks for, and where it comes from."""

    async def service(self, account: AccountId, service: ServiceId) -> Service:
        """A service of this account; Missing for any other."""


class Applications(Protocol):
    """Which application runs a service."""

    def application(self, service: Service) -> Application | None:
        """None when there is none now: its program is not connected, or there is no such built-in."""


class Trunks(Protocol):
    """Where an outbound leg goes."""

    async def target(self, account: AccountId, *, callee: Party, caller: Party | None) -> DialTarget:
        """Refused (NoRoute) when no trunk of the account leads there."""


class Recorder(Protocol):
    """One recording of one leg. It is opened only after consent; whatever fails, nothing is recorded and it is told."""

    @property
    def needs_played(self) -> bool:
        """It also wants what the far end is given to hear."""

    async def open(self, wish: RecordingWish) -> RecordId:
        """Ask the keeper for a place; RecordingImpossible when nothing may be recorded."""

    def start(self, started_s: float) -> None:
        """What is taken from now on is recorded; `started_s` on the clock of `read_at_s`."""

    def take(self, spoken: bytes, read_at_s: float, *, played: bytes = b"") -> None: ...

    def digit(self, held_ms: int = 0) -> None: ...

    def pause(self, silence: bool = True) -> None: ...

    def resume(self, at_s: float | None = None) -> None: ...

    async def stop(self, ended_s: float | None = None) -> RecordingEnded | None:
        """Finish it; None when it could not be kept."""

    async def abandon(self) -> None:
        """Keep nothing of it."""


@dataclass(frozen=True, slots=True)
class LiveCallStarted:
    """A leg is there; told before it is answered or placed. Leg 0 is the application's first one."""

    call_id: CallId
    account: AccountId
    caller: Party = field(repr=False)
    callee: Party = field(repr=False)
    direction: str
    started_at: dt.datetime
    leg: int = 0
    application_id: ApplicationId | None = None
    service_id: ServiceId | None = None
    retention_class: int = 0


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """One finished recording: `kept` is what the sink's finish() gave back."""

    kept: object = field(repr=False)
    started_at: dt.datetime
    ended_at: dt.datetime
    samples: int
    samples_padded: int
    frames_lost: int


@dataclass(frozen=True, slots=True)
class CallEnded:
    """Everything known about a leg that is over. Personal: it goes to the keeper and nowhere else."""

    call_id: CallId
    account: AccountId
    caller: Party = field(repr=False)
    callee: Party = field(repr=False)
    direction: str
    started_at: dt.datetime
    answered_at: dt.datetime | None
    ended_at: dt.datetime
    cause: HangupCause
    digits: str = field(repr=False)
    recordings: list[RecordingEnded]
    frames_lost: int = 0
    leg: int = 0
    application_id: ApplicationId | None = None
    retention_class: int = 0

    @property
    def answered_seconds(self) -> float:
        return (self.ended_at - self.answered_at).total_seconds() if self.answered_at else 0.0


@dataclass(frozen=True, slots=True)
class ApplicationEnded:
    """One run of an application that is over: what its record (ADR) says."""

    application_id: ApplicationId
    account: AccountId
    call_id: CallId
    service_id: ServiceId | None
    kind: str
    direction: str
    started_at: dt.datetime
    ended_at: dt.datetime
    return_code: int
    extra_legs: int = 0
    speech_seconds: int = 0
    cost_millicents: int = 0
    arguments: str = field(default="", repr=False)
    parameters: str = field(default="", repr=False)
    retention_class: int = 0


class RecordKeeper(RecordingKeeper, Protocol):
    """Keeps what calls leave. Each is tried again after any error, so each must keep one thing once."""

    async def call_started(self, started: LiveCallStarted) -> None:
        """Keep that it is up, so that a crash still leaves its record."""

    async def let_go(self, started: LiveCallStarted) -> None:
        """It was not taken after all: forget that it is up."""

    async def keep_recording(self, ended: CallEnded, recording: RecordingEnded) -> None:
        """Keep one recording at once, while its call goes on; `ended` tells of the call so far."""

    async def keep_call(self, ended: CallEnded) -> None:
        """Keep what a leg left. A leg that is not the first is up no longer."""

    async def keep_charges(self, ended: CallEnded, charges: list[Charge]) -> None: ...

    async def keep_application(self, ended: ApplicationEnded) -> None:
        """Keep the application's record; its first leg is up no longer."""
