"""Application records: listed by service, outcome and time, looked at, opened for a purpose."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from tests.api_house import Answer, ApiHouse, Tenant, house

from sealwire.custody.categories import ApplicationRecord
from sealwire.custody.lifecycle import Custody
from sealwire.vocabulary import ApplicationId, CallId, ReturnCode, ServiceId

__all__ = ["house"]


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Applications")


def ask(house: ApiHouse, who: Tenant | str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    secret = who if isinstance(who, str) else who.secret
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.ask(method, path, secret=secret, body=body, headers=sent)


def run_of(house: ApiHouse, tenant: Tenant, service: ServiceId, code: int, ago_hours: float) -> ApplicationId:
    """Keep one application record, as the switchboard does."""
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(hours=ago_hours)
    record = ApplicationRecord(
        application_id=ApplicationId.new(), call_id=CallId.new(), service_id=service, kind="pages", direction="out",
        started_at=ended - dt.timedelta(seconds=30), ended_at=ended, return_code=code, extra_legs=1, speech_seconds=7,
        cost_millicents=4200, arguments="appointment 17", parameters="confirmed",
    )  # fmt: skip

    async def keep(custody: Custody) -> None:
        await custody.keep(tenant.account, record)

    house.in_custody(keep)
    return record.application_id


def test_application_records_are_listed_by_service_outcome_and_time_without_content(house: ApiHouse):
    ran = house.tenant("Ran")
    one, two = ServiceId.new(), ServiceId.new()
    wanted = [(one, 0, 1), (one, -20, 2), (two, 5, 3), (two, -150, 4), (one, 0, 30)]
    ids = [str(run_of(house, ran, service, code, ago)) for service, code, ago in wanted]

    def listed(query: str) -> list[int]:
        answer = ask(house, ran, "GET", f"/v1/applications?{query}")
        assert answer.status == 200, answer
        assert b"appointment" not in answer.body
        return [ids.index(each["id"]) for each in answer.json["items"]]

    assert listed("") == [0, 1, 2, 3, 4]
    assert listed(f"service_id={one}") == [0, 1, 4]
    assert listed("outcome=done") == [0, 2, 4]
    assert listed("outcome=failed") == [1, 3]
    assert listed(f"outcome=failed&service_id={two}") == [3]
    hours = lambda ago: (dt.datetime.now(dt.UTC) - dt.timedelta(hours=ago)).isoformat().replace("+00:00", "Z")  # noqa: E731
    assert listed(f"since={hours(2.5)}") == [0, 1]
    assert listed(f"until={hours(2.5)}") == [2, 3, 4]
    assert listed(f"since={hours(3.5)}&until={hours(1.5)}") == [1, 2]
    assert listed(f"service_id={ServiceId.new()}") == []


def test_pages_of_filtered_runs_hold_each_once(house: ApiHouse):
    ran = house.tenant("Ran much")
    service, other = ServiceId.new(), ServiceId.new()
    ids = [str(run_of(house, ran, service if at % 2 else other, 0, at)) for at in range(9)]
    seen, cursor = [], ""
    while cursor is not None:
        page = ask(house, ran, "GET", f"/v1/applications?limit=2&service_id={service}{cursor}").json
        seen += [each["id"] for each in page["items"]]
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert seen == ids[1::2]


def test_an_application_record_is_seen_with_its_code_and_costs_and_opened_for_a_purpose(
    house: ApiHouse, tenant: Tenant
):
    run = run_of(house, tenant, ServiceId.new(), ReturnCode.PAGE_TOO_SLOW, 0)
    seen = ask(house, tenant, "GET", f"/v1/applications/{run}").json
    assert (seen["return_code"], seen["return_code_name"], seen["cost_millicents"]) == (-21, "page-too-slow", 4200)
    by_call = ask(house, tenant, "GET", f"/v1/applications?call_id={seen['call_id']}").json["items"]
    assert by_call == [seen]
    path = f"/v1/applications/{run}/content"
    assert ask(house, tenant, "GET", path).code == "purpose-missing"
    opened = ask(house, tenant, "GET", path, Sealwire_Purpose="billing-dispute")
    assert opened.json["content"] == {"arguments": "appointment 17", "parameters": "confirmed"}
    assert ask(house, tenant, "GET", f"/v1/applications/{ApplicationId.new()}").code == "record-missing"


def test_every_return_code_has_a_name_and_a_sentence_for_any_credential(house: ApiHouse, tenant: Tenant):
    answers = [ask(house, secret, "GET", "/v1/return-codes") for secret in (tenant.secret, house.operator)]
    codes = answers[0].json["items"]
    assert {each["code"] for each in codes} == {int(code) for code in ReturnCode}
    assert all(each["meaning"].endswith(".") and each["name"] for each in codes)
    assert answers[0].body == answers[1].body


def test_times_without_an_offset_are_refused(house: ApiHouse, tenant: Tenant):
    assert ask(house, tenant, "GET", "/v1/applications?since=2026-11-23T11:30:00").code == "query-wrong"
