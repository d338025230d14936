"""The one port between a call and whatever drives it: REST pages, a customer's program, a built-in.

An application is a coroutine that is given a call. Each verb waits for its end and tells what came of it; verbs
on one channel run one at a time, channels run side by side. When the far end hangs up, the verb under way and
every later one on that channel raises ChannelEnded; the application may go on with its other channels, then
returns its code. Sound is 8 kHz, mono, signed 16-bit little-endian PCM throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from sealwire.errors import Missing, Refused
from sealwire.vocabulary import AccountId, ApplicationId, CallId, HangupCause, Party, RecordId, ServiceId

EXTRA_CHANNELS_MAX = 3


class ChannelEnded(Missing):
    """This channel has ended; nothing more can be done with it."""

    def __init__(self, detail: str | None = None, *, cause: HangupCause = HangupCause.NORMAL) -> None:
        super().__init__(detail)
        self.cause = cause


class NotReached(Refused):
    """The called party was not reached: busy, no answer, rejected, unknown, or the destination is not allowed."""

    def __init__(self, detail: str | None = None, *, cause: HangupCause = HangupCause.NO_ANSWER) -> None:
        super().__init__(detail)
        self.cause = cause


class WrongMoment(Refused):
    """This verb does not fit the state the channel is in (say, answering a call that is up); nothing was changed."""


class RecordingImpossible(Refused):
    """Nothing is recorded: there is no valid key to seal it to, consent is missing, or it could not be kept."""


class ChannelState(StrEnum):
    """Where a channel is."""

    RINGING = "ringing"
    UP = "up"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Played:
    """A sound came to its end, or this digit stopped it, or somebody did (`was_stopped`)."""

    stopped_by: str | None = None
    was_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Collected:
    """Digits that were typed, without the one that ended them. `ended_by`: count, end-digit, time."""

    digits: str = field(repr=False)
    ended_by: str = "count"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording that ended by digit, silence, length, stop or hangup; it is kept under `record`."""

    record: RecordId
    seconds: float
    ended_by: str


@dataclass(frozen=True, slots=True)
class RecordingWish:
    """How to record. `channels` 1 mixes all parties, 2 keeps this channel's party and the rest apart."""

    seconds_max: float = 3600.0
    silence_seconds: float = 0.0
    end_digits: str = ""
    beep: bool = False
    channels: int = 1
    eliminate_dtmf: bool = True
    cipher: Mapping[str, str] | None = field(default=None, repr=False)
    """AES-CBC for this recording only, as the reference product: {"key": hex, "iv": hex}; never stored."""


class Channel(Protocol):
    """One leg of a call under an application's control. Channel 0 is the primary one."""

    @property
    def number(self) -> int: ...

    @property
    def call_id(self) -> CallId:
        """Each leg has a call record of its own, under this id."""

    @property
    def direction(self) -> str: ...

    @property
    def caller(self) -> Party: ...

    @property
    def callee(self) -> Party: ...

    @property
    def state(self) -> ChannelState: ...

    @property
    def cause(self) -> HangupCause | None:
        """Why it ended, once it has."""

    async def ring(self) -> None:
        """Inbound: say that it rings (180)."""

    async def answer(self) -> None: ...

    async def reject(self, cause: HangupCause = HangupCause.REJECTED) -> None: ...

    async def play(self, pcm: bytes, *, stop_on: str = "") -> Played:
        """Play a sound; any digit in `stop_on` ("any" for all) ends it and stays for the next collect."""

    async def collect(
        self,
        *,
        count_max: int,
        end_digits: str = "#",
        first_seconds: float = 8.0,
        between_seconds: float = 4.0,
        sensitive: bool = False,
    ) -> Collected:
        """Collect digits; sensitive ones are in no record, log or event, only in this answer."""

    async def record(self, wish: RecordingWish) -> Recorded:
        """Record this channel's party until an end digit, silence, the limit, `stop` or hangup."""

    async def send_digits(self, digits: str) -> None: ...

    async def transfer(self, to: Party) -> None:
        """Blind transfer (RFC 3515 REFER); the channel ends when the far end has taken it."""

    async def stop(self) -> None:
        """End the verb that is under way on this channel as if it had come to its end."""

    async def wait_ended(self) -> HangupCause: ...

    async def hang_up(self, cause: HangupCause = HangupCause.NORMAL) -> None:
        """End the channel; nothing happens when it has ended already."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """Somebody outside (the API) wants the application to do something else: redirect to another page or action."""

    kind: str
    body: Mapping[str, object] = field(repr=False)


class CallControl(Protocol):
    """One application's call: its primary channel, up to three more, and what is known about it."""

    @property
    def application_id(self) -> ApplicationId: ...

    @property
    def account(self) -> AccountId: ...

    @property
    def service(self) -> ServiceId | None: ...

    @property
    def arguments(self) -> str:
        """What the starter of an outbound call passed, for the application only. Personal: never logged."""

    @property
    def primary(self) -> Channel: ...

    @property
    def channels(self) -> Mapping[int, Channel]: ...

    async def dial(self, to: Party, *, caller: Party | None = None, seconds: float = 60.0) -> Channel:
        """Add a leg; returns when it is answered. NotReached with its cause otherwise."""

    async def bridge(self, one: Channel, other: Channel, *, stop_on: str = "") -> Played:
        """Let two channels hear each other until one ends (ChannelEnded), `unbridge`, or a digit in `stop_on`."""

    async def unbridge(self, channel: Channel) -> None: ...

    async def start_recording(self, wish: RecordingWish) -> RecordId:
        """Record the whole call beside every other verb. RecordingImpossible when it may not or cannot be."""

    async def pause_recording(self, *, silence: bool = True) -> None:
        """Leave out what is said from now on; with `silence` the timeline is kept, else the gap is closed."""

    async def resume_recording(self) -> None: ...

    async def stop_recording(self) -> None: ...

    def note_parameters(self, parameters: str) -> None:
        """What the application wants in its application record (sealed there)."""

    def count_speech(self, seconds: float) -> None:
        """Seconds of speech made for this call, for its costs."""

    async def next_interruption(self) -> Interruption: ...


class Application(Protocol):
    """Drives one call to its end."""

    async def run(self, call: CallControl) -> int:
        """The return code of the application record: 0 and above success, -100 and below the application's failure.

        ReturnCode names the rest. What it raises becomes APPLICATION_FAILED.
        """


class Sounds(Protocol):
    """Where applications get sound from."""

    async def say(self, text: str, *, voice: str = "") -> bytes:
        """Text to speech; the text is not kept."""

    async def file(self, account: AccountId, name: str, *, secret: Mapping[str, str] | None = None) -> bytes:
        """A media file of the account, opened for service operation. `secret` opens what was encrypted before upload:
        {"age_identity": ...} or {"key": hex, "iv": hex}; it is used for this call only, in memory."""
