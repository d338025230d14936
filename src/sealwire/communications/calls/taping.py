"""The rules of recording a whole call: no place is opened before consent, and nothing is taken while it is paused.

Pure, as `call`: an input gives the next state and the commands that follow. What is missing is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sealwire.errors import Refused


class NotRecording(Refused):
    """The call is not recorded in a way that this could change; nothing was changed."""


class State(StrEnum):
    """Where the recording of a whole call is."""

    OFF = "off"
    ASKING = "asking"
    OPENING = "opening"
    ON = "on"
    PAUSED = "paused"


# --- inputs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """Somebody wants the call recorded."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """Those who are heard have been told, or have agreed, as the service demands."""


@dataclass(frozen=True, slots=True)
class Declined:
    """Somebody who would be heard did not agree."""


@dataclass(frozen=True, slots=True)
class Opened:
    """There is a place to record to."""


@dataclass(frozen=True, slots=True)
class NotOpened:
    """There is none."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Leave out what is said from now on; `silence` keeps the timeline."""

    silence: bool = True


@dataclass(frozen=True, slots=True)
class Resume:
    """Record on."""


@dataclass(frozen=True, slots=True)
class End:
    """Enough: it was stopped, its length or silence is reached, or the call is over."""


@dataclass(frozen=True, slots=True)
class Fail:
    """What was recorded cannot be written."""


Input = Start | Agreed | Declined | Opened | NotOpened | Pause | Resume | End | Fail

# --- commands ------------------------------------------------------------------------------------------------


class Command(StrEnum):
    """What must be done about it."""

    ASK = "ask"
    OPEN = "open"
    BEGIN = "begin"
    HUSH = "hush"
    SKIP = "skip"
    GO_ON = "go-on"
    CLOSE = "close"
    ABANDON = "abandon"
    SAY_REFUSED = "say-refused"


@dataclass(frozen=True, slots=True)
class Taping:
    """The recording of one whole call at one moment."""

    state: State = State.OFF

    def step(self, what: Input) -> Step:
        """Follow the table; NotRecording when this may not happen here, and then nothing is changed."""
        rule = _TABLE[self.state].get(type(what))
        if rule is None:
            raise NotRecording
        return rule(self, what)


Step = tuple[Taping, tuple[Command, ...]]


def _start(tape: Taping, _: Any) -> Step:
    """Each recording asks: who agreed to an earlier one is not asked again, but somebody may have joined since."""
    return replace(tape, state=State.ASKING), (Command.ASK,)


def _agreed(tape: Taping, _: Any) -> Step:
    return replace(tape, state=State.OPENING), (Command.OPEN,)


def _refused(tape: Taping, _: Any) -> Step:
    return replace(tape, state=State.OFF), (Command.SAY_REFUSED,)


def _opened(tape: Taping, _: Any) -> Step:
    return replace(tape, state=State.ON), (Command.BEGIN,)


def _too_late(tape: Taping, _: Any) -> Step:
    return tape, (Command.ABANDON,)


def _pause(tape: Taping, what: Pause) -> Step:
    return replace(tape, state=State.PAUSED), (Command.HUSH if what.silence else Command.SKIP,)


def _resume(tape: Taping, _: Any) -> Step:
    return replace(tape, state=State.ON), (Command.GO_ON,)


def _close(tape: Taping, _: Any) -> Step:
    return replace(tape, state=State.OFF), (Command.CLOSE,)


def _fail(tape: Taping, _: Any) -> Step:
    return replace(tape, state=State.OFF), (Command.ABANDON, Command.SAY_REFUSED)


def _give_up(tape: Taping, _: Any) -> Step:
    return replace(tape, state=State.OFF), (Command.ABANDON,) if tape.state is State.OPENING else ()


def _nothing(tape: Taping, _: Any) -> Step:
    return tape, ()


_TABLE: dict[State, dict[type, Callable[[Taping, Any], Step]]] = {
    State.OFF: {
        Start: _start, Opened: _too_late, NotOpened: _nothing, End: _nothing, Fail: _nothing,
        Agreed: _nothing, Declined: _nothing,
    },
    State.ASKING: {Agreed: _agreed, Declined: _refused, End: _give_up, Fail: _nothing},
    State.OPENING: {Opened: _opened, NotOpened: _refused, End: _give_up, Fail: _nothing},
    State.ON: {Pause: _pause, Resume: _nothing, End: _close, Fail: _fail},
    State.PAUSED: {Pause: _pause, Resume: _resume, End: _close, Fail: _fail},
}  # fmt: skip
