"""The roles' operations: their mixes, that they are the same each time, and that each finds what it is about."""

from __future__ import annotations

from collections import Counter

import pytest

from sealwire.doors.bench.gdprbench.mixes import CONTROLLER, CUSTOMER, PROCESSOR, REGULATOR, ROLES, Draw, Kind, Role
from sealwire.doors.bench.gdprbench.plain import COLUMNS
from sealwire.doors.bench.gdprbench.records import COUNTS, DATA_BYTES, METADATA, call_of, data_of, number_of, record_of
from sealwire.doors.bench.gdprbench.sealed import _CALLS

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)


@each_role
def test_a_mix_is_a_hundred_per_cent(role: Role) -> None:
    assert sum(role.mix.values()) == 100


def test_the_mixes_are_those_of_the_original_and_of_the_paper() -> None:
    assert set(CONTROLLER.mix.values()) == {25}
    assert CUSTOMER.mix[Kind.UPDATE] == CUSTOMER.mix[Kind.DELETE] == CUSTOMER.mix[Kind.READ] == 20
    assert PROCESSOR.mix == {Kind.READ: 20, Kind.READ_BY_PURPOSE: 40, Kind.READ_BY_USER: 40}
    assert REGULATOR.mix == {Kind.READ_BY_USER: 46, Kind.READ_LOG: 31, Kind.VERIFY_DELETION: 23}
    assert [role.is_zipfian for role in ROLES] == [False, True, False, False]


@each_role
def test_a_slice_has_exactly_its_mix(role: Role) -> None:
    counted = Counter(operation.kind for operation in Draw(500, 1).operations(role, 200))
    assert counted == {kind: 2 * share for kind, share in role.mix.items()}


def test_the_same_seed_draws_the_same_operations_and_another_seed_others() -> None:
    drawn = [[Draw(300, seed).operations(role, 100) for role in ROLES] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_nothing_is_asked_of_a_key_before_it_was_made_or_after_it_was_deleted() -> None:
    draw, living, kept = Draw(300, 3), set(range(300)), 300
    for role in (CONTROLLER, CUSTOMER, CONTROLLER):
        made = set()
        for operation in draw.operations(role, 200):
            match operation.kind:
                case Kind.CREATE:
                    assert operation.subject == kept
                    kept += 1
                    made.add(operation.subject)
                case Kind.DELETE:
                    living.remove(operation.subject)
                case Kind.READ | Kind.UPDATE:
                    assert operation.subject in living
        living |= made
    assert set(draw.living) == living


def test_a_customer_asks_for_few_records_often() -> None:
    reads = Role("reads", {Kind.READ: 100}, is_zipfian=True)
    hottest = Counter(one.subject for one in Draw(1_000, 4).operations(reads, 2_000)).most_common(10)
    assert sum(count for _, count in hottest) > 2_000 * 0.25


def test_a_record_has_the_value_of_its_number_in_every_field() -> None:
    record = record_of(12_345)
    assert len(record.metadata) + 3 == len(COLUMNS)
    assert record.usr == 2_345
    for name, value in zip(METADATA, record.metadata, strict=True):
        assert value == (18_000 if name == "ttl" else 12_345 % COUNTS[name])
    assert len(record.data) == DATA_BYTES == len(data_of(1, 7))
    assert data_of(1, 0) != data_of(1, 1) != data_of(2, 1)


def test_each_record_and_each_user_has_an_identifier_of_its_own() -> None:
    assert len({call_of(key) for key in range(2_000)}) == 2_000
    assert len({number_of(user) for user in range(COUNTS["usr"])}) == COUNTS["usr"]


def test_who_and_what_are_sealed_and_who_is_findable() -> None:
    sealed = {field.name: field.findable for field in _CALLS.sealed_fields}
    assert sealed["caller"] is True
    assert "digits" in sealed
