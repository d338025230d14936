"""Finds payment card numbers in text, parameters and digits, and masks or refuses them.

A card number is 13 to 19 digits that pass the Luhn check (ISO/IEC 7812-1) and begin as cards begin; or four groups of
four that pass it, however they begin. Separators, look-alike digits and invisible characters between the digits do not
hide it. A telephone number of 13 to 15 digits passes the Luhn check one time in ten: what is a valid number, or is
written as one with a `+`, is left alone. Pure; nothing that is found is remembered or told.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import phonenumbers

from sealwire.errors import Refused

DIGITS_MIN, DIGITS_MAX = 13, 19
SEPARATORS_MAX = 4
SHOWN = 4
_SEPARATORS = frozenset(" \t\r\n\v\f._/\\,·|:")
_SEPARATOR_KINDS = frozenset({"Zs", "Zl", "Zp", "Pd", "Cf", "Mn"})
_E164_DIGITS_MAX = 15

# First digits, the last of their range, and the lengths that are issued (ISO/IEC 7812-1 and the schemes' own tables).
_RANGES: tuple[tuple[str, str, frozenset[int]], ...] = (
    ("4", "4", frozenset({13, 16, 19})),
    ("51", "55", frozenset({16})),
    ("2221", "2720", frozenset({16})),
    ("34", "34", frozenset({15})),
    ("37", "37", frozenset({15})),
    ("300", "305", frozenset({14, 16})),
    ("3095", "3095", frozenset({14, 16})),
    ("36", "36", frozenset({14, 16, 19})),
    ("38", "39", frozenset({14, 16, 19})),
    ("3528", "3589", frozenset({16, 17, 18, 19})),
    ("6011", "6011", frozenset({16, 19})),
    ("644", "649", frozenset({16, 19})),
    ("65", "65", frozenset({16, 19})),
    ("60", "60", frozenset({16})),
    ("62", "62", frozenset({16, 17, 18, 19})),
    ("81", "82", frozenset({16, 17, 18, 19})),
    ("2200", "2204", frozenset({16, 17, 18, 19})),
    ("50", "50", frozenset({16, 18, 19})),
    ("56", "58", frozenset({16, 18, 19})),
    ("63", "63", frozenset({16, 18, 19})),
    ("67", "67", frozenset({16, 18, 19})),
    ("9792", "9792", frozenset({16})),
)


class CardPolicy(StrEnum):
    """What happens to a card number."""

    OFF = "off"
    MASK = "mask"
    REFUSE = "refuse"


class CardNumberRefused(Refused):
    """This text holds what looks like a payment card number, and the account refuses those; take it out."""


@dataclass(frozen=True, slots=True)
class _Digit:
    """One digit: its value, where it stands, and whether something stands between it and the one before."""

    value: str
    at: int
    begins_group: bool


def guard(text: str, policy: CardPolicy = CardPolicy.MASK) -> str:
    """The text as the policy lets it pass: all but the last four digits of a card as `*`; or CardNumberRefused."""
    if policy is CardPolicy.OFF or not _can_hold_card(text):
        return text
    masked = text
    while cards := _cards(masked):
        if policy is CardPolicy.REFUSE:
            raise CardNumberRefused
        hidden = {digit.at for card in cards for digit in card[:-SHOWN]}
        masked = "".join("*" if at in hidden else character for at, character in enumerate(masked))
    return masked


def holds_card(text: str) -> bool:
    """Whether a card number is in this text."""
    return _can_hold_card(text) and bool(_cards(text))


def passes_luhn(digits: str) -> bool:
    """The Luhn check over ASCII digits (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, character in enumerate(reversed(digits)):
        value = int(character) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _can_hold_card(text: str) -> bool:
    return len(text) >= DIGITS_MIN


def _cards(text: str) -> list[list[_Digit]]:
    return [card for run, has_plus in _runs(text) for card in _cards_in_run(run, has_plus=has_plus)]


def _runs(text: str) -> Iterator[tuple[list[_Digit], bool]]:
    """Digits that belong together, with at most a few separators between two of them; and whether a `+` leads them."""
    run: list[_Digit] = []
    has_plus = was_plus = False
    between = 0
    for at, character in enumerate(text):
        digit = unicodedata.digit(character, None)
        if digit is not None:
            if not run:
                has_plus = was_plus
            run.append(_Digit(str(digit), at, begins_group=not run or between > 0))
            between = 0
        elif run and between < SEPARATORS_MAX and _is_separator(character):
            between += 1
        else:
            if len(run) >= DIGITS_MIN:
                yield run, has_plus
            run, between = [], 0
            was_plus = character in "+\uff0b" or (was_plus and _is_separator(character))
    if len(run) >= DIGITS_MIN:
        yield run, has_plus


def _is_separator(character: str) -> bool:
    return character in _SEPARATORS or unicodedata.category(character) in _SEPARATOR_KINDS


def _cards_in_run(run: list[_Digit], *, has_plus: bool) -> Iterator[list[_Digit]]:
    """The run as a whole, however it is cut; within a longer one, what is cut as cards are, or begins a group."""
    digits = "".join(digit.value for digit in run)
    if has_plus and len(digits) <= _E164_DIGITS_MAX:
        return
    if len(digits) <= DIGITS_MAX and (_is_card(digits) or _is_four_by_four(run, digits)):
        yield run
        return
    starts = [at for at, digit in enumerate(run) if digit.begins_group] + [len(run)]
    for first, start in enumerate(starts[:-1]):
        near = starts[first : first + DIGITS_MAX + 1]
        for end in (end for end in near if DIGITS_MIN <= end - start <= DIGITS_MAX):
            sizes = [after - before for before, after in pairwise(near) if after <= end]
            if _is_regular(sizes) and _is_card(digits[start:end]):
                yield run[start:end]
        yield from _cards_in_group(run[start : starts[first + 1]])


def _cards_in_group(group: list[_Digit]) -> Iterator[list[_Digit]]:
    """A card followed by its date or code without a gap, as keys are pressed one after another."""
    if len(group) < DIGITS_MAX:
        return
    for length in range(DIGITS_MIN + 1, DIGITS_MAX):
        if _is_card("".join(digit.value for digit in group[:length])):
            yield group[:length]


def _is_regular(sizes: list[int]) -> bool:
    """Groups as people write cards: all alike but for a shorter end, or 4-6-5 and 4-6-4."""
    return sizes in ([4, 6, 5], [4, 6, 4]) or (len(set(sizes[:-1])) <= 1 and sizes[-1] <= sizes[0])


def _is_four_by_four(run: list[_Digit], digits: str) -> bool:
    """Exactly four groups of four that are not all one digit."""
    groups = [at for at, digit in enumerate(run) if digit.begins_group]
    return len(digits) == 16 and groups == [0, 4, 8, 12] and len(set(digits)) > 1 and passes_luhn(digits)


def _is_card(digits: str) -> bool:
    return (
        any(first <= digits[: len(first)] <= last and len(digits) in lengths for first, last, lengths in _RANGES)
        and passes_luhn(digits)
        and not _is_telephone_number(digits)
    )


def _is_telephone_number(digits: str) -> bool:
    """A number of some country's plan, written without its `+`. No card is issued with 13 or 14 digits any more, save
    Diners' 14, which few plans reach; one of 15 digits (American Express) is never taken for a number.
    """
    if len(digits) > _E164_DIGITS_MAX - 1:
        return False
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(f"+{digits}", None))
    except phonenumbers.NumberParseException:
        return False
