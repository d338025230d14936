"""The rules of one call, and nothing else: whatever changes a call's state is in this file.

A call takes an instruction or an event and gives the next call and the commands that follow. No clock, no
socket, no await: time comes in as `TimerRang`. Every pair of state and input stands in the table at the end;
what is missing there is refused and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.errors import Refused
from sealwire.vocabulary import HangupCause

HANGUP_SECONDS_MAX = 5.0
"""How long an engine may take to confirm a hangup before the call is ended without it."""


class IllegalInCall(Refused):
    """The call is not in a state in which this can be done; nothing was changed."""


class State(StrEnum):
    """Where a call is. `READY` is answered and idle, waiting for its service."""

    RINGING = "ringing"
    ANSWERING = "answering"
    READY = "ready"
    PLAYING = "playing"
    GATHERING = "gathering"
    OPENING = "opening"
    RECORDING = "recording"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Call:
    """One call at one moment."""

    state: State = State.RINGING
    digits: str = ""
    """Every digit heard, in order, but for those that only ended a recording."""
    uncollected: str = ""
    """Digits no gather has taken yet, so that a fast typist is not punished."""
    plays: int = 0
    asked: c.Play | c.Gather | c.Record | None = None
    cause: HangupCause | None = None
    answered: bool = False

    def step(self, what: c.Instruction | e.CallEvent) -> Step:
        """Follow the table; raises IllegalInCall and changes nothing when this may not happen here."""
        rule = _TABLE[self.state].get(type(what))
        if rule is None:
            raise IllegalInCall(f"{type(what).__name__} cannot happen in a call that is {self.state}")
        return rule(self, what)


Step = tuple[Call, tuple[c.Command, ...]]


def ring(*, seconds_max: float) -> Step:
    """A new call: it rings, and its longest life is already counted."""
    return Call(), (c.SetTimer("limit", seconds_max), c.Tell(c.Arrived()))


def _answer(call: Call, _: Any) -> Step:
    return replace(call, state=State.ANSWERING), (c.AnswerLeg(),)


def _refuse(call: Call, what: c.Refuse) -> Step:
    ending = replace(call, state=State.ENDING, cause=what.cause)
    return ending, (c.RefuseLeg(what.status, what.sentence), c.SetTimer("ending", HANGUP_SECONDS_MAX))


def _answered(call: Call, _: Any) -> Step:
    return replace(call, state=State.READY, answered=True), (c.Tell(c.Answered()),)


def _play(call: Call, what: c.Play) -> Step:
    if what.stops_on_digit and call.uncollected:
        return call, (c.Tell(c.Played(interrupted=True)),)
    playing = replace(call, state=State.PLAYING, asked=what, plays=call.plays + 1)
    return playing, (c.PlaySound(what.sound, playing.plays),)


def _played(call: Call, what: e.PlayEnded) -> Step:
    if what.play != call.plays:
        return call, ()
    return replace(call, state=State.READY, asked=None), (c.Tell(c.Played()),)


def _digit(call: Call, what: e.DigitHeard) -> Step:
    return replace(call, digits=call.digits + what.digit, uncollected=call.uncollected + what.digit), ()


def _digit_while_playing(call: Call, what: e.DigitHeard) -> Step:
    call, _ = _digit(call, what)
    if not (isinstance(call.asked, c.Play) and call.asked.stops_on_digit):
        return call, ()
    return replace(call, state=State.READY, asked=None), (c.StopSound(), c.Tell(c.Played(interrupted=True)))


def _gather(call: Call, what: c.Gather) -> Step:
    if len(call.uncollected) >= what.count:
        return _collect(call, what.count)
    return replace(call, state=State.GATHERING, asked=what), (c.SetTimer("gather", what.seconds),)


def _digit_while_gathering(call: Call, what: e.DigitHeard) -> Step:
    call, _ = _digit(call, what)
    assert isinstance(call.asked, c.Gather)
    if len(call.uncollected) < call.asked.count:
        return call, ()
    call, commands = _collect(call, call.asked.count)
    return call, (c.CancelTimer("gather"), *commands)


def _collect(call: Call, count: int) -> Step:
    taken, left = call.uncollected[:count], call.uncollected[count:]
    return replace(call, state=State.READY, asked=None, uncollected=left), (c.Tell(c.Gathered(taken)),)


def _record(call: Call, what: c.Record) -> Step:
    return replace(call, state=State.OPENING, asked=what), (c.OpenRecording(),)


def _opened(call: Call, _: Any) -> Step:
    assert isinstance(call.asked, c.Record)
    asked, plays = call.asked, call.plays + (call.asked.beep is not None)
    commands: tuple[c.Command, ...] = (c.StartCapture(asked.silence_seconds), c.SetTimer("record", asked.seconds_max))
    if asked.beep is not None:
        commands += (c.PlaySound(asked.beep, plays),)
    return replace(call, state=State.RECORDING, plays=plays), commands


def _not_recorded(call: Call, _: Any) -> Step:
    commands: tuple[c.Command, ...] = (c.Tell(c.NotRecorded()),)
    if call.state is State.RECORDING:
        commands = (c.AbandonRecording(), c.CancelTimer("record"), *commands)
    return replace(call, state=State.READY, asked=None), commands


def _recorded(call: Call, ended_by: str) -> Step:
    ready = replace(call, state=State.READY, asked=None)
    return ready, (c.StopCapture(), c.CancelTimer("record"), c.Tell(c.Recorded(ended_by)))


def _digit_while_recording(call: Call, what: e.DigitHeard) -> Step:
    assert isinstance(call.asked, c.Record)
    if what.digit in call.asked.end_digits:
        return _recorded(call, "digit")
    return _digit(call, what)


def _silence(call: Call, _: Any) -> Step:
    return _recorded(call, "silence")


def _timer(call: Call, what: e.TimerRang) -> Step:
    """A timer that no longer matters is not an error: it may ring while it is being cancelled."""
    match call.state, what.name:
        case _, "limit":
            return _hang_up(call, c.HangUp(HangupCause.TOO_LONG))
        case State.GATHERING, "gather":
            return _collect(call, len(call.uncollected))
        case State.RECORDING, "record":
            return _recorded(call, "length")
        case State.ENDING, "ending":
            return _ended(call, e.LegEnded(HangupCause.ENGINE_FAILED))
    return call, ()


def _hang_up(call: Call, what: c.HangUp) -> Step:
    if call.state is State.ENDING:
        return call, ()
    commands = (*_let_go(call), c.HangUpLeg(), c.SetTimer("ending", HANGUP_SECONDS_MAX))
    return replace(call, state=State.ENDING, asked=None, cause=what.cause), commands


def _ended(call: Call, what: e.LegEnded) -> Step:
    return replace(call, state=State.ENDED, asked=None, cause=call.cause or what.cause), _let_go(call)


def _let_go(call: Call) -> tuple[c.Command, ...]:
    """What was recorded up to here is kept; what was only being opened is given up."""
    if call.state is State.RECORDING:
        return (c.StopCapture(),)
    return (c.AbandonRecording(),) if call.state is State.OPENING else ()


def _too_late_to_record(call: Call, _: Any) -> Step:
    return call, (c.AbandonRecording(),)


def _nothing(call: Call, _: Any) -> Step:
    return call, ()


Rule = Callable[[Call, Any], Step]

_LATE: dict[type, Rule] = {
    e.PlayEnded: _nothing,
    e.SilenceHeard: _nothing,
    e.CaptureFailed: _nothing,
    e.RecordingRefused: _nothing,
    e.RecordingOpened: _too_late_to_record,
}
_ALIVE: dict[type, Rule] = {
    **_LATE,
    e.DigitHeard: _digit,
    e.TimerRang: _timer,
    e.LegEnded: _ended,
    c.HangUp: _hang_up,
}
_OVER: dict[type, Rule] = {**_LATE, e.DigitHeard: _nothing, e.LegAnswered: _nothing}

_TABLE: dict[State, dict[type, Rule]] = {
    State.RINGING: {**_ALIVE, c.Answer: _answer, c.Refuse: _refuse},
    State.ANSWERING: {**_ALIVE, e.LegAnswered: _answered},
    State.READY: {**_ALIVE, c.Play: _play, c.Gather: _gather, c.Record: _record},
    State.PLAYING: {**_ALIVE, e.PlayEnded: _played, e.DigitHeard: _digit_while_playing},
    State.GATHERING: {**_ALIVE, e.DigitHeard: _digit_while_gathering},
    State.OPENING: {**_ALIVE, e.RecordingOpened: _opened, e.RecordingRefused: _not_recorded},
    State.RECORDING: {
        **_ALIVE,
        e.DigitHeard: _digit_while_recording,
        e.SilenceHeard: _silence,
        e.CaptureFailed: _not_recorded,
    },
    State.ENDING: {**_OVER, e.TimerRang: _timer, e.LegEnded: _ended, c.HangUp: _hang_up},
    State.ENDED: {**_OVER, e.TimerRang: _nothing, e.LegEnded: _nothing, c.HangUp: _nothing},
}
