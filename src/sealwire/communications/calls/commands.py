"""What a call asks for: instructions come from the service, commands go to the world, outcomes go back.

service --instruction--> call --command--> engine, recorder, timers
service <---outcome----- call <---event--- engine, recorder, timers
"""

from __future__ import annotations

from dataclasses import dataclass

from sealwire.vocabulary import HangupCause

# --- instructions: the verbs a service may use -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """Take the call."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Turn the call away before it is answered, with a SIP status (RFC 3261 §21) and a sentence."""

    status: int
    sentence: str
    cause: HangupCause = HangupCause.REJECTED


@dataclass(frozen=True, slots=True)
class Play:
    """Play a sound by name; a digit stops it when `stops_on_digit`."""

    sound: str
    stops_on_digit: bool = False


@dataclass(frozen=True, slots=True)
class Gather:
    """Collect `count` digits, or what there is after `seconds`."""

    count: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Record:
    """Record the far end until one of `end_digits`, silence, the length limit or hangup."""

    seconds_max: float
    silence_seconds: float
    end_digits: str = "#"
    beep: str | None = "tone"


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call and say why."""

    cause: HangupCause = HangupCause.NORMAL


Instruction = Answer | Refuse | Play | Gather | Record | HangUp

# --- commands: what must be done about it ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnswerLeg:
    """Engine: answer (SIP 200)."""


@dataclass(frozen=True, slots=True)
class RefuseLeg:
    """Engine: refuse with this status; the sentence travels in a Warning header (RFC 3261 §20.43)."""

    status: int
    sentence: str


@dataclass(frozen=True, slots=True)
class PlaySound:
    """Engine: start this sound; its end will be reported under this number."""

    sound: str
    play: int


@dataclass(frozen=True, slots=True)
class StopSound:
    """Engine: be quiet at once."""


@dataclass(frozen=True, slots=True)
class HangUpLeg:
    """Engine: hang up (SIP BYE, or a refusal when not yet answered)."""


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """Keeper: is there a place to write a recording to?"""


@dataclass(frozen=True, slots=True)
class StartCapture:
    """Recorder: write what the far end says from now on."""

    silence_seconds: float


@dataclass(frozen=True, slots=True)
class StopCapture:
    """Recorder: finish the recording."""


@dataclass(frozen=True, slots=True)
class AbandonRecording:
    """Recorder: give up what was opened or written."""


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Timers: ring under this name once, after so many seconds; replaces one of the same name."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    """Timers: do not ring."""

    name: str


# --- outcomes: what came of an instruction -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrived:
    """A call rings and wants an answer; the first thing a service hears."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The call is up."""


@dataclass(frozen=True, slots=True)
class Played:
    """The sound ended, by itself or by a digit."""

    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """These digits were typed; fewer than asked for when time ran out."""

    digits: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recording is complete: ended by `digit`, `silence` or `length`."""

    ended_by: str


@dataclass(frozen=True, slots=True)
class NotRecorded:
    """Nothing was recorded, because it could not have been kept safely."""


Outcome = Arrived | Answered | Played | Gathered | Recorded | NotRecorded


@dataclass(frozen=True, slots=True)
class Tell:
    """Service: this is what came of it; what next?"""

    outcome: Outcome


Command = (
    AnswerLeg
    | RefuseLeg
    | PlaySound
    | StopSound
    | HangUpLeg
    | OpenRecording
    | StartCapture
    | StopCapture
    | AbandonRecording
    | SetTimer
    | CancelTimer
    | Tell
)
