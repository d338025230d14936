"""Holds as a data protection officer meets them: placed in three ways, listed, extended, released, and refused."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import asdict
from typing import Any

import pytest
from tests.api_house import CALLEE, Answer, ApiHouse, KeptCall, Tenant, house

from sealwire_verifier.certificate import verify
from sealwire_verifier.policy import Policy

__all__ = ["house"]
SUBJECT = "subject-request"
QUALITY = {"Sealwire-Purpose": "quality-assurance"}
UNTIL = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=400)).isoformat()
HOLD = {"kind": "legal-hold", "reason": "litigation", "until": UNTIL, "reference": "4 C 17/26"}
RESTRICTION = {"kind": "restriction", "reason": "accuracy-contested", "until": UNTIL}


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Holds")


def ask(house: ApiHouse, tenant: Tenant, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = QUALITY | {name.replace("_", "-"): value for name, value in headers.items()}
    return house.ask(method, path, secret=tenant.secret, body=body, headers=sent)


def placed(house: ApiHouse, tenant: Tenant, **body: Any) -> dict[str, Any]:
    answer = ask(house, tenant, "POST", "/v1/holds", body)
    assert answer.status == 201, answer
    assert answer.headers["location"] == f"/v1/holds/{answer.json['id']}"
    assert answer.json["state"] == "in-force"
    return dict(answer.json)


def content(house: ApiHouse, tenant: Tenant, call: KeptCall, purpose: str = "quality-assurance") -> Answer:
    return ask(house, tenant, "GET", f"/v1/calls/{call.record}/content", Sealwire_Purpose=purpose)


def test_a_hold_by_record_refuses_its_erasure_until_it_is_released(house: ApiHouse, tenant: Tenant):
    call = house.keep_call(tenant, "+441632960111")
    hold = placed(house, tenant, **HOLD, records=[str(call.record), str(call.recording)])
    assert (hold["records"], hold["days"], hold["reference"], hold["until"]) == (2, 0, "4 C 17/26", UNTIL)
    assert hold["placed_by"].startswith("cred_")
    refused = ask(house, tenant, "POST", "/v1/erasures", {"ground": "instruction", "call": str(call.call)})
    assert (refused.status, refused.code) == (409, "records-held")
    assert hold["id"] in refused.json["detail"]
    assert content(house, tenant, call).status == 200
    gone = ask(house, tenant, "POST", f"/v1/holds/{hold['id']}/release", {"because": "settled"})
    assert (gone.status, gone.json["state"], gone.json["released_because"]) == (200, "released", "settled")
    assert content(house, tenant, call).status == 200  # nothing was due meanwhile
    asked = ask(house, tenant, "POST", "/v1/erasures", {"ground": "instruction", "call": str(call.call)})
    assert asked.status == 202


def test_a_hold_by_number_finds_both_sides_of_a_call(house: ApiHouse, tenant: Tenant):
    calls = [house.keep_call(tenant, number) for number in ("+441632960121", "+441632960121", "+441632960122")]
    hold = placed(house, tenant, **HOLD, number="+441632960121")
    assert hold["records"] == 4
    other = placed(house, tenant, **HOLD, number=CALLEE)
    assert other["records"] >= 6
    nobody = ask(house, tenant, "POST", "/v1/holds", {**HOLD, "number": "+441632960129"})
    assert (nobody.status, nobody.code) == (404, "nothing-to-hold")
    for one in (hold, other):
        ask(house, tenant, "POST", f"/v1/holds/{one['id']}/release", {"because": "withdrawn"})
    assert len(calls) == 3


def test_a_held_record_of_an_erased_day_stays_and_goes_with_a_certificate_of_its_own(house: ApiHouse, tenant: Tenant):
    held, neighbour = (house.keep_call(tenant, "+441632960131", ago_days=3) for _ in range(2))
    hold = placed(house, tenant, **HOLD, records=[str(held.record)])
    day = (dt.datetime.now(dt.UTC) - dt.timedelta(days=3)).date().isoformat()
    body = {"ground": "instruction", "day": {"category": "call-record", "day": day}}
    erasure = ask(house, tenant, "POST", "/v1/erasures", body)
    assert erasure.status == 202
    certified(house, tenant, erasure.json["id"])
    assert verified(house, tenant, erasure.json["id"])["held"] == 1
    assert content(house, tenant, held).status == 200
    assert content(house, tenant, neighbour).status == 410
    asked = ask(house, tenant, "POST", "/v1/subjects", {"number": "+441632960131"}, Sealwire_Purpose=SUBJECT)
    assert str(held.record) in asked.body.decode()
    assert str(neighbour.record) not in asked.body.decode()
    assert str(held.record) in {one["id"] for one in ask(house, tenant, "GET", "/v1/calls").json["items"]}
    found = ask(house, tenant, "POST", f"/v1/holds/{hold['id']}/release", {"because": "ordered"})
    assert found.json["state"] == "released"
    gone = content(house, tenant, held)
    assert gone.status == 410
    own = gone.json["certificate"].rsplit("/", 1)[1]
    assert own != erasure.json["id"]
    certified(house, tenant, own)
    assert verified(house, tenant, own)["held"] is None


def verified(house: ApiHouse, tenant: Tenant, erasure: str) -> dict[str, Any]:
    """What the verifier says of an erasure's certificate, with the keys that the agreement pins."""
    annex = ask(house, tenant, "GET", "/v1/agreements").json["items"][0]["annex"]
    holders = [f"holder {vkey}" for vkey in annex["holders"]]
    policy = Policy.parse("\n".join([f"log {annex['log_vkey']}", *holders, "quorum none", ""]))
    return asdict(verify(ask(house, tenant, "GET", f"/v1/certificates/{erasure}").body, policy))


def certified(house: ApiHouse, tenant: Tenant, erasure: str) -> None:
    ends_s = time.monotonic() + 30
    while ask(house, tenant, "GET", f"/v1/erasures/{erasure}").json["certificate"] is None:
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def test_a_hold_by_period_holds_days_and_what_is_still_to_come(house: ApiHouse, tenant: Tenant):
    days = [(dt.datetime.now(dt.UTC) - dt.timedelta(days=n)).date().isoformat() for n in (12, 10)]
    period = {"category": "call-record", "first_day": days[0], "last_day": days[1]}
    hold = placed(house, tenant, **HOLD, period=period)
    assert (hold["records"], hold["days"]) == (0, 3)
    call = house.keep_call(tenant, "+441632960141", ago_days=11)
    refused = ask(house, tenant, "POST", "/v1/erasures", {"ground": "instruction", "records": [str(call.record)]})
    assert (refused.status, refused.code) == (409, "records-held")
    body = {"ground": "instruction", "day": {"category": "call-record", "day": days[0]}}
    assert ask(house, tenant, "POST", "/v1/erasures", body).code == "records-held"


def test_what_is_restricted_says_so_in_lists_and_when_it_is_opened(house: ApiHouse, tenant: Tenant):
    call, free = (house.keep_call(tenant, "+441632960151") for _ in range(2))
    hold = placed(house, tenant, **RESTRICTION, records=[str(call.record), str(call.recording)])
    listed = {one["id"]: one for one in ask(house, tenant, "GET", "/v1/calls").json["items"]}
    assert listed[str(call.record)]["restricted"] is True
    assert listed[str(free.record)]["restricted"] is False
    assert ask(house, tenant, "GET", f"/v1/recordings/{call.recording}").json["restricted"] is True
    refused = content(house, tenant, call)
    assert (refused.status, refused.code) == (409, "restricted")
    assert "Art. 18" in refused.json["detail"]
    audio = ask(house, tenant, "GET", f"/v1/recordings/{call.recording}/audio")
    assert (audio.status, audio.code) == (409, "restricted")
    for purpose in ("subject-request", "legal-claim"):
        assert content(house, tenant, call, purpose).json["content"]["caller"] == "+441632960151"
    assert content(house, tenant, free).status == 200
    ask(house, tenant, "POST", f"/v1/holds/{hold['id']}/release", {"because": "settled"})
    assert content(house, tenant, call).status == 200


def test_a_hold_is_extended_and_listed_with_how_much_is_held(house: ApiHouse, tenant: Tenant):
    call = house.keep_call(tenant, "+441632960161")
    before = ask(house, tenant, "GET", "/v1/holds").json["in_force"]
    hold = placed(house, tenant, **HOLD | {"reason": "evidence-preservation"}, records=[str(call.record)])
    later = (dt.date.fromisoformat(UNTIL) + dt.timedelta(days=60)).isoformat()
    longer = ask(house, tenant, "POST", f"/v1/holds/{hold['id']}/extend", {"until": later})
    assert (longer.status, longer.json["until"], longer.json["state"]) == (200, later, "in-force")
    shorter = ask(house, tenant, "POST", f"/v1/holds/{hold['id']}/extend", {"until": UNTIL})
    assert (shorter.status, shorter.code) == (422, "hold-ends-too-soon")
    page = ask(house, tenant, "GET", "/v1/holds?limit=1").json
    assert page["items"] == [longer.json]
    assert page["next_cursor"]
    assert page["in_force"]["holds"] == before["holds"] + 1
    assert page["in_force"]["records"] == before["records"] + 1
    assert ask(house, tenant, "GET", f"/v1/holds/{hold['id']}").json == longer.json
    ask(house, tenant, "POST", f"/v1/holds/{hold['id']}/release", {"because": "settled"})
    late = ask(house, tenant, "POST", f"/v1/holds/{hold['id']}/extend", {"until": later})
    assert (late.status, late.code) == (409, "hold-released")


def test_a_hold_asked_for_twice_is_placed_once(house: ApiHouse, tenant: Tenant):
    call = house.keep_call(tenant, "+441632960171")
    body = {**HOLD, "records": [str(call.record)]}
    first, again = (ask(house, tenant, "POST", "/v1/holds", body, Idempotency_Key="hold-once") for _ in range(2))
    assert first.json["id"] == again.json["id"]
    assert again.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"until": None}, 422, "fields-wrong"),
        ({"reason": None}, 422, "fields-wrong"),
        ({"reason": "because"}, 422, "fields-wrong"),
        ({"reason": "objection-pending"}, 422, "reason-of-other-kind"),
        ({"until": "2026-01-01"}, 422, "hold-ends-too-soon"),
        ({"until": "2999-01-01"}, 422, "malformed"),
        ({"reference": "Mrs. Jones?!"}, 422, "fields-wrong"),
        ({"records": []}, 422, "fields-wrong"),
        ({"records": None}, 422, "hold-one-thing"),
        ({"number": "+441632960121"}, 422, "hold-one-thing"),
        ({"records": ["rec_" + "0" * 32]}, 404, "record-missing"),
        ({"records": None, "period": ["no-such", "2026-11-01", "2026-11-02"]}, 422, "category-unknown"),
        ({"records": None, "period": ["recording", "2026-11-02", "2026-11-01"]}, 422, "period-backwards"),
        ({"records": None, "period": ["recording", "1980-11-02", "2026-11-01"]}, 422, "too-much-held"),
        ({"records": None, "period": ["live-call", "2026-11-01", "2026-11-02"]}, 404, "nothing-to-hold"),
    ],
)
def test_a_hold_that_cannot_be_is_refused_with_a_sentence_and_leaves_nothing(
    house: ApiHouse, tenant: Tenant, change: dict[str, Any], status: int, code: str
):
    call = tenant.calls[-1] if tenant.calls else house.keep_call(tenant, "+441632960181")
    body = {**HOLD, "records": [str(call.record)], **change}
    if isinstance(body.get("period"), list):
        body["period"] = dict(zip(("category", "first_day", "last_day"), body["period"], strict=True))
    before = ask(house, tenant, "GET", "/v1/holds").json
    answer = ask(house, tenant, "POST", "/v1/holds", {name: value for name, value in body.items() if value is not None})
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.json["detail"]
    assert ask(house, tenant, "GET", "/v1/holds").json == before
