"""The tariff: what it refuses, and that rating is exact, rounded up and monotone."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwire.config import Settings
from sealwire.doors.supervisor import Cloud
from sealwire.governance.billing.rating import Increments, Price, Prices
from sealwire.governance.billing.tariff import PriceForEncryption, TariffRefused, load_tariff, parse_tariff

STANDARD = (files("sealwire.governance.billing") / "tariff.toml").read_text()
AFTER = STANDARD.count("\n")
INCREMENTS = st.builds(Increments, st.integers(1, 120), st.integers(1, 120))


@pytest.mark.parametrize(
    "addition",
    [
        "[encryption]\nper_minute = 0\n",
        "[recording-encryption]\nper_minute = 4\n",
        "[sealing]\nper_minute = 1\n",
        "[keys]\nper_minute = 1\n",
        "[key-storage]\nper_minute = 1\n",
        "[erasure]\nper_minute = 1\n",
        "[[erasures]]\nprefix = '+'\nper_segment = 1\n",
        "[age]\nper_minute = 1\n",
        "[aes-cbc]\nper_minute = 1\n",
        "[[outbound]]\nprefix = '+5'\nper_minute = 1\nseal_fee = 2\n",
        "[[outbound]]\nprefix = 'encrypted'\nper_minute = 1\n",
        "[speech2]\nencrypted_per_minute = 1\n",
    ],
)
def test_a_price_for_encryption_keys_or_erasure_is_refused_with_its_line(addition: str) -> None:
    with pytest.raises(PriceForEncryption) as refused:
        parse_tariff(STANDARD + addition)
    line = int(str(refused.value).removeprefix("tariff, line ").partition(":")[0])
    assert AFTER < line <= AFTER + 4
    assert "cannot be given a price" in str(refused.value)


@pytest.mark.parametrize(
    ("addition", "line", "why"),
    [
        ("[fax]\nper_minute = 1\n", 1, "no item"),
        ("[[outbound]]\nprefix = '+5'\nper_minute = -1\n", 3, "whole number"),
        ("[[outbound]]\nprefix = '+5'\nper_minute = 1.5\n", 3, "whole number"),
        ("[[outbound]]\nprefix = '+5'\nper_minute = true\n", 3, "whole number"),
        ("[[outbound]]\nprefix = '+5'\nper_minute = '1'\n", 3, "whole number"),
        ("[[outbound]]\nprefix = '+44'\nper_minute = 1\n", 2, "a price already"),
        ("[[outbound]]\nprefix = '0044'\nbilling = '0/1'\nper_minute = 1\n", 3, "first and each further step"),
        ("[[outbound]]\nprefix = 'x'\nper_minute = 1\n", 2, "a prefix is"),
        ("[[sms]]\nprefix = '+5'\nper_minute = 1\n", 3, "not known here"),
        ("[[outbound]]\nprefix = '+5'\nper_minute = 1\nsurcharge = 2\n", 4, "not known here"),
    ],
)
def test_what_is_unknown_or_no_price_is_refused_with_its_line(addition: str, line: int, why: str) -> None:
    with pytest.raises(TariffRefused) as refused:
        parse_tariff(STANDARD + addition)
    assert str(refused.value).startswith(f"tariff, line {AFTER + line}: ")
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("format = 1", "format = 2"),
        ('currency = "EUR"', ""),
        ('name = "standard-2026-11"', 'name = "A B"'),
        ("[platform]", "[platform"),
        ('[[inbound]]\nprefix = "+"', '[[inbound]]\nprefix = "+45"'),
        ("[speech]", "[[speech]]"),
    ],
)
def test_a_tariff_without_its_head_or_an_item_is_refused(before: str, after: str) -> None:
    with pytest.raises(TariffRefused):
        parse_tariff(STANDARD.replace(before, after))


def test_a_tariff_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(TariffRefused):
        load_tariff("/nowhere/tariff.toml")


def test_the_version_names_the_text_it_was_read_from() -> None:
    assert load_tariff().version.startswith("standard-2026-11@")
    assert parse_tariff(STANDARD + "# a remark\n").version != load_tariff().version


def test_the_longest_prefix_counts_and_what_has_none_has_no_price() -> None:
    prices = Prices({"+4": Price(1), "+44": Price(2), "+447": Price(3)})
    found = [prices.of(number) for number in ("+447700900123", "+441632960123", "+4930123456", "+33123")]
    assert [price.millicents if price else None for price in found] == [3, 2, 1, None]


@pytest.mark.parametrize(
    ("increments", "answered_s", "billed_s"),
    [
        ((60, 60), 0.0, 0), ((60, 60), 0.1, 60), ((60, 60), 60.0, 60), ((60, 60), 60.0001, 60), ((60, 60), 60.2, 120),
        ((1, 1), 30.2, 31), ((30, 6), 12, 30), ((30, 6), 31, 36), ((30, 6), 36, 36), ((30, 6), 37, 42),
    ],
)  # fmt: skip
def test_billing_increments(increments: tuple[int, int], answered_s: float, billed_s: int) -> None:
    assert Increments(*increments).billed_s(answered_s) == billed_s


@pytest.mark.parametrize(
    ("millicents", "increments", "answered_s", "billed_s", "amount"),
    [
        (1000, (1, 1), 30.2, 31, 517), (1200, (6, 6), 61, 66, 1320), (1100, (30, 6), 31, 36, 660),
        (250_000, (60, 60), 60.2, 120, 500_000),
    ],
)  # fmt: skip
def test_the_values_of_the_format_page(
    millicents: int, increments: tuple[int, int], answered_s: float, billed_s: int, amount: int
) -> None:
    price = Price(millicents, Increments(*increments))
    assert (price.increments.billed_s(answered_s), price.of_seconds(answered_s)) == (billed_s, amount)


@given(INCREMENTS, st.floats(0, 20_000), st.floats(0, 20_000), st.integers(0, 10**8))
def test_longer_never_costs_less_and_nothing_costs_nothing(
    increments: Increments, one_s: float, other_s: float, millicents: int
) -> None:
    price, (shorter_s, longer_s) = Price(millicents, increments), sorted((one_s, other_s))
    assert price.of_seconds(shorter_s) <= price.of_seconds(longer_s)
    assert price.of_seconds(0) == 0


@given(INCREMENTS, st.floats(0.001, 20_000), st.integers(0, 10**8))
def test_what_is_charged_is_the_exact_price_rounded_up_to_a_millicent(
    increments: Increments, answered_s: float, millicents: int
) -> None:
    billed_s = increments.billed_s(answered_s)
    assert billed_s >= increments.first_s
    assert (billed_s - increments.first_s) % increments.step_s == 0
    assert billed_s >= round(answered_s, 3) > billed_s - max(increments.first_s, increments.step_s)
    charged = Price(millicents, increments).of_seconds(answered_s)
    assert 0 <= charged * 60 - billed_s * millicents < 60


async def test_a_cloud_with_a_price_for_encryption_does_not_start(reachable_dir: Path) -> None:
    file = reachable_dir / "tariff.toml"
    file.write_text(STANDARD + "[encryption]\nper_minute = 1\n")
    cloud = Cloud(Settings(data_dir=reachable_dir / "data", tariff=str(file)), parts=())
    with pytest.raises(PriceForEncryption):
        await cloud.start()
