"""For how long invoices stay: by country, from the end of the year, and by a table that an operator may replace."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from sealwire.custody.categories import BillingRecord, category_of
from sealwire.governance.billing.statutory import (
    StatutoryTableRefused,
    load_statutory,
    parse_statutory,
    period_of,
)
from sealwire.vocabulary import Day

WHOLE = 'format = 1\n[other]\nyears = 10\nbasis = "the longest"\n'


@pytest.mark.parametrize(("country", "years"), [("DE", 8), ("GB", 6), (None, 10), ("ZZ", 10)])
@pytest.mark.parametrize("year", range(2024, 2032))
def test_an_invoice_of_any_day_stays_to_the_end_of_a_year_and_never_a_day_less(
    country: str | None, years: int, year: int
) -> None:
    period, billing = period_of(load_statutory(), country), category_of(BillingRecord)
    for month in (1, 12):
        charged = dt.datetime(year, month, 31, 23, 59, tzinfo=dt.UTC)
        last = Day(int(billing.day_at(charged)) + period.days).date
        assert dt.date(year + years, 12, 31) <= last <= dt.date(year + years + 1, 1, 1)


def test_germany_keeps_vouchers_eight_years_since_2025() -> None:
    germany = period_of(load_statutory(), "DE")
    assert (germany.years, "HGB 257" in germany.basis) == (8, True)


def test_an_operators_own_table_takes_the_place_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "statutory.toml"
    file.write_text(WHOLE + '[DE]\nyears = 9\nbasis = "a law of 2031"\n')
    assert period_of(load_statutory(str(file)), "DE").years == 9


@pytest.mark.parametrize(
    "text",
    [
        "format = 1\n", "[other]\nyears = 10\nbasis = 'x'\n", WHOLE + "[Germany]\nyears = 8\nbasis = 'x'\n",
        WHOLE + "[DE]\nyears = 80\nbasis = 'x'\n", WHOLE + "[DE]\nyears = 8.5\nbasis = 'x'\n",
        WHOLE + "[DE]\nyears = 8\n", WHOLE + "[DE]\nyears = 5\nbasis = 'x'\n", "format = ", WHOLE + "DE = 8\n",
    ],
)  # fmt: skip
def test_a_table_that_is_not_one_is_refused_before_anything_is_dated_by_it(text: str) -> None:
    with pytest.raises(StatutoryTableRefused):
        parse_statutory(text)


def test_a_table_that_is_not_there_is_refused() -> None:
    with pytest.raises(StatutoryTableRefused):
        load_statutory("/nonexistent/statutory.toml")


def test_a_country_whose_law_nobody_here_has_read_says_so_wherever_its_period_is_told() -> None:
    table = load_statutory()
    assert {country for country, period in table.items() if period.is_checked} == {"DE"}
    assert all("not checked by us" in period.basis for period in table.values() if not period.is_checked)
