"""The card guard: what it finds however it is written, and what it leaves alone."""

from __future__ import annotations

import random
from collections.abc import Iterator

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwire.communications.cardguard import CardNumberRefused, CardPolicy, guard, holds_card, passes_luhn

CARDS = [
    "4111111111111111", "4012888888881881", "4222222222222", "5555555555554444", "5105105105105100",
    "2223003122003222", "378282246310005", "371449635398431", "6011111111111117", "6011000990139424",
    "30569309025904", "38520000023237", "3530111333300000", "6200000000000005", "6759649826438453",
    "4000000000000000006",
]  # fmt: skip
SEPARATORS = st.text(alphabet=" -./\u00a0\u2009\u2011\u2013\u200b_", max_size=3)


def numbers_of(region: str, how_many: int, chance: random.Random) -> Iterator[str]:
    """Valid mobile numbers of a country, in E.164."""
    example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    text = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    while how_many:
        number = text[:-6] + "".join(chance.choice("0123456789") for _ in range(6))
        if phonenumbers.is_valid_number(phonenumbers.parse(number, None)):
            how_many -= 1
            yield number


@pytest.mark.parametrize("card", CARDS)
def test_a_card_is_found_plain_within_words_and_after_keys_were_pressed(card: str) -> None:
    assert holds_card(card)
    assert holds_card(f"my card is {card}, thanks")
    assert holds_card(f"card:{card}")
    assert holds_card(f"{card} 12/26 123")
    assert guard(f"pay {card} now") == f"pay {'*' * (len(card) - 4)}{card[-4:]} now"


@given(st.sampled_from(CARDS), st.data())
def test_separators_between_any_digits_do_not_hide_a_card(card: str, data: st.DataObject) -> None:
    spread = card[0] + "".join(data.draw(SEPARATORS) + digit for digit in card[1:])
    assert holds_card(spread)
    masked = guard(spread)
    assert not holds_card(masked)
    assert len(masked) == len(spread)
    assert sum(character.isdigit() for character in masked) == 4


@given(st.sampled_from(CARDS), st.sampled_from([0xFF10, 0x0660, 0x06F0, 0x0966, 0x1D7CE]))
def test_digits_of_other_scripts_do_not_hide_a_card(card: str, zero: int) -> None:
    assert holds_card("".join(chr(zero + int(digit)) for digit in card))


@pytest.mark.parametrize("between", ["\n", "\r\n", "\u2028", "\v"])
def test_a_card_written_over_several_lines_is_found(between: str) -> None:
    text = between.join(["4111", "1111", "1111", "1111"])
    assert guard(text) == between.join(["****", "****", "****", "1111"])


@pytest.mark.parametrize("keys", ["41111111111111111226", "41111111111111111226123", "5555555555554444#1226#123#"])
def test_a_card_is_found_among_the_keys_a_caller_presses(keys: str) -> None:
    assert holds_card(keys)


@pytest.mark.parametrize(
    "text",
    [
        "+441632960123", "call +44 1632 960123 or 07700 900123", "+49 1511 2345678", "2026-11-23T11:30:00.000Z",
        "DE89 3704 0044 0532 0130 00", "call_5f0c1e2d9a7b4c6e8f10213243546576", "0000000000000000", "1795612345678",
        "4111111111111112", "order 1234567890123", "IMEI 490154203237518", "", "12",
    ],
)  # fmt: skip
def test_what_is_no_card_is_left_alone(text: str) -> None:
    assert guard(text) == text
    assert guard(text, CardPolicy.REFUSE) == text


@pytest.mark.parametrize("region", ["GB", "DE", "US", "FR", "AT", "IT", "BR", "IN", "CN", "ID", "JP", "MX"])
def test_telephone_numbers_are_not_taken_for_cards(region: str) -> None:
    numbers = list(numbers_of(region, 200, random.Random(7)))
    assert not [number for number in numbers if holds_card(number)]
    assert not [number for number in numbers if holds_card(number[1:])]
    assert not [number for number in numbers if holds_card(f"call {number[:3]} {number[3:6]} {number[6:]}")]


@pytest.mark.parametrize(
    ("digits", "per_mille"), [(13, 20), (14, 10), (15, 20), (16, 60), (17, 15), (18, 20), (19, 120)]
)
def test_random_digits_raise_few_false_alarms(digits: int, per_mille: int) -> None:
    """A tenth of all digit runs passes the Luhn check; these are our own limits for each length."""
    chance = random.Random(digits)
    texts = ["".join(chance.choice("0123456789") for _ in range(digits)) for _ in range(2000)]
    assert 1000 * sum(map(holds_card, texts)) / len(texts) <= per_mille


@given(st.text(alphabet="0123456789 -+a", max_size=120))
def test_what_was_masked_holds_no_card_and_differs_only_in_stars(text: str) -> None:
    masked = guard(text)
    assert not holds_card(masked)
    assert all(after in (before, "*") for before, after in zip(text, masked, strict=True))


def test_refusing_tells_no_digit_and_off_lets_everything_pass() -> None:
    with pytest.raises(CardNumberRefused) as refused:
        guard("4111 1111 1111 1111", CardPolicy.REFUSE)
    assert "1111" not in str(refused.value)
    assert guard("4111111111111111", CardPolicy.OFF) == "4111111111111111"


@given(st.text(alphabet="0123456789", min_size=1, max_size=25))
def test_one_changed_digit_is_always_noticed_by_the_luhn_check(digits: str) -> None:
    (last,) = [str(check) for check in range(10) if passes_luhn(digits + str(check))]
    for at, digit in enumerate(digits):
        assert not passes_luhn(digits[:at] + str((int(digit) + 1) % 10) + digits[at + 1 :] + last)
