"""The table of one channel's call, written as dialogues: what comes in, what must follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.communications.calls.call import (
    DIGITS_MAX,
    HANGUP_SECONDS_MAX,
    TRANSFER_SECONDS_MAX,
    TYPED_AHEAD_MAX,
    Call,
    IllegalInCall,
    State,
    call_out,
    ring,
)
from sealwire.communications.control.port import RecordingWish
from sealwire.vocabulary import HangupCause, Party

ENDING = c.SetTimer("ending", HANGUP_SECONDS_MAX)
WISH = RecordingWish(seconds_max=60, silence_seconds=3, end_digits="#", beep=True)
RECORD = c.Record(WISH)
BYE = e.LegEnded(HangupCause.NORMAL)
SOUND = b"hello"
WELCOME = c.Play(SOUND, stop_on="any")


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


def calling() -> Call:
    return call_out(ring_seconds=30, seconds_max=100)[0]


def recording(instruction: c.Record = RECORD) -> Call:
    call, _ = up().step(instruction)
    return call.step(e.RecordingOpened())[0]


def test_a_new_call_has_its_life_counted():
    call, commands = ring(seconds_max=100)
    assert (call.state, commands) == (State.RINGING, (c.SetTimer("limit", 100),))
    call, commands = call_out(ring_seconds=30, seconds_max=100)
    assert call.state is State.CALLING
    assert commands == (c.SetTimer("limit", 100), c.SetTimer("no-answer", 30), c.DialLeg())


def test_a_greeting_from_ring_to_hangup():
    call = talk(
        up(),
        (WELCOME, c.PlaySound(SOUND, 1)),
        (e.PlayEnded(1), c.Tell(c.Played())),
        (c.Gather(1, "", 8, 4), c.SetTimer("gather", 8)),
        (e.DigitHeard("5"), c.CancelTimer("gather"), c.Tell(c.Gathered("5", "count"))),
        (RECORD, c.OpenRecording(WISH)),
        (e.RecordingOpened(), c.StartCapture(), c.SetTimer("record", 60), c.PlaySound(None, 2)),
        (e.PlayEnded(2),),
        (e.DigitHeard("#"), c.StopCapture(), c.CancelTimer("record"), c.Tell(c.Recorded("digit"))),
        (c.Play(b"bye"), c.PlaySound(b"bye", 3)),
        (e.PlayEnded(3), c.Tell(c.Played())),
        (c.HangUp(), c.HangUpLeg(), ENDING),
        (BYE,),
    )
    assert (call.state, call.cause, call.answered) == (State.ENDED, HangupCause.NORMAL, True)
    assert call.digits == "5"


def test_an_inbound_call_may_ring_before_it_is_answered():
    talk(ring(seconds_max=9)[0], (c.Ring(), c.RingLeg(), c.Tell(c.Done())), (c.Answer(), c.AnswerLeg()))


def test_an_outbound_call_is_waited_for_until_it_is_answered():
    talk(
        calling(),
        (c.Answer(),),
        (e.LegRinging(),),
        (e.LegAnswered(), c.CancelTimer("no-answer"), c.Tell(c.Answered())),
        (WELCOME, c.PlaySound(SOUND, 1)),
    )
    assert talk(calling(), (e.LegAnswered(), c.CancelTimer("no-answer"))).state is State.READY


def test_an_outbound_call_that_nobody_waits_for_twice():
    waited, _ = calling().step(c.Answer())
    with pytest.raises(IllegalInCall):
        waited.step(c.Answer())


def test_an_outbound_call_that_is_not_answered_says_why():
    waited, _ = calling().step(c.Answer())
    busy = talk(waited, (e.LegEnded(HangupCause.BUSY), c.Tell(c.Over(HangupCause.BUSY))))
    assert (busy.state, busy.cause) == (State.ENDED, HangupCause.BUSY)
    late = talk(
        waited, (e.TimerRang("no-answer"), c.Tell(c.Over(HangupCause.NO_ANSWER)), c.HangUpLeg(), ENDING), (BYE,)
    )
    assert late.cause is HangupCause.NO_ANSWER
    taken_back = talk(calling(), (c.HangUp(HangupCause.CANCELLED), c.HangUpLeg(), ENDING), (BYE,))
    assert taken_back.cause is HangupCause.CANCELLED


def test_a_refusal_says_its_status_and_keeps_its_cause():
    call = talk(
        ring(seconds_max=9)[0],
        (c.Refuse(404, "nobody", HangupCause.NUMBER_UNKNOWN), c.RefuseLeg(404, "nobody"), ENDING),
        (e.LegEnded(HangupCause.NO_ANSWER),),
    )
    assert (call.state, call.cause, call.answered) == (State.ENDED, HangupCause.NUMBER_UNKNOWN, False)


def test_a_caller_who_gives_up_while_ringing_or_being_answered_is_over():
    ringing, _ = ring(seconds_max=9)
    assert talk(ringing, (e.LegEnded(HangupCause.NO_ANSWER),)).cause is HangupCause.NO_ANSWER
    answering, _ = ringing.step(c.Answer())
    talk(answering, (e.LegEnded(HangupCause.NO_ANSWER), c.Tell(c.Over(HangupCause.NO_ANSWER))))


def test_a_digit_stops_only_a_sound_that_lets_itself_be_stopped():
    stopped = talk(
        up(),
        (WELCOME, c.PlaySound(SOUND, 1)),
        (e.DigitHeard("7"), c.StopSound(), c.Tell(c.Played("7"))),
        (e.PlayEnded(1),),
    )
    assert stopped.uncollected == "7"
    talk(up(), (c.Play(SOUND), c.PlaySound(SOUND, 1)), (e.DigitHeard("7"),), (e.PlayEnded(1), c.Tell(c.Played())))
    talk(
        up(),
        (c.Play(SOUND, "*"), c.PlaySound(SOUND, 1)),
        (e.DigitHeard("7"),),
        (e.DigitHeard("*"), c.StopSound(), c.Tell(c.Played("*"))),
    )


def test_digits_typed_ahead_are_taken_by_the_next_gather_and_spare_the_next_prompt():
    talk(
        up(),
        (e.DigitHeard("1"),),
        (e.DigitHeard("2"),),
        (e.DigitHeard("3"),),
        (WELCOME, c.Tell(c.Played("1"))),
        (c.Gather(2, "", 5, 4), c.Tell(c.Gathered("12", "count"))),
        (c.Gather(2, "", 5, 4), c.SetTimer("gather", 4)),
        (e.DigitHeard("4"), c.CancelTimer("gather"), c.Tell(c.Gathered("34", "count"))),
    )


def test_a_gather_gives_what_there_is_at_its_end_digit_or_when_time_runs_out():
    call = talk(
        up(),
        (c.Gather(4, "#", 5, 4), c.SetTimer("gather", 5)),
        (e.DigitHeard("1"), c.SetTimer("gather", 4)),
        (e.TimerRang("gather"), c.Tell(c.Gathered("1", "time"))),
        (c.Gather(4, "#", 5, 4), c.SetTimer("gather", 5)),
        (e.DigitHeard("2"), c.SetTimer("gather", 4)),
        (e.DigitHeard("#"), c.CancelTimer("gather"), c.Tell(c.Gathered("2", "end-digit"))),
        (c.Gather(1, "", 5, 4), c.SetTimer("gather", 5)),
        (e.TimerRang("gather"), c.Tell(c.Gathered("", "time"))),
    )
    assert call.digits == "12"


def test_sensitive_digits_are_in_no_record_even_those_typed_ahead_or_too_late():
    call = talk(
        up(),
        (c.Gather(1, "", 5, 4), c.SetTimer("gather", 5)),
        (e.DigitHeard("9"), c.CancelTimer("gather"), c.Tell(c.Gathered("9", "count"))),
        (c.Play(SOUND), c.PlaySound(SOUND, 1)),
        (e.DigitHeard("1"),),
        (e.PlayEnded(1), c.Tell(c.Played())),
        (c.Gather(2, "", 5, 4, sensitive=True), c.SetTimer("gather", 4)),
        (e.DigitHeard("2"), c.CancelTimer("gather"), c.Tell(c.Gathered("12", "count"))),
        (e.DigitHeard("3"),),
    )
    assert call.digits == "9"
    assert "digits=" not in repr(call)


def test_what_was_typed_ahead_of_a_sensitive_gather_that_never_came_is_in_no_record():
    call = talk(up(), *[(e.DigitHeard(key),) for key in "4929"], (BYE,))
    assert (call.state, call.digits) == (State.ENDED, "")


def test_a_storm_of_digits_fills_neither_memory_nor_record():
    call = up()
    for _ in range(2000):
        call, _ = call.step(e.DigitHeard("5"))
    assert len(call.uncollected) == TYPED_AHEAD_MAX
    for _ in range(40 * TYPED_AHEAD_MAX):
        call, _ = call.step(e.DigitHeard("5") if call.asked else c.Gather(TYPED_AHEAD_MAX, "", 5, 4))
    assert len(call.digits) == DIGITS_MAX


@pytest.mark.parametrize(
    ("what", "ended_by"),
    [
        (e.DigitHeard("#"), "digit"),
        (e.SilenceHeard(), "silence"),
        (e.TimerRang("record"), "length"),
        (c.Stop(), "stop"),
    ],
)
def test_a_recording_ends_by_digit_silence_length_or_stop(what, ended_by):
    talk(recording(), (what, c.StopCapture(), c.CancelTimer("record"), c.Tell(c.Recorded(ended_by))))


def test_a_digit_that_does_not_end_the_recording_is_kept_and_goes_on():
    call = talk(recording(), (e.DigitHeard("5"),))
    assert (call.state, call.uncollected) == (State.RECORDING, "5")


def test_a_recording_without_beep_plays_nothing():
    call, _ = up().step(c.Record(RecordingWish(seconds_max=60)))
    talk(call, (e.RecordingOpened(), c.StartCapture(), c.SetTimer("record", 60)))


def test_a_recording_that_cannot_be_kept_is_told():
    opening, _ = up().step(RECORD)
    talk(opening, (e.RecordingRefused(), c.Tell(c.NotRecorded())))
    talk(recording(), (e.CaptureFailed(), c.AbandonRecording(), c.CancelTimer("record"), c.Tell(c.NotRecorded())))


def test_hanging_up_keeps_what_was_recorded_and_gives_up_what_was_only_opened():
    opening, _ = up().step(RECORD)
    hung_up = c.Tell(c.Recorded("hangup"))
    talk(recording(), (BYE, c.StopCapture(), hung_up))
    talk(recording(), (c.HangUp(), c.StopCapture(), hung_up, c.HangUpLeg(), ENDING))
    over = c.Tell(c.Over(HangupCause.NORMAL))
    talk(opening, (BYE, c.AbandonRecording(), over), (e.RecordingOpened(), c.AbandonRecording()))


def test_stop_ends_each_verb_as_if_it_had_come_to_its_end():
    playing, _ = up().step(c.Play(SOUND))
    gathering, _ = up().step(c.Gather(3, "#", 5, 4))
    typed, _ = gathering.step(e.DigitHeard("1"))
    opening, _ = up().step(RECORD)
    bridged, _ = up().step(c.Join())
    talk(playing, (c.Stop(), c.StopSound(), c.Tell(c.Played(was_stopped=True))))
    talk(typed, (c.Stop(), c.CancelTimer("gather"), c.Tell(c.Gathered("1", "time"))))
    talk(opening, (c.Stop(), c.AbandonRecording(), c.Tell(c.NotRecorded())))
    talk(bridged, (c.Stop(), c.Tell(c.Played())))
    assert talk(up(), (c.Stop(),)) == up()


def test_a_bridge_ends_by_its_digit_or_the_end_of_the_call():
    bridged, _ = up().step(c.Join("*"))
    talk(bridged, (e.DigitHeard("1"),), (e.DigitHeard("*"), c.Tell(c.Played("*"))))
    talk(bridged, (BYE, c.Tell(c.Over(HangupCause.NORMAL))))


def test_digits_are_sent_and_a_transfer_ends_the_call_or_is_told_to_have_failed():
    talk(up(), (c.SendDigits("12"), c.SendDigitsLeg("12")), (e.WorkDone(), c.Tell(c.Done())))
    to = Party("+441632960001")
    timer = c.SetTimer("work", TRANSFER_SECONDS_MAX)
    moving = talk(up(), (c.Transfer(to), c.TransferLeg(to), timer), (e.WorkDone(),))
    talk(moving, (BYE, c.Tell(c.Over(HangupCause.NORMAL))))
    talk(moving, (e.WorkFailed(), c.CancelTimer("work"), c.Tell(c.Failed())))
    talk(moving, (e.TimerRang("work"), c.CancelTimer("work"), c.Tell(c.Failed())))


def test_a_call_that_never_ends_is_ended_at_its_limit_from_any_state():
    playing, _ = up().step(WELCOME)
    gathering, _ = up().step(c.Gather(1))
    too_long = c.Tell(c.Over(HangupCause.TOO_LONG))
    for call in (ring(seconds_max=9)[0], up()):
        assert talk(call, (e.TimerRang("limit"), c.HangUpLeg(), ENDING), (BYE,)).cause is HangupCause.TOO_LONG
    for call in (playing, gathering):
        assert talk(call, (e.TimerRang("limit"), too_long, c.HangUpLeg(), ENDING), (BYE,)).cause is HangupCause.TOO_LONG


def test_an_engine_that_does_not_confirm_a_hangup_does_not_keep_the_call():
    call = talk(up(), (c.HangUp(), c.HangUpLeg(), ENDING), (e.TimerRang("ending"),))
    assert (call.state, call.cause) == (State.ENDED, HangupCause.NORMAL)


def test_an_engine_that_dies_is_the_cause():
    dead = e.LegEnded(HangupCause.ENGINE_FAILED)
    assert recording().step(dead)[0].cause is HangupCause.ENGINE_FAILED


def test_a_second_hangup_changes_nothing():
    ending, _ = up().step(c.HangUp())
    assert talk(ending, (c.HangUp(HangupCause.TOO_LONG),), (e.TimerRang("limit"),)) is not None
    assert talk(ending, (c.HangUp(HangupCause.TOO_LONG),)).cause is HangupCause.NORMAL


LATE = [
    *(e.PlayEnded(9), e.SilenceHeard(), e.CaptureFailed(), e.RecordingRefused(), e.TimerRang("gather")),
    *(e.WorkDone(), e.WorkFailed(), e.LegRinging(), e.LegHeld(True)),
]


@pytest.mark.parametrize("what", LATE)
def test_what_comes_too_late_changes_nothing(what):
    ended, _ = up().step(BYE)
    ending, _ = up().step(c.HangUp())
    playing, _ = up().step(WELCOME)
    for call in (up(), playing, ending, ended):
        assert talk(call, (what,)) == call


VERBS = [
    *(c.Ring(), c.Answer(), WELCOME, c.Play(SOUND), c.Gather(2, "#"), c.Gather(1, "", sensitive=True), RECORD),
    *(c.Join("*"), c.SendDigits("1"), c.Transfer(Party("+441632960001"))),
]
INSTRUCTIONS = [*VERBS, c.Refuse(486, "busy")]
READY_VERBS = {c.Play, c.Gather, c.Record, c.Join, c.SendDigits, c.Transfer}


def test_an_instruction_that_cannot_be_followed_is_refused_and_changes_nothing():
    ringing, _ = ring(seconds_max=9)
    allowed = {
        State.RINGING: {c.Ring, c.Answer, c.Refuse}, State.CALLING: {c.Answer}, State.READY: READY_VERBS
    }  # fmt: skip
    busy = [up().step(verb)[0] for verb in VERBS if type(verb) in READY_VERBS]
    states = [ringing, calling(), ringing.step(c.Answer())[0], up(), *busy]
    states += [recording(), up().step(c.HangUp())[0], up().step(BYE)[0]]
    assert {call.state for call in states} == set(State)
    for call in states:
        for instruction in INSTRUCTIONS:
            if type(instruction) in allowed.get(call.state, set()):
                continue
            with pytest.raises(IllegalInCall, match=f"{type(instruction).__name__} cannot happen"):
                call.step(instruction)


EVENTS = [
    *(e.LegAnswered(), e.DigitHeard("1"), e.DigitHeard("#"), e.DigitHeard("*"), e.PlayEnded(1), e.PlayEnded(2), BYE),
    *(e.RecordingOpened(), e.RecordingRefused(), e.CaptureFailed(), e.SilenceHeard(), c.HangUp(), c.Stop()),
    *(e.WorkDone(), e.WorkFailed(), e.LegRinging(), e.LegHeld(True), e.LegHeld(False)),
    *(e.TimerRang(name) for name in ("gather", "record", "ending", "limit", "work", "no-answer")),
]
BEGINNINGS = st.sampled_from([ring(seconds_max=9)[0], calling()])


@given(BEGINNINGS, st.lists(st.sampled_from([*INSTRUCTIONS, *EVENTS]), max_size=60))
def test_whatever_happens_each_capture_is_closed_once_and_an_ended_call_stays_ended(call, inputs):
    open_captures = 0
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


@given(BEGINNINGS, st.lists(st.sampled_from([*INSTRUCTIONS, *EVENTS]), max_size=60))
def test_whatever_happens_each_verb_that_is_taken_is_told_its_outcome_once_and_never_two_at_a_time(call, inputs):
    waiting = 0
    for what in [*inputs, BYE]:
        try:
            call, commands = call.step(what)
        except IllegalInCall:
            continue
        waiting += isinstance(what, c.Verb)
        waiting -= sum(isinstance(command, c.Tell) for command in commands)
        assert waiting in (0, 1)
    assert waiting == 0


@given(BEGINNINGS, st.lists(st.sampled_from([*INSTRUCTIONS, *EVENTS]), max_size=60))
def test_whatever_happens_no_sensitive_digit_may_be_recorded(call, inputs):
    """Sensitive gathers take what they take; none of it is in the record, nor what nobody took."""
    told = ""
    for what in [*inputs, BYE]:
        asked = what if isinstance(what, c.Gather) else call.asked
        try:
            call, commands = call.step(what)
        except IllegalInCall:
            continue
        for command in commands:
            if isinstance(command, c.Tell) and isinstance(command.outcome, c.Gathered):
                assert isinstance(asked, c.Gather)
                told += "" if asked.sensitive else command.outcome.digits
    assert call.digits == told
