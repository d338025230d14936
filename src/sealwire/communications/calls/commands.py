"""What a channel is asked for, what it asks for, and what came of it.

application --instruction--> call --command--> engine, recorder, timers
application <---outcome----- call <---event--- engine, recorder, timers
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sealwire.communications.control.port import RecordingWish
from sealwire.vocabulary import HangupCause, Party

# --- instructions: the verbs of an application, and what may be said at any moment ---------------------------


@dataclass(frozen=True, slots=True)
class Ring:
    """Say that it rings."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Take an inbound call; wait until an outbound one is taken."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Turn the call away before it is answered, with a SIP status (RFC 3261 §21) and a sentence."""

    status: int
    sentence: str
    cause: HangupCause = HangupCause.REJECTED


@dataclass(frozen=True, slots=True)
class Play:
    """Play a sound; a digit of `stop_on` ("any" for all) stops it."""

    sound: bytes = field(repr=False)
    stop_on: str = ""


@dataclass(frozen=True, slots=True)
class Gather:
    """Collect digits until there are `count`, one of `end_digits`, or time is up."""

    count: int
    end_digits: str = ""
    first_seconds: float = 8.0
    between_seconds: float = 4.0
    sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """Record the far end until an end digit, silence, the length limit, `Stop` or hangup."""

    wish: RecordingWish


@dataclass(frozen=True, slots=True)
class Join:
    """Be bridged with another channel until `Stop`, hangup or a digit of `stop_on`."""

    stop_on: str = ""


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Send DTMF digits to the far end."""

    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the call over to another party and leave it."""

    to: Party


@dataclass(frozen=True, slots=True)
class Stop:
    """End the verb under way as if it had come to its end; nothing when none is."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call and say why."""

    cause: HangupCause = HangupCause.NORMAL


Verb = Ring | Answer | Play | Gather | Record | Join | SendDigits | Transfer
Instruction = Verb | Refuse | Stop | HangUp

# --- commands: what must be done about it ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DialLeg:
    """Engine: place the call (SIP INVITE)."""


@dataclass(frozen=True, slots=True)
class RingLeg:
    """Engine: say that it rings (SIP 180)."""


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
    """Engine: start this sound; its end will be reported under this number. None is the tone."""

    sound: bytes | None = field(repr=False)
    play: int


@dataclass(frozen=True, slots=True)
class StopSound:
    """Engine: be quiet at once."""


@dataclass(frozen=True, slots=True)
class SendDigitsLeg:
    """Engine: send these digits (RFC 4733); `WorkDone` or `WorkFailed` must follow."""

    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TransferLeg:
    """Engine: REFER to this party; `LegEnded` follows when it was taken, `WorkFailed` when not."""

    to: Party


@dataclass(frozen=True, slots=True)
class HangUpLeg:
    """Engine: hang up (SIP BYE, CANCEL, or a refusal, as the leg's state wants it)."""


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """Keeper: is there a place to write a recording to?"""

    wish: RecordingWish


@dataclass(frozen=True, slots=True)
class StartCapture:
    """Recorder: write what the far end says from now on."""


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


# --- outcomes: what came of a verb ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """It was done."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It could not be done; the call goes on."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The call is up."""


@dataclass(frozen=True, slots=True)
class Played:
    """The sound ended, or the bridge: by itself, by this digit, or because somebody stopped it."""

    stopped_by: str | None = None
    was_stopped: bool = False


@dataclass(frozen=True, slots=True)
class Gathered:
    """These digits were typed; `ended_by` count, end-digit or time."""

    digits: str = field(repr=False)
    ended_by: str = "count"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The recording is complete: ended by `digit`, `silence`, `length`, `stop` or `hangup`."""

    ended_by: str


@dataclass(frozen=True, slots=True)
class NotRecorded:
    """Nothing was recorded, because it could not have been kept safely, or was stopped before it began."""


@dataclass(frozen=True, slots=True)
class Over:
    """The call ended under the verb."""

    cause: HangupCause


Outcome = Done | Failed | Answered | Played | Gathered | Recorded | NotRecorded | Over


@dataclass(frozen=True, slots=True)
class Tell:
    """Application: this is what came of your verb."""

    outcome: Outcome


Command = (
    DialLeg
    | RingLeg
    | AnswerLeg
    | RefuseLeg
    | PlaySound
    | StopSound
    | SendDigitsLeg
    | TransferLeg
    | HangUpLeg
    | OpenRecording
    | StartCapture
    | StopCapture
    | AbandonRecording
    | SetTimer
    | CancelTimer
    | Tell
)
