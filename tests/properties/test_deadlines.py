"""Deadlines by the calendar: a month is a month, whatever its length, and doubt about who asks stops the clock."""

from __future__ import annotations

import calendar
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwire.custody.requests.deadlines import months_after, shifted
from sealwire.custody.requests.workflow import (
    STEPS,
    ExtendedBefore,
    Extension,
    Kind,
    Refusal,
    Request,
    State,
    StepRefused,
)
from sealwire.vocabulary import AccountId, CredentialId, SubjectRequestId

DAYS = st.dates(dt.date(1990, 1, 1), dt.date(2199, 12, 31))
MONTHS = st.integers(0, 120)


def request(received: dt.date, *, months: int = 1) -> Request:
    return Request(
        AccountId.new(), SubjectRequestId.new(), Kind.ACCESS, State.RECEIVED, CredentialId.new(),
        dt.datetime.combine(received, dt.time(12), dt.UTC), months_after(received, months),
    )  # fmt: skip


def noon(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(12), dt.UTC)


@pytest.mark.parametrize(
    ("received", "months", "due"),
    [
        ((2027, 1, 31), 1, (2027, 2, 28)),
        ((2028, 1, 31), 1, (2028, 2, 29)),
        ((2026, 11, 30), 3, (2027, 2, 28)),
        ((2026, 12, 31), 1, (2027, 1, 31)),
        ((2026, 3, 31), 1, (2026, 4, 30)),
        ((2028, 2, 29), 12, (2029, 2, 28)),
    ],
)
def test_a_month_ends_on_its_last_day_when_it_has_no_such_day(
    received: tuple[int, int, int], months: int, due: tuple[int, int, int]
) -> None:
    assert months_after(dt.date(*received), months) == dt.date(*due)


@given(DAYS, MONTHS)
def test_a_deadline_is_so_many_calendar_months_later_and_on_the_same_day_where_there_is_one(
    day: dt.date, months: int
) -> None:
    due = months_after(day, months)
    assert (due.year - day.year) * 12 + due.month - day.month == months
    assert due.day == min(day.day, calendar.monthrange(due.year, due.month)[1])


@given(DAYS, DAYS, MONTHS)
def test_who_asks_later_is_never_due_earlier(one: dt.date, other: dt.date, months: int) -> None:
    first, second = sorted((one, other))
    assert months_after(first, months) <= months_after(second, months)


@given(DAYS, st.integers(0, 60), st.integers(0, 60))
def test_the_time_in_doubt_is_added_and_no_more(received: dt.date, before: int, doubt: int) -> None:
    begun = received + dt.timedelta(days=before)
    asked = request(received).stepped(State.IDENTITY_DOUBT, now=noon(begun))
    shown = asked.stepped(State.IN_PROGRESS, now=noon(begun + dt.timedelta(days=doubt)))
    assert shown.due_on - request(received).due_on == dt.timedelta(days=doubt)
    assert shifted(asked.due_on, doubted_on=begun, shown_on=begun) == asked.due_on


@given(DAYS)
def test_an_extension_counts_from_the_day_of_receipt_and_is_given_once(received: dt.date) -> None:
    longer = request(received).extended(Extension.COMPLEXITY, months=1, extra=2, now=noon(received))
    assert longer.due_on == months_after(received, 3)
    with pytest.raises(ExtendedBefore):
        longer.extended(Extension.COMPLEXITY, months=1, extra=2, now=noon(received))


@given(DAYS, st.integers(1, 30))
def test_an_extension_keeps_the_days_that_a_doubt_added(received: dt.date, doubt: int) -> None:
    doubted = request(received).stepped(State.IDENTITY_DOUBT, now=noon(received))
    shown = doubted.stepped(State.IN_PROGRESS, now=noon(received + dt.timedelta(days=doubt)))
    longer = shown.extended(Extension.COMPLEXITY, months=1, extra=2, now=noon(received))
    assert longer.due_on == months_after(received, 3) + dt.timedelta(days=doubt)


@given(st.lists(st.sampled_from(State), max_size=8))
def test_no_way_leads_out_of_done_or_refused_and_every_other_state_can_end(steps: list[State]) -> None:
    one, now = request(dt.date(2026, 11, 23)), noon(dt.date(2026, 11, 24))
    for to in steps:
        try:
            one = one.stepped(to, now=now)
        except StepRefused:
            assert to not in STEPS[one.state]
    assert (one.closed_at is not None) == (one.state in (State.DONE, State.REFUSED))
    if one.closed_at is None:
        assert one.refused(Refusal.EXCESSIVE, now=now).state is State.REFUSED


def test_a_request_is_overdue_from_the_day_after_its_deadline_until_it_is_closed() -> None:
    one = request(dt.date(2027, 1, 31))
    assert not one.is_overdue(dt.date(2027, 2, 28))
    assert one.is_overdue(dt.date(2027, 3, 1))
    assert not one.stepped(State.DONE, now=noon(dt.date(2027, 3, 5))).is_overdue(dt.date(2027, 3, 6))
