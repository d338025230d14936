"""Default-deny for money over the API: what a stolen credential can cost, on a whole cloud with a real carrier side."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sealwire.config import Settings
from sealwire.doors.first_start import operator_credential_file
from sealwire.doors.supervisor import API, KEEPER, SEQUENCER, SWITCHBOARD, WORKER, Cloud
from tests.api_house import Answer, ApiHouse, Tenant

PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, SWITCHBOARD))
API_PORT, SIP_PORT, UAS_PORT, CARRIER_PORT = 28001, 28060, 28444, 28070
NUMBER, PREMIUM, ORDINARY = "+441632960100", "+449098790000", "+441632960123"
CAP = 1_000_000
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("sipp") is None, reason="needs SIPp")]


@dataclass
class Bank:
    """A cloud, an account with a service and a trunk to a carrier that answers every call."""

    house: ApiHouse
    tenant: Tenant
    service: str

    def ask(self, method: str, path: str, body: Any = None, *, secret: str | None = None) -> Answer:
        return self.house.ask(method, path, secret=secret or self.tenant.secret, body=body)

    def call(self, to: str) -> Answer:
        return self.ask("POST", "/v1/calls", {"service_id": self.service, "to": to})

    def operator_sets(self, **given: int) -> None:
        standard = {
            "day_cap_millicents": CAP, "month_cap_millicents": 50_000_000, "calls_at_once": 250,
            "setups_per_second": 30, "refused_per_minute": 30, "premium_per_minute": 1000,
            "short_calls_per_minute": 1000,
        }  # fmt: skip
        path = f"/v1/accounts/{self.tenant.account}"
        for put, body in (("limits", standard | given), ("suspension", {"suspended": False})):
            answer = self.ask("PUT", f"{path}/{put}", body, secret=self.house.operator)
            assert answer.status == 200, answer

    def allow(self, *destinations: str, premium: bool = False) -> None:
        items = [{"destination": each, "premium": premium} for each in destinations]
        assert self.ask("PUT", "/v1/limits/destinations", {"items": items}).status == 200

    def limits(self) -> dict[str, Any]:
        return dict(self.ask("GET", "/v1/limits").json)

    def all_settled(self) -> dict[str, Any]:
        ends_s = time.monotonic() + 30
        while (limits := self.limits())["reserved_millicents"] or limits["calls_up"]:
            assert time.monotonic() < ends_s, limits
            time.sleep(0.2)
        return limits


@pytest.fixture(scope="module")
def bank() -> Iterator[Bank]:
    folder = Path(tempfile.mkdtemp(prefix="sealwire-money-")).resolve()
    chosen = {
        "api_listen": f"127.0.0.1:{API_PORT}", "sip_listen": f"127.0.0.1:{SIP_PORT}",
        "uas_listen": f"127.0.0.1:{UAS_PORT}", "rtp_ports": "28100-28500", "egress_allow": "127.0.0.0/8",
    }  # fmt: skip
    settings = Settings(data_dir=folder, **chosen)
    folder.joinpath("sealwire.toml").write_text("\n".join(f'{name} = "{value}"' for name, value in chosen.items()))
    cloud = Cloud(settings, parts=PARTS)
    carrier = subprocess.Popen(
        ["sipp", "-sn", "uas", "-i", "127.0.0.1", "-p", str(CARRIER_PORT), "-mp", "28600", "-nostdin"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        asyncio.run(cloud.start())
        assert cloud.certificates is not None
        context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
        house = ApiHouse(settings, cloud, context, operator_credential_file(settings).read_text().strip())
        yield _furnished(house)
    finally:
        carrier.terminate()
        carrier.wait(10)
        asyncio.run(cloud.stop())
        shutil.rmtree(folder, ignore_errors=True)


def _furnished(house: ApiHouse) -> Bank:
    bank = Bank(house, house.tenant("Robbed"), "")
    trunk = {"name": "carrier", "host": "127.0.0.1", "port": CARRIER_PORT, "transport": "udp"}
    made = [
        bank.ask("POST", "/v1/trunks", trunk, secret=house.operator),
        bank.ask("POST", f"/v1/accounts/{bank.tenant.account}/numbers", {"number": NUMBER}, secret=house.operator),
        bank.ask("POST", "/v1/services", {"name": "echo", "logic": {"kind": "built-in", "name": "echo"}}),
    ]
    assert [answer.status for answer in made] == [201, 201, 201], made
    bank.service = made[-1].json["id"]
    return bank


def test_a_new_account_calls_nobody_and_suspicion_follows(bank: Bank):
    for number in (ORDINARY, PREMIUM):
        refused = bank.call(number)
        assert (refused.status, refused.code) == (409, "destination-not-allowed")
    bank.allow("GB", "+44")
    assert bank.call(PREMIUM).code == "destination-not-allowed"
    assert bank.limits()["day_spent_millicents"] == 0


def test_a_stolen_credential_loses_at_most_the_cap_and_is_blocked_within_a_minute(bank: Bank):
    """Twenty calls a second to a premium range, which the owner has allowed; the carrier answers each at once."""
    bank.operator_sets()
    bank.allow("+449", premium=True)
    began_s, codes, started = time.monotonic(), Counter[str](), []
    blocked_after_s: float | None = None
    with ThreadPoolExecutor(20) as thieves:
        while blocked_after_s is None and time.monotonic() - began_s < 60:
            second_s = time.monotonic()
            answers = list(thieves.map(bank.call, [PREMIUM] * 20))
            started += [answer.json["call_id"] for answer in answers if answer.status == 202]
            codes.update("started" if answer.status == 202 else answer.code for answer in answers)
            limits = bank.limits()
            assert limits["day_spent_millicents"] + limits["reserved_millicents"] <= CAP
            if limits["suspended_at"] is not None:
                blocked_after_s = time.monotonic() - began_s
            time.sleep(max(0.0, 1 - (time.monotonic() - second_s)))
    assert blocked_after_s is not None, codes
    assert blocked_after_s < 60
    assert 1 <= len(started) <= 3, codes
    assert bank.call(PREMIUM).code == "outbound-suspended"
    for call in started:
        bank.ask("POST", f"/v1/calls/{call}/cancel")
    limits = bank.all_settled()
    assert 0 < limits["day_spent_millicents"] <= CAP
    sums = bank.ask("GET", "/v1/billing-records/sums").json
    assert sums["amount_millicents"] == limits["day_spent_millicents"]
    print(f"blocked after {blocked_after_s:.1f} s, lost {sums['amount_millicents']} of {CAP} millicents, {dict(codes)}")


def test_the_operator_lifts_it_and_ordinary_calls_go_through_and_are_billed(bank: Bank):
    bank.operator_sets(day_cap_millicents=5_000_000)
    bank.allow("GB")
    started = bank.call(ORDINARY)
    assert started.status == 202, started
    ends_s = time.monotonic() + 10
    while bank.ask("GET", f"/v1/calls/{started.json['call_id']}/status").json["channels"][0]["state"] != "up":
        assert time.monotonic() < ends_s
        time.sleep(0.1)
    time.sleep(1)
    bank.ask("POST", f"/v1/calls/{started.json['call_id']}/cancel")
    bank.all_settled()
    billed = [
        each for each in bank.ask("GET", "/v1/billing-records").json["items"]
        if each["call_id"] == started.json["call_id"]
    ]  # fmt: skip
    assert {each["item"] for each in billed} == {"pstn-minute", "platform-minute"}
    run = bank.ask("GET", f"/v1/applications/{started.json['application_id']}").json
    assert run["cost_millicents"] == sum(each["amount_millicents"] for each in billed) > 0


def test_z_a_call_that_was_up_when_the_switchboard_was_killed_is_billed_and_holds_nothing(bank: Bank):
    bank.operator_sets(day_cap_millicents=5_000_000)
    bank.allow("GB")
    started = bank.call(ORDINARY)
    assert started.status == 202, started
    time.sleep(7)  # it is up, and was noted as up
    assert bank.limits()["reserved_millicents"] > 0
    pid = bank.house.cloud.child(SWITCHBOARD.name).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    folder = bank.house.settings.data_dir
    with folder.joinpath("switchboard-again.log").open("wb") as log:
        again = subprocess.Popen(
            [sys.executable, "-m", "sealwire.doors.switchboard", "--data", str(folder)], stdout=log, stderr=log
        )
    try:
        limits = bank.all_settled()
        items = bank.ask("GET", "/v1/billing-records").json["items"]
        billed = [each for each in items if each["call_id"] == started.json["call_id"]]
        assert {each["item"] for each in billed} == {"pstn-minute", "platform-minute"}
        cost = sum(each["amount_millicents"] for each in billed)
        assert 0 < cost <= limits["day_spent_millicents"]
        run = bank.ask("GET", f"/v1/applications/{started.json['application_id']}").json
        assert run["cost_millicents"] == cost
        sums = bank.ask("GET", "/v1/billing-records/sums").json
        assert sums["amount_millicents"] == limits["day_spent_millicents"]
    finally:
        again.terminate()
        again.wait(20)
