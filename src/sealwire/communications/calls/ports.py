"""What a call needs from the rest of the house, as this room sees it; custody and governance stand behind."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from sealwire.communications.calls.commands import Instruction, Outcome
from sealwire.vocabulary import AccountId, CallId, HangupCause, Party


@dataclass(frozen=True, slots=True)
class Route:
    """Whose call this is and which service takes it."""

    account: AccountId
    service: str = "greeting"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call is not taken: a SIP status, a sentence for its Warning header, a cause. Leaves no record."""

    status: int
    sentence: str
    cause: HangupCause = HangupCause.REJECTED


UNKNOWN_CALLEE = Refusal(404, "no service answers at this number", HangupCause.NUMBER_UNKNOWN)


class Router(Protocol):
    """Who answers at this number?"""

    async def route(self, callee: Party) -> Route | Refusal: ...


class MediaSink(Protocol):
    """Where one recording is sealed to, in memory first and never as a plain file."""

    async def write(self, pcm: bytes) -> None: ...

    async def finish(self) -> object: ...

    async def abort(self) -> None: ...


class Service(Protocol):
    """Decides what a call does next; None leaves it waiting for digits, timers or hangup."""

    async def after(self, outcome: Outcome) -> Instruction | None: ...


@dataclass(frozen=True, slots=True)
class LiveCallStarted:
    """A call was taken on; told before it is answered."""

    call_id: CallId
    account: AccountId
    caller: Party = field(repr=False)
    callee: Party = field(repr=False)
    direction: str
    started_at: dt.datetime


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
    """Everything known about a call that is over. Personal: it goes to the keeper and nowhere else."""

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


class RecordKeeper(Protocol):
    """Keeps what calls leave. Unavailable from `begin_recording` means: nothing may be recorded now."""

    async def begin_recording(
        self, account: AccountId, call_id: CallId, caller: Party, callee: Party, started_at: dt.datetime
    ) -> MediaSink: ...

    async def keep_call(self, ended: CallEnded) -> None:
        """Keep what a call left. Tried again after any error, so it must keep one `call_id` once."""


OnLive = Callable[[LiveCallStarted], Awaitable[None]]
ServiceMaker = Callable[[Route], Service]
