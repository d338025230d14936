"""What a call can hear: from the engine, from the keeper of recordings, from its own timers.

The engine's dialect ends below `switches/`; nothing here knows which engine spoke.
"""

from __future__ import annotations

from dataclasses import dataclass

from sealwire.vocabulary import HangupCause


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """The far end has acknowledged the answer (SIP ACK); audio flows."""


@dataclass(frozen=True, slots=True)
class LegRinging:
    """Outbound: the far end rings (SIP 180), or sends early media (183)."""


@dataclass(frozen=True, slots=True)
class LegHeld:
    """The far end put us on hold, or took us back (re-INVITE, RFC 3264 §8.4)."""

    held: bool


@dataclass(frozen=True, slots=True)
class DigitHeard:
    """One DTMF digit (RFC 4733 or SIP INFO), reported when its key is released."""

    digit: str
    held_ms: int = 0


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """The sound with this number was played to its end, or was stopped."""

    play: int


@dataclass(frozen=True, slots=True)
class LegEnded:
    """The leg is gone. `frames_lost` counts 20 ms frames the engine threw away because we read too slowly."""

    cause: HangupCause
    frames_lost: int = 0
    status: int = 0
    """The SIP status a leg that was never answered ended with, when the far end sent one."""


@dataclass(frozen=True, slots=True)
class RecordingOpened:
    """The keeper gave a place to write to."""


@dataclass(frozen=True, slots=True)
class RecordingRefused:
    """The keeper cannot keep a recording now, so nothing may be recorded."""


@dataclass(frozen=True, slots=True)
class CaptureFailed:
    """Writing the recording failed half way; what was written is given up."""


@dataclass(frozen=True, slots=True)
class SilenceHeard:
    """The far end has been silent for as long as the recording allows."""


@dataclass(frozen=True, slots=True)
class WorkDone:
    """The engine has done what takes its time: the digits are sent."""


@dataclass(frozen=True, slots=True)
class WorkFailed:
    """The engine could not do it: the digits were not sent, or the far end did not take the transfer."""


@dataclass(frozen=True, slots=True)
class TimerRang:
    """One of the call's own timers: `gather`, `record`, `work`, `no-answer`, `ending` or `limit`."""

    name: str


LegEvent = LegRinging | LegAnswered | LegHeld | DigitHeard | PlayEnded | LegEnded
CallEvent = (
    LegEvent | RecordingOpened | RecordingRefused | CaptureFailed | SilenceHeard | WorkDone | WorkFailed | TimerRang
)
