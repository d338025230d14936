"""The table of a whole call's recording: no place before consent, nothing taken while it is paused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwire.communications.calls import taping as t
from sealwire.communications.calls.taping import Command, NotRecording, State, Taping


def after(*inputs: t.Input) -> Taping:
    tape = Taping()
    for what in inputs:
        tape, _ = tape.step(what)
    return tape


def test_consent_is_asked_before_each_place_is_opened():
    tape, commands = Taping().step(t.Start())
    assert commands == (Command.ASK,)
    tape, commands = tape.step(t.Agreed())
    assert commands == (Command.OPEN,)
    again = after(t.Start(), t.Agreed(), t.Opened(), t.End())
    assert again.step(t.Start())[1] == (Command.ASK,)


def test_who_declines_is_not_recorded_and_that_is_said():
    tape, commands = after(t.Start()).step(t.Declined())
    assert (tape.state, commands) == (State.OFF, (Command.SAY_REFUSED,))


def test_a_pause_keeps_or_closes_the_gap_and_is_over_with_resume():
    on = after(t.Start(), t.Agreed(), t.Opened())
    assert on.step(t.Pause())[1] == (Command.HUSH,)
    paused, commands = on.step(t.Pause(silence=False))
    assert commands == (Command.SKIP,)
    assert paused.step(t.Resume()) == (on, (Command.GO_ON,))


def test_what_is_not_recording_can_be_neither_paused_nor_resumed_nor_started_twice():
    for what in (t.Pause(), t.Resume()):
        with pytest.raises(NotRecording):
            Taping().step(what)
    with pytest.raises(NotRecording):
        after(t.Start(), t.Agreed(), t.Opened()).step(t.Start())


def test_a_place_that_comes_too_late_is_given_up():
    given_up, commands = after(t.Start(), t.Agreed()).step(t.End())
    assert commands == (Command.ABANDON,)
    assert given_up.step(t.Opened())[1] == (Command.ABANDON,)


INPUTS = [
    *(t.Start(), t.Agreed(), t.Declined(), t.Opened(), t.NotOpened(), t.Pause(), t.Pause(silence=False)),
    *(t.Resume(), t.End(), t.Fail()),
]


@given(st.lists(st.sampled_from(INPUTS), max_size=40))
def test_whatever_happens_nothing_is_opened_recorded_or_paused_without_consent_and_each_place_is_left_once(inputs):
    tape, agreed, begun = Taping(), False, 0
    for what in inputs:
        was = tape.state
        try:
            tape, commands = tape.step(what)
        except NotRecording:
            continue
        agreed = agreed or (was is State.ASKING and isinstance(what, t.Agreed))
        assert agreed or not set(commands) & {Command.OPEN, Command.BEGIN}
        assert agreed or tape.state in (State.OFF, State.ASKING)
        begun += Command.BEGIN in commands
        begun -= Command.CLOSE in commands or (Command.ABANDON in commands and was in (State.ON, State.PAUSED))
        assert begun == (tape.state in (State.ON, State.PAUSED))
