"""The built-in greeting, outcome by outcome."""

from __future__ import annotations

from sealwire.communications.calls.commands import (
    Answer,
    Answered,
    Arrived,
    Gather,
    Gathered,
    HangUp,
    NotRecorded,
    Play,
    Played,
    Record,
    Recorded,
)
from sealwire.communications.calls.greeting import Greeting


async def test_it_answers_welcomes_takes_a_digit_records_and_leaves():
    greeting = Greeting(digit_seconds=8, record_seconds_max=60, silence_seconds=3)
    assert await greeting.after(Arrived()) == Answer()
    assert await greeting.after(Answered()) == Play("welcome", stops_on_digit=True)
    assert await greeting.after(Played()) == Gather(1, 8)
    assert await greeting.after(Gathered("5")) == Record(60, 3)
    assert await greeting.after(Recorded("silence")) == Play("goodbye")
    assert await greeting.after(Played()) == HangUp()


def test_a_caller_who_types_nothing_is_not_recorded():
    greeting = Greeting()
    assert greeting.decide(Gathered("")) == Play("goodbye")
    assert greeting.decide(Played()) == HangUp()


def test_when_nothing_can_be_kept_it_says_so_before_it_leaves():
    greeting = Greeting()
    assert greeting.decide(NotRecorded()) == Play("not-recorded")
    assert greeting.decide(Played()) == HangUp()
