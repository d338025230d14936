"""Where an account may call and write to: nowhere in the telephone network until its owner says so. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberType

from sealwire.errors import Malformed
from sealwire.vocabulary import E164, Party

_COUNTRY = re.compile(r"[A-Z]{2}")
_PREFIX = re.compile(r"\+([1-9][0-9]{0,8})?")
_SHORT = re.compile(r"[0-9*#]{2,8}")
_SEPARATORS = re.compile(r"[-._~() ]")
_DIALLED = re.compile(r"\+?[0-9*#]+")
_PREMIUM_TYPES = {
    PhoneNumberType.PREMIUM_RATE,
    PhoneNumberType.SHARED_COST,
    PhoneNumberType.PERSONAL_NUMBER,
    PhoneNumberType.PAGER,
    PhoneNumberType.UAN,
}
_WORLD_PREFIXES = ("+808", "+870", "+878", "+881", "+882", "+883", "+888", "+979")
"""ITU-T E.164 codes of no country: satellites, universal and international premium numbers."""
_NANP = 1


class DestinationMalformed(Malformed):
    """A destination is a prefix of up to 9 digits (`+44`; `+` for all), a country (`GB`) or a short number (`2001`)."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What the owner allows. `premium` must be said for ranges that cost more than a call should."""

    text: str
    premium: bool = False

    @classmethod
    def parse(cls, text: str, *, premium: bool = False) -> Destination:
        """DestinationMalformed when it is none; a country is written in capitals as ISO 3166 has it."""
        known = phonenumbers.SUPPORTED_REGIONS
        if _PREFIX.fullmatch(text) or _SHORT.fullmatch(text) or (_COUNTRY.fullmatch(text) and text in known):
            return cls(text, premium)
        raise DestinationMalformed

    def covers(self, callee: Callee) -> bool:
        """Whether it allows this callee. A short number must be named whole."""
        if callee.is_premium and not self.premium:
            return False
        if _COUNTRY.fullmatch(self.text):
            return callee.country == self.text
        return callee.number.startswith(self.text) if self.text.startswith("+") else callee.number == self.text


@dataclass(frozen=True, slots=True)
class Callee:
    """Where a leg or message goes: a dialled number, its country when it has one, and whether it is a premium range."""

    number: str = field(repr=False)
    country: str | None
    is_premium: bool

    @classmethod
    def of(cls, party: Party) -> Callee | None:
        """None for a SIP user, which no telephone network bills. What a trunk would dial as a number is one."""
        try:
            return _callee(E164.parse(party.text).text)
        except Malformed:
            pass
        bare = _SEPARATORS.sub("", party.text)  # networks take them out (RFC 3966 §5.1.1)
        return _callee(bare) if _DIALLED.fullmatch(bare) else None


def is_allowed(callee: Callee, destinations: Iterable[Destination]) -> bool:
    """Default deny: only what some destination covers."""
    return any(destination.covers(callee) for destination in destinations)


@lru_cache(maxsize=1024)
def _callee(number: str) -> Callee:
    if not number.startswith("+"):
        return Callee(number, None, is_premium=False)
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return Callee(number, None, is_premium=True)
    country = phonenumbers.region_code_for_number(parsed)
    if country is None and parsed.country_code not in (
        None,
        _NANP,
    ):  # a number its plan does not know: of the code's main country
        country = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return Callee(number, country, is_premium=_is_premium(number, parsed))


def _is_premium(number: str, parsed: phonenumbers.PhoneNumber) -> bool:
    """A premium range, also with a digit more or less than its plan has: networks may still put it through."""
    if number.startswith(_WORLD_PREFIXES):
        return True
    kind = phonenumbers.number_type(parsed)
    if kind != PhoneNumberType.UNKNOWN:
        return kind in _PREMIUM_TYPES
    shortest = len(str(parsed.country_code)) + 5
    others = [number[:end] for end in range(shortest, len(number))] + [number + "0" * n for n in range(1, 5)]
    return any(_type_of(other) in _PREMIUM_TYPES for other in others)


def _type_of(number: str) -> int:
    try:
        return phonenumbers.number_type(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return PhoneNumberType.UNKNOWN
