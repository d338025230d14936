"""GDPR Art. 19: whoever received the data is told that it was erased, corrected or restricted, and the list says so."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from tests.api_house import ApiHouse, Tenant, house

__all__ = ["house"]
BASE = "/v1/subject-requests"


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    """An account with two endpoints that asked for other events, one of them paused, and a trunk of its own."""
    made = house.tenant("Told")
    for address, events in (("https://hooks.example/a", ["report.ready"]), ("https://hooks.example/b", ["call.ended"])):
        answer = house.ask("POST", "/v1/webhooks", secret=made.secret, body={"address": address, "events": events})
        assert answer.status == 201, answer
    paused = house.ask("PATCH", f"/v1/webhooks/{answer.json['id']}", secret=made.secret, body={"state": "paused"})
    assert paused.status == 200, paused
    return made


def done(house: ApiHouse, tenant: Tenant, kind: str, person: str, **more: Any) -> dict[str, Any]:
    """A request that was carried out, as it is looked at afterwards."""
    asked = house.ask("POST", BASE, secret=tenant.secret, body={"kind": kind, "identifier": person, **more})
    assert asked.status == 201, asked
    assert asked.json["notices"] == []
    request = asked.json["id"]
    taken = house.ask("POST", f"{BASE}/{request}/advance", secret=tenant.secret, body={"to": "done"})
    assert taken.status == 200, (taken, house.log_lines()[-2:])
    seen = house.ask("GET", f"{BASE}/{request}", secret=tenant.secret).json
    assert seen["notices"] == taken.json["notices"]
    return dict(seen)


def events_of(house: ApiHouse, tenant: Tenant) -> list[Any]:
    return house.cluster_rows(
        "SELECT endpoint_id, delivery_id, event, reference FROM communications.webhook_outbox"
        f" WHERE account_id = '{tenant.account.value}'"
    )


@pytest.mark.parametrize(
    ("kind", "event", "person"),
    [
        ("erasure", "subject.erased", "+441632960801"),
        ("rectification", "subject.rectified", "+441632960802"),
        ("restriction", "subject.restricted", "+441632960803"),
    ],
)
def test_each_active_endpoint_is_told_by_reference_and_the_others_are_the_controllers_to_tell(
    house: ApiHouse, tenant: Tenant, kind: str, event: str, person: str
) -> None:
    call = house.keep_call(tenant, person)
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=20)).date().isoformat()
    details: dict[str, Any] = {
        "erasure": {},
        "rectification": {"rectify": {"record": str(call.record), "field": "digits", "value": "7"}},
        "restriction": {"restrict": {"reason": "accuracy-contested", "until": until}},
    }[kind]
    seen = done(house, tenant, kind, person, **details)
    told = [notice for notice in seen["notices"] if notice["told_by"] == "webhook"]
    others = [notice for notice in seen["notices"] if notice["told_by"] == "controller"]
    assert [notice["kind"] for notice in told] == ["webhook-endpoint"]
    assert [notice["kind"] for notice in others] == ["webhook-endpoint"]  # the one that is paused
    (row,) = [row for row in events_of(house, tenant) if row["event"] == event]
    assert row["delivery_id"].hex == told[0]["delivery"].partition("_")[2]
    assert row["endpoint_id"].hex == told[0]["id"].partition("_")[2]
    assert json.loads(row["reference"]) == {"request": seen["id"]}


def test_nobody_is_told_of_what_touches_nobodys_data(house: ApiHouse, tenant: Tenant) -> None:
    before = len(events_of(house, tenant))
    person = "+441632960804"
    house.keep_call(tenant, person)
    assert done(house, tenant, "objection", person)["notices"] == []
    assert len(events_of(house, tenant)) == before


def test_an_access_answer_names_the_same_recipients(house: ApiHouse, tenant: Tenant) -> None:
    person = "+441632960805"
    house.keep_call(tenant, person)
    asked = house.ask("POST", BASE, secret=tenant.secret, body={"kind": "access", "identifier": person})
    answer = house.ask("GET", f"{BASE}/{asked.json['id']}/answer", secret=tenant.secret)
    lines = [json.loads(line) for line in answer.body.splitlines()]
    (call,) = [line for line in lines if line.get("category") == "call-record"]
    assert len([one for one in call["recipients"] if one.startswith("webhook endpoint whk_")]) == 2
