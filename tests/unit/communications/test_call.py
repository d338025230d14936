"""The table of one call, written as dialogues: what comes in, what must follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.communications.calls.call import HANGUP_SECONDS_MAX, Call, IllegalInCall, State, ring
from sealwire.vocabulary import HangupCause

ENDING = c.SetTimer("ending", HANGUP_SECONDS_MAX)
RECORD = c.Record(seconds_max=60, silence_seconds=3)
BYE = e.LegEnded(HangupCause.NORMAL)


def talk(call: Call, *turns: tuple[object, ...]) -> Call:
    """Play a dialogue: each turn is an input and the commands that must follow, in order."""
    for what, *expected in turns:
        call, commands = call.step(what)  # type: ignore[arg-type]
        assert list(commands) == expected, f"after {what} in a call that is now {call.state}"
    return call


def up() -> Call:
    """A call that was answered and waits."""
    call, _ = ring(seconds_max=100)
    return talk(call, (c.Answer(), c.AnswerLeg()), (e.LegAnswered(), c.Tell(c.Answered())))


def recording(instruction: c.Record = RECORD) -> Call:
    call, _ = up().step(instruction)
    return call.step(e.RecordingOpened())[0]


def test_a_new_call_rings_asks_its_service_and_has_its_life_counted():
    call, commands = ring(seconds_max=100)
    assert call.state is State.RINGING
    assert commands == (c.SetTimer("limit", 100), c.Tell(c.Arrived()))


def test_the_built_in_greeting_from_ring_to_hangup():
    call = talk(
        up(),
        (c.Play("welcome", stops_on_digit=True), c.PlaySound("welcome", 1)),
        (e.PlayEnded(1), c.Tell(c.Played())),
        (c.Gather(1, 8), c.SetTimer("gather", 8)),
        (e.DigitHeard("5"), c.CancelTimer("gather"), c.Tell(c.Gathered("5"))),
        (RECORD, c.OpenRecording()),
        (e.RecordingOpened(), c.StartCapture(3), c.SetTimer("record", 60), c.PlaySound("tone", 2)),
        (e.PlayEnded(2),),
        (e.DigitHeard("#"), c.StopCapture(), c.CancelTimer("record"), c.Tell(c.Recorded("digit"))),
        (c.Play("goodbye"), c.PlaySound("goodbye", 3)),
        (e.PlayEnded(3), c.Tell(c.Played())),
        (c.HangUp(), c.HangUpLeg(), ENDING),
        (BYE,),
    )
    assert (call.state, call.cause, call.digits, call.answered) == (State.ENDED, HangupCause.NORMAL, "5", True)


def test_a_refusal_says_its_status_and_keeps_its_cause():
    call = talk(
        ring(seconds_max=9)[0],
        (c.Refuse(404, "nobody", HangupCause.NUMBER_UNKNOWN), c.RefuseLeg(404, "nobody"), ENDING),
        (e.LegEnded(HangupCause.NO_ANSWER),),
    )
    assert (call.state, call.cause, call.answered) == (State.ENDED, HangupCause.NUMBER_UNKNOWN, False)


def test_a_caller_who_gives_up_while_ringing_or_being_answered_is_over():
    ringing, _ = ring(seconds_max=9)
    answering, _ = ringing.step(c.Answer())
    for call in (ringing, answering):
        assert talk(call, (e.LegEnded(HangupCause.NO_ANSWER),)).cause is HangupCause.NO_ANSWER


def test_a_digit_stops_only_a_sound_that_lets_itself_be_stopped():
    stopped = talk(
        up(),
        (c.Play("welcome", stops_on_digit=True), c.PlaySound("welcome", 1)),
        (e.DigitHeard("7"), c.StopSound(), c.Tell(c.Played(interrupted=True))),
        (e.PlayEnded(1),),
    )
    assert stopped.uncollected == "7"
    talk(up(), (c.Play("law"), c.PlaySound("law", 1)), (e.DigitHeard("7"),), (e.PlayEnded(1), c.Tell(c.Played())))


def test_digits_typed_ahead_are_taken_by_the_next_gather_and_spare_the_next_prompt():
    talk(
        up(),
        (e.DigitHeard("1"),),
        (e.DigitHeard("2"),),
        (e.DigitHeard("3"),),
        (c.Play("menu", stops_on_digit=True), c.Tell(c.Played(interrupted=True))),
        (c.Gather(2, 5), c.Tell(c.Gathered("12"))),
        (c.Gather(2, 5), c.SetTimer("gather", 5)),
        (e.DigitHeard("4"), c.CancelTimer("gather"), c.Tell(c.Gathered("34"))),
    )


def test_a_gather_waits_for_all_its_digits_and_gives_what_there_is_when_time_runs_out():
    call = talk(
        up(),
        (c.Gather(4, 5), c.SetTimer("gather", 5)),
        (e.DigitHeard("1"),),
        (e.DigitHeard("2"),),
        (e.TimerRang("gather"), c.Tell(c.Gathered("12"))),
        (c.Gather(1, 5), c.SetTimer("gather", 5)),
        (e.TimerRang("gather"), c.Tell(c.Gathered(""))),
    )
    assert call.digits == "12"


@pytest.mark.parametrize(
    ("what", "ended_by"),
    [(e.DigitHeard("#"), "digit"), (e.SilenceHeard(), "silence"), (e.TimerRang("record"), "length")],
)
def test_a_recording_ends_by_digit_silence_or_length(what, ended_by):
    talk(recording(), (what, c.StopCapture(), c.CancelTimer("record"), c.Tell(c.Recorded(ended_by))))


def test_a_digit_that_does_not_end_the_recording_is_kept_and_goes_on():
    call = talk(recording(), (e.DigitHeard("5"),))
    assert (call.state, call.digits) == (State.RECORDING, "5")


def test_a_recording_without_beep_plays_nothing():
    call, _ = up().step(c.Record(60, 3, beep=None))
    talk(call, (e.RecordingOpened(), c.StartCapture(3), c.SetTimer("record", 60)))


def test_a_recording_that_cannot_be_kept_is_told_to_the_service():
    opening, _ = up().step(RECORD)
    talk(opening, (e.RecordingRefused(), c.Tell(c.NotRecorded())))
    talk(recording(), (e.CaptureFailed(), c.AbandonRecording(), c.CancelTimer("record"), c.Tell(c.NotRecorded())))


def test_hanging_up_keeps_what_was_recorded_and_gives_up_what_was_only_opened():
    opening, _ = up().step(RECORD)
    talk(recording(), (BYE, c.StopCapture()))
    talk(recording(), (c.HangUp(), c.StopCapture(), c.HangUpLeg(), ENDING))
    talk(opening, (BYE, c.AbandonRecording()), (e.RecordingOpened(), c.AbandonRecording()))


def test_a_call_that_never_ends_is_ended_at_its_limit_from_any_state():
    playing, _ = up().step(c.Play("welcome"))
    gathering, _ = up().step(c.Gather(1, 5))
    for call in (ring(seconds_max=9)[0], up(), playing, gathering):
        ended = talk(call, (e.TimerRang("limit"), c.HangUpLeg(), ENDING), (BYE,))
        assert ended.cause is HangupCause.TOO_LONG
    assert talk(recording(), (e.TimerRang("limit"), c.StopCapture(), c.HangUpLeg(), ENDING)).state is State.ENDING


def test_an_engine_that_does_not_confirm_a_hangup_does_not_keep_the_call():
    call = talk(up(), (c.HangUp(), c.HangUpLeg(), ENDING), (e.TimerRang("ending"),))
    assert (call.state, call.cause) == (State.ENDED, HangupCause.NORMAL)


def test_an_engine_that_dies_is_the_cause():
    assert (
        talk(recording(), (e.LegEnded(HangupCause.ENGINE_FAILED), c.StopCapture())).cause is HangupCause.ENGINE_FAILED
    )


def test_a_second_hangup_changes_nothing():
    ending, _ = up().step(c.HangUp())
    assert talk(ending, (c.HangUp(HangupCause.TOO_LONG),), (e.TimerRang("limit"),)) is not None
    assert talk(ending, (c.HangUp(HangupCause.TOO_LONG),)).cause is HangupCause.NORMAL


LATE = [e.PlayEnded(9), e.SilenceHeard(), e.CaptureFailed(), e.RecordingRefused(), e.TimerRang("gather")]


@pytest.mark.parametrize("what", LATE)
def test_what_comes_too_late_changes_nothing(what):
    ended, _ = up().step(BYE)
    ending, _ = up().step(c.HangUp())
    playing, _ = up().step(c.Play("welcome"))
    for call in (up(), playing, ending, ended):
        assert talk(call, (what,)) == call


INSTRUCTIONS = [c.Answer(), c.Refuse(486, "busy"), c.Play("tone"), c.Gather(1, 5), RECORD]


def test_an_instruction_that_cannot_be_followed_is_refused_and_changes_nothing():
    ringing, _ = ring(seconds_max=9)
    allowed = {State.RINGING: {c.Answer, c.Refuse}, State.READY: {c.Play, c.Gather, c.Record}}
    states = [ringing, ringing.step(c.Answer())[0], up(), up().step(c.Play("tone"))[0], up().step(c.Gather(1, 5))[0]]
    states += [up().step(RECORD)[0], recording(), up().step(c.HangUp())[0], up().step(BYE)[0]]
    assert {call.state for call in states} == set(State)
    for call in states:
        for instruction in INSTRUCTIONS:
            if type(instruction) in allowed.get(call.state, set()):
                continue
            with pytest.raises(IllegalInCall, match=f"{type(instruction).__name__} cannot happen"):
                call.step(instruction)


EVENTS = [
    *(e.LegAnswered(), e.DigitHeard("1"), e.DigitHeard("#"), e.PlayEnded(1), e.PlayEnded(2), BYE),
    *(e.RecordingOpened(), e.RecordingRefused(), e.CaptureFailed(), e.SilenceHeard(), c.HangUp()),
    *(e.TimerRang(name) for name in ("gather", "record", "ending", "limit")),
]


@given(st.lists(st.sampled_from([*INSTRUCTIONS, *EVENTS]), max_size=40))
def test_whatever_happens_each_capture_is_closed_once_and_an_ended_call_stays_ended(inputs):
    call, open_captures = ring(seconds_max=9)[0], 0
    for what in [*inputs, BYE]:
        was = call.state
        try:
            call, commands = call.step(what)
        except IllegalInCall:
            continue
        for command in commands:
            open_captures += isinstance(command, c.StartCapture)
            open_captures -= isinstance(command, c.StopCapture) or (
                isinstance(command, c.AbandonRecording) and was is State.RECORDING
            )
            assert open_captures in (0, 1)
        assert was is not State.ENDED or call.state is State.ENDED
    assert (call.state, open_captures) == (State.ENDED, 0)
    assert call.cause is not None
