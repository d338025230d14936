"""The built-in service `greeting`: a spoken welcome, one digit, a recording, goodbye."""

from __future__ import annotations

from dataclasses import dataclass, field

from sealwire.communications.calls.commands import (
    Answer,
    Answered,
    Arrived,
    Gather,
    Gathered,
    HangUp,
    Instruction,
    NotRecorded,
    Outcome,
    Play,
    Played,
    Record,
    Recorded,
)


@dataclass(slots=True)
class Greeting:
    """Welcomes, takes one digit, records until `#`, silence or the limit, says goodbye, hangs up."""

    digit_seconds: float = 8.0
    record_seconds_max: float = 120.0
    silence_seconds: float = 3.0
    _leaving: bool = field(default=False, init=False)

    async def after(self, outcome: Outcome) -> Instruction:
        """What to do now that this happened."""
        return self.decide(outcome)

    def decide(self, outcome: Outcome) -> Instruction:
        """The same without waiting, as nothing here has to."""
        instruction: Instruction = HangUp()
        match outcome:
            case Arrived():
                instruction = Answer()
            case Answered():
                instruction = Play("welcome", stops_on_digit=True)
            case Played() if not self._leaving:
                instruction = Gather(1, self.digit_seconds)
            case Gathered(digits) if digits:
                instruction = Record(self.record_seconds_max, self.silence_seconds)
            case Gathered() | Recorded():
                instruction = self._leave("goodbye")
            case NotRecorded():
                instruction = self._leave("not-recorded")
        return instruction

    def _leave(self, sound: str) -> Instruction:
        self._leaving = True
        return Play(sound)
