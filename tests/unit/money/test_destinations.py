"""Where an account may call: countries, prefixes, short numbers, and ranges that cost more than a call should."""

from __future__ import annotations

import pytest

from sealwire.errors import Malformed
from sealwire.governance.destinations import Callee, Destination, DestinationMalformed, is_allowed
from sealwire.vocabulary import E164, Party


def callee(text: str) -> Callee:
    found = Callee.of(Party(text))
    assert found is not None
    return found


@pytest.mark.parametrize(
    "number",
    [
        "+449098790000", "+4490987900", "+44909879000012", "+448701234567", "+447012345678", "+19005551234",
        "+33891234567", "+4990012345678", "+881612345678", "+882161234567", "+97912345678", "+870773111632",
        "+808123456",
    ],
)  # fmt: skip
def test_premium_ranges_are_known_also_a_digit_too_long_or_short(number: str) -> None:
    assert callee(number).is_premium
    assert not is_allowed(callee(number), [Destination("+"), Destination(number)])
    assert is_allowed(callee(number), [Destination("+", premium=True)])


@pytest.mark.parametrize("number", ["+441632960123", "+447700900123", "+12025550123", "+4930123456", "+33123456789"])
def test_ordinary_numbers_are_not_taken_for_premium(number: str) -> None:
    assert not callee(number).is_premium


def test_a_country_in_north_america_does_not_open_its_neighbours() -> None:
    assert is_allowed(callee("+12025550123"), [Destination("US")])
    assert not is_allowed(callee("+18095551234"), [Destination("US")])
    assert not is_allowed(callee("+19995551234"), [Destination("US")])


def test_nothing_is_allowed_at_first() -> None:
    assert not is_allowed(callee("+441632960123"), [])


def test_a_sip_user_is_no_destination_but_a_short_number_is() -> None:
    assert Callee.of(Party("desk-phone")) is None
    assert not is_allowed(callee("118118"), [Destination("118"), Destination("+")])
    assert is_allowed(callee("118118"), [Destination("118118")])


@pytest.mark.parametrize("name", ["a+449098790000", "x.+44-9098-790000", "sip+19005551234", "+4490987٩٠٠٠٠"])
def test_a_name_is_never_dialled_as_the_number_that_is_hidden_in_it(name: str) -> None:
    """Else it would be priced as a SIP user, allowed everywhere, and put through by a trunk."""
    with pytest.raises(Malformed):
        E164.parse(name)


@pytest.mark.parametrize("text", ["44-9098-790000", "00.44.9098790000", "-449098790000", "0044~9098790000"])
def test_digits_with_separators_are_no_sip_user(text: str) -> None:
    assert not is_allowed(callee(text), [Destination("+", premium=True), Destination("GB", premium=True)])


@pytest.mark.parametrize("written", ["+44 (0)90 9879 0000", "+44 909-879.0000", "+44909/8790000"])
def test_a_number_is_the_same_destination_however_it_is_written(written: str) -> None:
    assert callee(written).number == "+449098790000"
    assert callee(written).is_premium


@pytest.mark.parametrize("text", ["44", "+44", "GB", "+", "2001", "*72"])
def test_destinations_that_can_be_written(text: str) -> None:
    assert Destination.parse(text).text == text


@pytest.mark.parametrize("text", ["", "gb", "XX", "+0", "+44 1", "england", "++4", "+1234567890123456", "4"])
def test_destinations_that_cannot(text: str) -> None:
    with pytest.raises(DestinationMalformed):
        Destination.parse(text)


def test_a_callee_does_not_show_its_number() -> None:
    assert "1632" not in repr(callee("+441632960123"))
