"""A category leaves nothing open: what it does not say is refused at import."""

from __future__ import annotations

import dataclasses
import datetime as dt
import pickle

import pytest

from sealwire.custody.categories import BY_CODE, CATALOGUE, BillingRecord, CallRecord, category_of, standard_periods
from sealwire.custody.categories.codec import findable_values, pack_sealed, sql_type, unpack_sealed
from sealwire.custody.categories.declaration import Retention, Role, plain, record_category, sealed
from sealwire.custody.plaintext import Opened
from sealwire.custody.storage import derived_schema, statements
from sealwire.vocabulary import CallId, HangupCause, Party

MOMENT = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
RETENTION = Retention(starts="at", days_default=5, days_min=1, days_max=9)


def declare(code: int = 200, retention: Retention = RETENTION, **namespace: object) -> type:
    annotations = {"at": dt.datetime, "who": Party, **namespace.pop("annotations", {})}  # type: ignore[dict-item]
    fields = {"at": plain("starts the retention clock"), "who": sealed(), "__doc__": "One line.", **namespace}
    cls = type("Sample", (), {"__annotations__": annotations, **fields})
    return record_category(code=code, name="sample", purpose="a test", role=Role.PROCESSOR, retention=retention)(cls)


def test_a_reused_code_is_refused() -> None:
    with pytest.raises(TypeError, match="never reused"):
        declare(code=1)


def test_a_reserved_code_is_refused() -> None:
    with pytest.raises(TypeError, match="never reused"):
        declare(code=5)


def test_a_field_that_is_neither_sealed_nor_plain_is_refused() -> None:
    with pytest.raises(TypeError, match="neither sealed"):
        declare(code=201, extra=dataclasses.field(), annotations={"extra": str})


def test_a_plain_field_needs_a_reason_of_three_words() -> None:
    with pytest.raises(TypeError, match="three words"):
        plain("for billing")


def test_a_default_outside_its_bounds_is_refused() -> None:
    with pytest.raises(TypeError, match="outside its own bounds"):
        declare(code=202, retention=Retention(starts="at", days_default=10, days_min=1, days_max=9))


def test_a_clock_that_starts_at_a_sealed_field_is_refused() -> None:
    with pytest.raises(TypeError, match="plain datetime"):
        declare(code=203, retention=Retention(starts="who", days_default=5, days_min=1, days_max=9))


def test_a_category_needs_a_docstring_of_one_line() -> None:
    with pytest.raises(TypeError, match="docstring"):
        declare(code=204, __doc__="Two\nlines.")


def test_a_category_that_seals_nothing_is_no_category() -> None:
    with pytest.raises(TypeError, match="nothing is sealed"):
        declare(code=205, who=plain("a name in the clear"))


def test_sealed_fields_come_back_as_they_went_in() -> None:
    record = CallRecord(
        call_id=CallId.new(), direction="inbound", started_at=MOMENT, answered_at=None, ended_at=MOMENT,
        hangup_cause=HangupCause.BUSY, caller=Party("+441632960101"), callee=Party("anonymous"), digits="12#",
    )  # fmt: skip
    category = category_of(CallRecord)
    assert unpack_sealed(category, pack_sealed(category, record)) == {
        "caller": Party("+441632960101"), "callee": Party("anonymous"), "digits": "12#",
    }  # fmt: skip
    assert findable_values(category, record) == ["+441632960101"]
    assert category.clock_starts_at(record) == MOMENT


def test_a_record_does_not_print_what_it_holds() -> None:
    record = CallRecord(
        call_id=CallId.new(), direction="inbound", started_at=MOMENT, answered_at=None, ended_at=MOMENT,
        hangup_cause=HangupCause.BUSY, caller=Party("+441632960101"), callee=Party("+441632960100"), digits="12#",
    )  # fmt: skip
    assert "441632" not in repr(record)
    assert "441632" not in repr(record.caller)


@pytest.mark.parametrize("category", CATALOGUE, ids=lambda category: category.name)
def test_everything_derives_from_the_declaration(category) -> None:  # type: ignore[no-untyped-def]
    table = dict(derived_schema())[f"derived_{category.table}.sql"]
    for field in category.plain_fields:
        assert f"{field.name} {sql_type(field.type)}" in table
    for field in category.sealed_fields:
        assert f"\n    {field.name} " not in table
    assert f"${9 + len(category.plain_fields) + 2 * category.has_media}" in statements(category).keep
    assert f"{category.code}/0" in standard_periods()
    assert BY_CODE[category.code] is category


def test_opened_content_does_not_print_pickle_or_compare() -> None:
    opened = Opened({"caller": "+441632960101"})
    assert f"{opened} {opened!r}" == "<opened> <opened>"
    with pytest.raises(TypeError):
        pickle.dumps(opened)
    with pytest.raises(TypeError):
        assert opened == opened
    assert opened.reveal()["caller"] == "+441632960101"


def test_a_statutory_period_counts_from_the_end_of_its_calendar_year_so_a_year_is_one_day_of_the_tree() -> None:
    billing, calls = category_of(BillingRecord), category_of(CallRecord)
    moments = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 12, 31, 23, 59, tzinfo=dt.UTC)]
    assert {billing.day_at(moment).date for moment in moments} == {dt.date(2026, 12, 31)}
    in_another_zone = dt.datetime(2027, 1, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert billing.day_at(in_another_zone).date == dt.date(2026, 12, 31)
    assert [calls.day_at(moment).date for moment in moments] == [dt.date(2026, 1, 1), dt.date(2026, 12, 31)]


def test_standard_bounds_lie_within_what_may_ever_be_asked_for() -> None:
    with pytest.raises(TypeError, match="ever"):
        declare(code=204, retention=Retention(starts="at", days_default=5, days_min=0, days_max=9))
    with pytest.raises(TypeError, match="ever"):
        declare(code=205, retention=Retention(starts="at", days_default=5, days_min=1, days_max=9, most=8))
