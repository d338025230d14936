"""The correctness metric: an answer that nobody may give lowers it, one that sixteen clients allow does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sealwire.doors.bench.gdprbench.mixes import Kind, Operation
from sealwire.doors.bench.gdprbench.records import METADATA, data_of, record_of, user_of
from sealwire.doors.bench.gdprbench.reference import Answer, Done, Reference, Register

RECORDS = 100


def whole(key: int, **changed: int) -> tuple[int, ...]:
    metadata = dict(zip(METADATA, record_of(key).metadata, strict=True)) | changed
    return tuple(metadata.values())


def judged(*done: Done) -> Reference:
    reference = Reference(RECORDS)
    reference.follow(done)
    return reference


def read(key: int, answer: Answer, *, at: float = 10.0) -> Done:
    return Done(Operation(Kind.READ, key), at, at + 1, answer)


HONEST = (whole(7), user_of(7), data_of(7, 0))
BY_PURPOSE = {key: whole(key) for key in range(3, RECORDS, 25)}


def test_the_honest_answer_is_right() -> None:
    assert judged(read(7, HONEST)).correctness == 1.0


@pytest.mark.parametrize(
    "lie",
    [
        None,
        (whole(7), user_of(7), data_of(7, 1)),
        (whole(7), user_of(7), data_of(7, 0)[:-1] + "x"),
        (whole(7), 8, data_of(7, 0)),
        (whole(7, shr=9), user_of(7), data_of(7, 0)),
        (whole(7)[:-1], user_of(7), data_of(7, 0)),
    ],
    ids=["absent", "another version", "one byte", "another user", "metadata", "a field less"],
)
def test_a_changed_answer_lowers_it(lie: Answer) -> None:
    assert judged(read(7, HONEST), read(7, lie)).correctness == 0.5


@pytest.mark.parametrize("at", range(len(BY_PURPOSE)))
def test_a_list_that_lacks_one_record_is_wrong(at: int) -> None:
    lacking = dict(list(BY_PURPOSE.items())[:at] + list(BY_PURPOSE.items())[at + 1 :])
    honest = Done(Operation(Kind.READ_BY_PURPOSE, 3), 10, 11, BY_PURPOSE)
    assert judged(honest).wrong == 0
    assert judged(replace(honest, answer=lacking)).wrong == 1


def test_a_list_with_somebody_elses_record_is_wrong() -> None:
    assert judged(Done(Operation(Kind.READ_BY_USER, 4), 10, 11, {4: whole(4), 5: whole(5)})).wrong == 1


def test_after_an_erasure_the_record_must_not_be_answered_and_before_it_must() -> None:
    erased = Done(Operation(Kind.DELETE, 7), 5, 6)
    assert judged(erased, read(7, HONEST, at=8)).wrong == 1
    assert judged(erased, read(7, None, at=8)).wrong == 0
    assert judged(erased, read(7, None, at=1)).wrong == 1
    assert judged(erased, read(7, None, at=5.5), read(7, HONEST, at=5.5)).wrong == 0


def test_an_erasure_is_verified_only_when_there_is_one() -> None:
    erased, asked = Done(Operation(Kind.DELETE, 7), 5, 6), Operation(Kind.VERIFY_DELETION, 7)
    assert judged(erased, Done(asked, 8, 9, True)).wrong == 0
    assert judged(erased, Done(asked, 8, 9, False)).wrong == 1
    assert judged(Done(asked, 8, 9, True)).wrong == 1


def test_a_lost_update_is_seen() -> None:
    changed = Done(Operation(Kind.UPDATE_BY_PURPOSE, 7, "shr", 5), 1, 2)
    assert judged(changed, read(7, HONEST)).wrong == 1
    assert judged(changed, read(7, (whole(7, shr=5), user_of(7), data_of(7, 0)))).wrong == 0
    updated = Done(Operation(Kind.UPDATE, 7, "data", data_of(7, 3)), 1, 2)
    assert judged(updated, read(7, HONEST)).wrong == 1


def test_a_log_that_forgot_an_opening_is_wrong() -> None:
    log = Operation(Kind.READ_LOG, 7)
    assert judged(read(7, HONEST, at=1), Done(log, 5, 6, 1)).wrong == 0
    assert judged(read(7, HONEST, at=1), Done(log, 5, 6, 0)).wrong == 1
    assert judged(read(7, HONEST, at=1), Done(log, 5, 6, 9)).wrong == 1


def test_a_register_may_be_what_was_written_last_or_what_is_being_written() -> None:
    register = Register([(0, 1, "a"), (2, 3, "b"), (5, 8, "c")])
    assert [value for value in "abc" if register.may_be(value, 3.5, 4)] == ["b"]
    assert [value for value in "abc" if register.may_be(value, 6, 7)] == ["b", "c"]
    assert [value for value in "abc" if register.may_be(value, 9, 10)] == ["c"]
