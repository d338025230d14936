"""A cursor brings back the position it was made of, to the microsecond, and only in its own list."""

from __future__ import annotations

import base64
import datetime as dt
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwire.doors.api.pagination import cut_page, read_cursor, write_cursor
from sealwire.doors.api.problems import CursorMalformed

MOMENTS = st.datetimes(timezones=st.just(dt.UTC))


@given(MOMENTS, st.uuids())
def test_a_cursor_is_read_back_as_it_was_written(moment: dt.datetime, identity: UUID):
    assert read_cursor("calls", write_cursor("calls", (moment, identity))) == (moment, identity)


@given(MOMENTS, st.uuids())
def test_a_cursor_is_good_in_its_own_list_only(moment: dt.datetime, identity: UUID):
    with pytest.raises(CursorMalformed):
        read_cursor("recordings", write_cursor("calls", (moment, identity)))


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_any_other_text_is_refused_and_nothing_else_happens(text: str):
    with pytest.raises(CursorMalformed):
        read_cursor("calls", text)


@pytest.mark.parametrize(
    "mark", [["calls", 2**63, b"x" * 16], ["calls", 0, b"x"], ["calls", 10**18, b"x" * 16], ["calls"]]
)
def test_a_forged_cursor_outside_all_bounds_is_refused(mark: list[object]):
    with pytest.raises(CursorMalformed):
        read_cursor("calls", base64.urlsafe_b64encode(msgspec.msgpack.encode(mark)).decode())


def test_no_cursor_is_the_first_page():
    assert read_cursor("calls", None) is None


def test_a_page_ends_with_a_cursor_only_when_there_is_more():
    moment = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    rows = [UUID(int=number) for number in range(4)]
    page, cursor = cut_page("calls", rows, limit=3, position=lambda row: (moment, row))
    assert list(page) == rows[:3]
    assert read_cursor("calls", cursor) == (moment, rows[2])
    assert cut_page("calls", rows[:3], limit=3, position=lambda row: (moment, row)) == (rows[:3], None)
