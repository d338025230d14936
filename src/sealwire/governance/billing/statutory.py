"""Statutory periods of invoices by country: a table that an operator may replace. Form: the comments in the table."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sealwire.errors import Malformed

FORMAT = 1
YEARS_MIN, YEARS_MAX = 6, 10
OTHER = "other"
NOT_CHECKED = "not checked by us; the operator must set it"
_COUNTRY = re.compile(r"[A-Z]{2}")


class StatutoryTableRefused(Malformed):
    """The table of statutory periods cannot be used; correct the entry that is named and start again."""


class CountryUnknown(Malformed):
    """A country is two capital letters (ISO 3166-1), as DE or GB."""


@dataclass(frozen=True, slots=True)
class StatutoryPeriod:
    """How long an invoice is kept after the end of its calendar year, and by which law."""

    country: str
    years: int
    basis: str

    @property
    def is_checked(self) -> bool:
        """Whether somebody has read that law: we, or the operator who wrote the entry."""
        return not self.basis.startswith(NOT_CHECKED)

    @property
    def days(self) -> int:
        """From 31 December to 31 December, whichever leap years lie between: a day late at most, never too soon."""
        return self.years * 365 + -(-self.years // 4)


Statutory = Mapping[str, StatutoryPeriod]


def load_statutory(file: str = "") -> Statutory:
    """Read the table at this path, or the one that comes with Sealwire."""
    if not file:
        return parse_statutory((files(__package__) / "statutory.toml").read_text())
    try:
        return parse_statutory(Path(file).read_text())
    except (OSError, UnicodeDecodeError):
        raise StatutoryTableRefused("the table cannot be read; check the setting `statutory`") from None


def parse_statutory(text: str) -> Statutory:
    """Check a whole table before anything is dated by it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise StatutoryTableRefused(f"the table is not TOML: {error}") from None
    if document.pop("format", None) != FORMAT:
        raise StatutoryTableRefused(f"write `format = {FORMAT}`")
    if OTHER not in document:
        raise StatutoryTableRefused(f"[{OTHER}] is missing: it holds for countries that are not listed")
    return {country: _period(country, entry) for country, entry in document.items()}


def period_of(table: Statutory, country: str | None) -> StatutoryPeriod:
    """The period of a country, or that of all others."""
    return table.get(country or OTHER) or table[OTHER]


def check_country(text: str) -> str:
    """CountryUnknown unless this is a country's code."""
    if not _COUNTRY.fullmatch(text):
        raise CountryUnknown
    return text


def _period(country: str, entry: object) -> StatutoryPeriod:
    if country != OTHER and not _COUNTRY.fullmatch(country):
        raise StatutoryTableRefused(f"[{country}] is no country: write two capital letters")
    if not isinstance(entry, dict) or entry.keys() != {"years", "basis"}:
        raise StatutoryTableRefused(f"[{country}] has `years` and `basis`, and nothing else")
    years, basis = entry["years"], entry["basis"]
    if type(years) is not int or not YEARS_MIN <= years <= YEARS_MAX:
        raise StatutoryTableRefused(f"[{country}] years: write a whole number from {YEARS_MIN} to {YEARS_MAX}")
    if not isinstance(basis, str) or not 1 <= len(basis) <= 200 or not basis.isascii():
        raise StatutoryTableRefused(f"[{country}] basis: say by which law, in up to 200 ASCII characters")
    return StatutoryPeriod(country, years, basis)
