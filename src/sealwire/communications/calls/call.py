"""The rules of one channel's call, and nothing else: whatever changes its state is in this file.

A call takes an instruction or an event and gives the next call and the commands that follow. No clock, no
socket, no await: time comes in as `TimerRang`. Every pair of state and input stands in the table at the end;
what is missing there is refused and changes nothing. Each verb that is taken is told its outcome once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.errors import Refused
from sealwire.vocabulary import HangupCause

HANGUP_SECONDS_MAX = 5.0
"""How long an engine may take to confirm a hangup before the call is ended without it."""
TYPED_AHEAD_MAX, DIGITS_MAX = 256, 8192
"""Digits that wait for a gather, and that stand in the record of one call."""
TRANSFER_SECONDS_MAX = 32.0
"""How long a far end may take to accept a REFER: 64 x T1 of RFC 3261 §17."""


class IllegalInCall(Refused):
    """The call is not in a state in which this can be done; nothing was changed."""


class State(StrEnum):
    """Where a call is. `READY` is answered and idle, waiting for its application."""

    CALLING = "calling"
    RINGING = "ringing"
    ANSWERING = "answering"
    READY = "ready"
    PLAYING = "playing"
    GATHERING = "gathering"
    OPENING = "opening"
    RECORDING = "recording"
    BRIDGED = "bridged"
    WORKING = "working"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Call:
    """One call at one moment."""

    state: State = State.RINGING
    digits: str = field(default="", repr=False)
    """Digits that were collected, but for sensitive ones, in order: what may stand in the call record.

    What no gather took is in no record: it may have been typed ahead for one that would have been sensitive.
    """
    uncollected: str = field(default="", repr=False)
    """Digits no gather has taken yet, so that a fast typist is not punished."""
    plays: int = 0
    asked: c.Verb | None = field(default=None, repr=False)
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
    """A new inbound call: it rings, and its longest life is already counted."""
    return Call(), (c.SetTimer("limit", seconds_max),)


def call_out(*, ring_seconds: float, seconds_max: float) -> Step:
    """A new outbound call: it is being placed, and may ring so long."""
    timers = (c.SetTimer("limit", seconds_max), c.SetTimer("no-answer", ring_seconds))
    return Call(State.CALLING), (*timers, c.DialLeg())


def _ready(call: Call, outcome: c.Outcome, *commands: c.Command) -> Step:
    """The verb came to its end."""
    return replace(call, state=State.READY, asked=None), (*commands, c.Tell(outcome))


def _begin(call: Call, state: State, verb: c.Verb, *commands: c.Command) -> Step:
    return replace(call, state=state, asked=verb), commands


# --- before it is up ---------------------------------------------------------------------------------------


def _say_ringing(call: Call, _: Any) -> Step:
    return call, (c.RingLeg(), c.Tell(c.Done()))


def _answer(call: Call, what: c.Answer) -> Step:
    return _begin(call, State.ANSWERING, what, c.AnswerLeg())


def _await_answer(call: Call, what: c.Answer) -> Step:
    if call.asked is not None:
        raise IllegalInCall("this call is waited for already")
    return replace(call, asked=what), ()


def _refuse(call: Call, what: c.Refuse) -> Step:
    ending = replace(call, state=State.ENDING, asked=None, cause=what.cause)
    return ending, (c.RefuseLeg(what.status, what.sentence), c.SetTimer("ending", HANGUP_SECONDS_MAX))


def _answered(call: Call, _: Any) -> Step:
    return _ready(replace(call, answered=True), c.Answered())


def _far_end_answered(call: Call, _: Any) -> Step:
    told = (c.Tell(c.Answered()),) if call.asked is not None else ()
    return replace(call, state=State.READY, asked=None, answered=True), (c.CancelTimer("no-answer"), *told)


# --- sound and digits --------------------------------------------------------------------------------------


def _stops(stop_on: str, digits: str) -> str | None:
    """The first of these digits that stops what goes on."""
    return next((digit for digit in digits if stop_on == "any" or digit in stop_on), None)


def _play(call: Call, what: c.Play) -> Step:
    if (digit := _stops(what.stop_on, call.uncollected)) is not None:
        return call, (c.Tell(c.Played(digit)),)
    playing = replace(call, plays=call.plays + 1)
    return _begin(playing, State.PLAYING, what, c.PlaySound(what.sound, playing.plays))


def _played(call: Call, what: e.PlayEnded) -> Step:
    return _ready(call, c.Played()) if what.play == call.plays else (call, ())


def _digit(call: Call, what: e.DigitHeard) -> Step:
    """Who types without end, faster than anybody could, is not listened to without end."""
    if len(call.uncollected) >= TYPED_AHEAD_MAX:
        return call, ()
    return replace(call, uncollected=call.uncollected + what.digit), ()


def _digit_while_heard(call: Call, what: e.DigitHeard) -> Step:
    """A digit while a sound plays or a bridge stands: it may stop that, and stays for the next gather."""
    call, _ = _digit(call, what)
    assert isinstance(call.asked, c.Play | c.Join)
    if (stopped_by := _stops(call.asked.stop_on, what.digit)) is None:
        return call, ()
    silence = (c.StopSound(),) if call.state is State.PLAYING else ()
    return _ready(call, c.Played(stopped_by), *silence)


def _gather(call: Call, what: c.Gather) -> Step:
    if (done := _complete(call, what)) is not None:
        return _collect(replace(call, asked=what), *done)
    seconds = what.between_seconds if call.uncollected else what.first_seconds
    return _begin(call, State.GATHERING, what, c.SetTimer("gather", seconds))


def _digit_while_gathering(call: Call, what: e.DigitHeard) -> Step:
    call, _ = _digit(call, what)
    assert isinstance(call.asked, c.Gather)
    if (done := _complete(call, call.asked)) is None:
        return call, (c.SetTimer("gather", call.asked.between_seconds),)
    call, commands = _collect(call, *done)
    return call, (c.CancelTimer("gather"), *commands)


def _complete(call: Call, gather: c.Gather) -> tuple[int, int, str] | None:
    """How many digits are taken, how many go, and why; None when more are wanted."""
    for at, digit in enumerate(call.uncollected):
        if digit in gather.end_digits:
            return at, at + 1, "end-digit"
        if at + 1 >= gather.count:
            return at + 1, at + 1, "count"
    return None


def _collect(call: Call, taken: int, gone: int, ended_by: str) -> Step:
    assert isinstance(call.asked, c.Gather)
    digits, left = call.uncollected[:taken], call.uncollected[gone:]
    told = call.digits if call.asked.sensitive else (call.digits + digits)[:DIGITS_MAX]
    return _ready(replace(call, uncollected=left, digits=told), c.Gathered(digits, ended_by))


# --- recording ---------------------------------------------------------------------------------------------


def _record(call: Call, what: c.Record) -> Step:
    return _begin(call, State.OPENING, what, c.OpenRecording(what.wish))


def _opened(call: Call, _: Any) -> Step:
    assert isinstance(call.asked, c.Record)
    wish, plays = call.asked.wish, call.plays + call.asked.wish.beep
    commands: tuple[c.Command, ...] = (c.StartCapture(), c.SetTimer("record", wish.seconds_max))
    if wish.beep:
        commands += (c.PlaySound(None, plays),)
    return replace(call, state=State.RECORDING, plays=plays), commands


def _not_recorded(call: Call, _: Any) -> Step:
    if call.state is State.RECORDING:
        return _ready(call, c.NotRecorded(), c.AbandonRecording(), c.CancelTimer("record"))
    return _ready(call, c.NotRecorded())


def _recorded(call: Call, ended_by: str) -> Step:
    return _ready(call, c.Recorded(ended_by), c.StopCapture(), c.CancelTimer("record"))


def _digit_while_recording(call: Call, what: e.DigitHeard) -> Step:
    assert isinstance(call.asked, c.Record)
    return _recorded(call, "digit") if what.digit in call.asked.wish.end_digits else _digit(call, what)


def _silence(call: Call, _: Any) -> Step:
    return _recorded(call, "silence")


# --- other work --------------------------------------------------------------------------------------------


def _join(call: Call, what: c.Join) -> Step:
    return _begin(call, State.BRIDGED, what)


def _send_digits(call: Call, what: c.SendDigits) -> Step:
    return _begin(call, State.WORKING, what, c.SendDigitsLeg(what.digits))


def _transfer(call: Call, what: c.Transfer) -> Step:
    return _begin(call, State.WORKING, what, c.TransferLeg(what.to), c.SetTimer("work", TRANSFER_SECONDS_MAX))


def _work_done(call: Call, _: Any) -> Step:
    return _ready(call, c.Done()) if isinstance(call.asked, c.SendDigits) else (call, ())


def _work_failed(call: Call, _: Any) -> Step:
    return _ready(call, c.Failed(), c.CancelTimer("work"))


# --- at any moment -----------------------------------------------------------------------------------------


def _stop(call: Call, _: Any) -> Step:
    match call.state:
        case State.PLAYING:
            return _ready(call, c.Played(was_stopped=True), c.StopSound())
        case State.GATHERING:
            taken = len(call.uncollected)
            call, commands = _collect(call, taken, taken, "time")
            return call, (c.CancelTimer("gather"), *commands)
        case State.OPENING:
            return _ready(call, c.NotRecorded(), c.AbandonRecording())
        case State.RECORDING:
            return _recorded(call, "stop")
        case State.BRIDGED:
            return _ready(call, c.Played())
    return call, ()


def _timer(call: Call, what: e.TimerRang) -> Step:
    """A timer that no longer matters is not an error: it may ring while it is being cancelled."""
    if what.name == "limit":
        return _hang_up(call, c.HangUp(HangupCause.TOO_LONG))
    rule = _TIMERS.get((call.state, what.name), _nothing)
    return rule(call, what)


def _not_answered(call: Call, _: Any) -> Step:
    return _hang_up(call, c.HangUp(HangupCause.NO_ANSWER))


def _typed_in_time(call: Call, _: Any) -> Step:
    return _collect(call, len(call.uncollected), len(call.uncollected), "time")


def _long_enough(call: Call, _: Any) -> Step:
    return _recorded(call, "length")


def _not_confirmed(call: Call, _: Any) -> Step:
    return _ended(call, e.LegEnded(HangupCause.ENGINE_FAILED))


def _hang_up(call: Call, what: c.HangUp) -> Step:
    if call.state is State.ENDING:
        return call, ()
    commands = (*_let_go(call, what.cause), c.HangUpLeg(), c.SetTimer("ending", HANGUP_SECONDS_MAX))
    return replace(call, state=State.ENDING, asked=None, cause=what.cause), commands


def _ended(call: Call, what: e.LegEnded) -> Step:
    cause = call.cause or what.cause
    return replace(call, state=State.ENDED, asked=None, cause=cause), _let_go(call, cause)


def _let_go(call: Call, cause: HangupCause) -> tuple[c.Command, ...]:
    """What was recorded up to here is kept; what was only being opened is given up; the verb is told."""
    if call.asked is None:
        return ()
    match call.state:
        case State.RECORDING:
            return c.StopCapture(), c.Tell(c.Recorded("hangup"))
        case State.OPENING:
            return c.AbandonRecording(), c.Tell(c.Over(cause))
    return (c.Tell(c.Over(cause)),)


def _too_late_to_record(call: Call, _: Any) -> Step:
    return call, (c.AbandonRecording(),)


def _nothing(call: Call, _: Any) -> Step:
    return call, ()


Rule = Callable[[Call, Any], Step]

_TIMERS: dict[tuple[State, str], Rule] = {
    (State.CALLING, "no-answer"): _not_answered,
    (State.GATHERING, "gather"): _typed_in_time,
    (State.RECORDING, "record"): _long_enough,
    (State.WORKING, "work"): _work_failed,
    (State.ENDING, "ending"): _not_confirmed,
}
_LATE: dict[type, Rule] = {
    e.LegRinging: _nothing,
    e.LegHeld: _nothing,
    e.PlayEnded: _nothing,
    e.SilenceHeard: _nothing,
    e.CaptureFailed: _nothing,
    e.RecordingRefused: _nothing,
    e.RecordingOpened: _too_late_to_record,
    e.WorkDone: _nothing,
    e.WorkFailed: _nothing,
    c.Stop: _stop,
}
_ALIVE: dict[type, Rule] = {
    **_LATE,
    e.DigitHeard: _digit,
    e.TimerRang: _timer,
    e.LegEnded: _ended,
    c.HangUp: _hang_up,
}
_OVER: dict[type, Rule] = {**_LATE, e.DigitHeard: _nothing, e.LegAnswered: _nothing}
_VERBS: dict[type, Rule] = {
    c.Play: _play,
    c.Gather: _gather,
    c.Record: _record,
    c.Join: _join,
    c.SendDigits: _send_digits,
    c.Transfer: _transfer,
}

_TABLE: dict[State, dict[type, Rule]] = {
    State.CALLING: {**_ALIVE, c.Answer: _await_answer, e.LegAnswered: _far_end_answered},
    State.RINGING: {**_ALIVE, c.Ring: _say_ringing, c.Answer: _answer, c.Refuse: _refuse},
    State.ANSWERING: {**_ALIVE, e.LegAnswered: _answered},
    State.READY: {**_ALIVE, **_VERBS},
    State.PLAYING: {**_ALIVE, e.PlayEnded: _played, e.DigitHeard: _digit_while_heard},
    State.GATHERING: {**_ALIVE, e.DigitHeard: _digit_while_gathering},
    State.OPENING: {**_ALIVE, e.RecordingOpened: _opened, e.RecordingRefused: _not_recorded},
    State.RECORDING: {
        **_ALIVE,
        e.DigitHeard: _digit_while_recording,
        e.SilenceHeard: _silence,
        e.CaptureFailed: _not_recorded,
    },
    State.BRIDGED: {**_ALIVE, e.DigitHeard: _digit_while_heard},
    State.WORKING: {**_ALIVE, e.WorkDone: _work_done, e.WorkFailed: _work_failed},
    State.ENDING: {**_OVER, e.TimerRang: _timer, e.LegEnded: _ended, c.HangUp: _hang_up},
    State.ENDED: {**_OVER, e.TimerRang: _nothing, e.LegEnded: _nothing, c.HangUp: _nothing},
}
