"""Which trunk a number takes and how it is written for it: rules, tried without wires."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sealwire.communications.carriers.dialling import (
    DialRule,
    TrunkSettings,
    as_dialled,
    as_shown,
    in_order,
    rule_for,
)
from sealwire.vocabulary import E164

UK, GERMAN = E164("+441632960123"), E164("+4930123456")


def trunk(**settings: Any) -> TrunkSettings:
    return TrunkSettings(name="t", host="sip.example", **settings)


@pytest.mark.parametrize(
    ("rule", "dialled"),
    [
        (DialRule(prefix="+"), "+441632960123"),
        (DialRule(prefix="+", strip=1), "441632960123"),
        (DialRule(prefix="+", strip=1, add="00"), "00441632960123"),
        (DialRule(prefix="+44", strip=3, add="0"), "01632960123"),
        (DialRule(prefix="+44", strip=1, add="9999#"), "9999#441632960123"),
        (DialRule(prefix="+", strip=16, add="100"), "100"),
    ],
)
def test_a_number_is_written_as_the_rule_says(rule: DialRule, dialled: str):
    assert as_dialled(rule, UK) == dialled


def test_a_trunk_without_rules_takes_every_number_as_it_is():
    rule = rule_for(trunk(), GERMAN)
    assert rule is not None
    assert as_dialled(rule, GERMAN) == GERMAN.text


def test_the_longest_prefix_of_a_trunk_decides():
    settings = trunk(rules=[DialRule(prefix="+44", strip=3, add="0"), DialRule(prefix="+441632", strip=1)])
    rule = rule_for(settings, UK)
    assert rule is not None
    assert rule.prefix == "+441632"


def test_a_number_that_no_rule_fits_does_not_take_the_trunk():
    assert rule_for(trunk(rules=[DialRule(prefix="+44")]), GERMAN) is None


def test_a_trunk_for_inbound_calls_only_carries_nothing_out():
    assert rule_for(trunk(outbound=False), UK) is None


def test_the_caller_is_shown_with_or_without_the_plus():
    assert as_shown(trunk(), UK.text) == "+441632960123"
    assert as_shown(trunk(caller_plus=False), UK.text) == "441632960123"


def test_the_lowest_priority_goes_first_then_the_accounts_own_then_the_longer_prefix():
    listed = [
        (False, trunk(priority=10), "operators-10"),
        (True, trunk(priority=10), "own-10"),
        (True, trunk(priority=10, rules=[DialRule(prefix="+44")]), "own-10-uk"),
        (False, trunk(priority=5), "operators-5"),
        (True, trunk(priority=1, rules=[DialRule(prefix="+49")]), "own-1-german"),
        (True, trunk(priority=0, outbound=False), "never"),
    ]
    assert in_order(listed, UK) == ["operators-5", "own-10-uk", "own-10", "operators-10"]
    assert in_order(reversed(listed), UK) == in_order(listed, UK)
    assert in_order(listed, GERMAN)[0] == "own-1-german"


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "sip.example\r\nVia: x"},
        {"host": "sip.example\n"},
        {"host": "sip.example;transport=tls"},
        {"host": "user@sip.example"},
        {"host": "-x.example"},
        {"host": ""},
        {"port": 0},
        {"port": 65536},
        {"transport": "sctp"},
        {"username": "a\nb"},
        {"username": 'a"b'},
        {"rules": [{"prefix": "44"}]},
        {"rules": [{"prefix": "+44\n"}]},
        {"rules": [{"prefix": "+44", "add": "0;x"}]},
        {"priority": -1},
        {"unknown": 1},
    ],
)
def test_what_could_break_out_of_a_sip_line_is_refused(wrong: dict[str, Any]):
    good = {"name": "t", "host": "sip.example"}
    assert msgspec.convert(good, TrunkSettings)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(good | wrong, TrunkSettings)


@pytest.mark.parametrize("host", ["192.0.2.7", "[2001:db8::7]", "sip.carrier.example", "localhost"])
def test_names_and_addresses_of_both_kinds_are_hosts(host: str):
    assert msgspec.convert({"name": "t", "host": host}, TrunkSettings).host == host
