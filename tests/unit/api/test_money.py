"""Limits, usage, billing records and reports, against a running cloud."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import signal
import time
from typing import Any

import pytest
from tests.api_house import Answer, ApiHouse, Tenant, house
from tests.promises.test_8_isolation import told

from sealwire.communications.accounting.billing import keep_charges
from sealwire.communications.accounting.port import Charge
from sealwire.custody.categories import CallRecord
from sealwire.custody.lifecycle import Custody
from sealwire.doors.api.pagination import write_cursor
from sealwire.vocabulary import CallId, HangupCause, Party, RecordId, ReportId

__all__ = ["house"]
QUALITY = {"Sealwire-Purpose": "quality-assurance"}
CALLER = "+441632960301"
CHARGES = [Charge("pstn-minute", 60, 1000, "t@1"), Charge("platform-minute", 60, 100, "t@1")]
MAXIMUM = {
    "day_cap_millicents": 9_000, "month_cap_millicents": 90_000, "calls_at_once": 7, "setups_per_second": 5,
    "refused_per_minute": 30, "premium_per_minute": 10, "short_calls_per_minute": 60,
}  # fmt: skip


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    made = house.tenant("Money")
    house.keep_call(made, CALLER, seconds=0.5)
    return made


@pytest.fixture(scope="module")
def other(house: ApiHouse) -> Tenant:
    return house.tenant("Another")


def ask(house: ApiHouse, tenant: Tenant, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | QUALITY
    return house.ask(method, path, secret=tenant.secret, body=body, headers=sent)


def narrow(house: ApiHouse, tenant: Tenant, *scopes: str) -> Tenant:
    """A credential of the same account with these scopes only."""
    made = ask(house, tenant, "POST", "/v1/credentials", {"label": "narrow", "scopes": list(scopes)})
    assert made.status == 201, made
    return Tenant(tenant.account, made.json["secret"])


def bill(house: ApiHouse, tenant: Tenant, call: CallId) -> None:
    async def keep(custody: Custody) -> None:
        await keep_charges(
            custody, tenant.account, CHARGES, call=call, message=None, destination=Party(CALLER),
            ended_at=dt.datetime.now(dt.UTC),
        )  # fmt: skip

    house.in_custody(keep)


def report_at(house: ApiHouse, tenant: Tenant, report: str, *states: str, seconds: float = 30) -> dict[str, Any]:
    ends_s = time.monotonic() + seconds
    while True:
        seen = ask(house, tenant, "GET", f"/v1/reports/{report}").json
        if seen["state"] in states:
            return dict(seen)
        assert time.monotonic() < ends_s, seen
        time.sleep(0.05)


def made_report(house: ApiHouse, tenant: Tenant, **body: Any) -> tuple[dict[str, Any], bytes]:
    asked = ask(house, tenant, "POST", "/v1/reports", body)
    assert asked.status == 202, asked
    seen = report_at(house, tenant, asked.json["id"], "ready", "failed")
    assert seen["state"] == "ready", seen
    fetched = ask(house, tenant, "GET", f"/v1/reports/{seen['id']}/content")
    assert fetched.status == 200, fetched
    return seen, fetched.body


def rows_of(body: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body.decode())))


def test_a_new_account_has_no_destination_and_the_standard_caps(house: ApiHouse, other: Tenant):
    seen = ask(house, other, "GET", "/v1/limits")
    assert seen.status == 200, seen
    assert seen.json["destinations"] == []
    assert seen.json["maximum"]["day_cap_millicents"] == 5_000_000
    assert seen.json["own"]["card_numbers"] == "mask"


def test_the_owner_allows_destinations_and_lowers_caps(house: ApiHouse, tenant: Tenant):
    wanted = {"items": [{"destination": "GB", "premium": False}, {"destination": "+449", "premium": True}]}
    allowed = ask(house, tenant, "PUT", "/v1/limits/destinations", wanted)
    assert allowed.status == 200, allowed
    chosen = ask(house, tenant, "PUT", "/v1/limits", {"day_cap_millicents": 100, "card_numbers": "refuse"})
    assert chosen.status == 200, chosen
    assert chosen.json["own"]["day_cap_millicents"] == 100
    assert {each["destination"] for each in chosen.json["destinations"]} == {"GB", "+449"}
    assert ask(house, tenant, "PUT", "/v1/limits", {}).json["own"]["day_cap_millicents"] is None


@pytest.mark.parametrize("destination", ["+4416329603010", "england", "gb", "+0", ""])
def test_a_destination_that_is_none_or_a_persons_whole_number_is_refused(
    house: ApiHouse, tenant: Tenant, destination: str
):
    refused = ask(house, tenant, "PUT", "/v1/limits/destinations", {"items": [{"destination": destination}]})
    assert (refused.status, refused.code) == (422, "destination-malformed")


def test_only_the_operator_raises_the_maximum_and_the_owner_stays_below(house: ApiHouse, tenant: Tenant, other: Tenant):
    path = f"/v1/accounts/{other.account}/limits"
    assert ask(house, other, "PUT", path, MAXIMUM).status == 403
    done = house.ask("PUT", path, secret=house.operator, body=MAXIMUM)
    assert (done.status, done.json["maximum"]) == (200, MAXIMUM)
    refused = ask(house, other, "PUT", "/v1/limits", {"day_cap_millicents": 9_001})
    assert (refused.status, refused.code) == (409, "cap-above-maximum")
    assert ask(house, other, "PUT", "/v1/limits", {"day_cap_millicents": 9_000}).status == 200
    assert house.ask("GET", path, secret=house.operator).json["own"]["day_cap_millicents"] == 9_000


def test_the_operator_suspends_and_lifts(house: ApiHouse, other: Tenant):
    path = f"/v1/accounts/{other.account}/suspension"
    assert house.ask("PUT", path, secret=house.operator, body={"suspended": True}).json["suspended_for"] == "operator"
    assert ask(house, other, "GET", "/v1/limits").json["suspended_at"] is not None
    assert ask(house, other, "PUT", path, {"suspended": False}).status == 403
    assert house.ask("PUT", path, secret=house.operator, body={"suspended": False}).json["suspended_at"] is None


@pytest.mark.parametrize("what", ["limits", "suspension"])
def test_limits_of_an_unknown_account_are_unknown(house: ApiHouse, what: str):
    body = MAXIMUM if what == "limits" else {"suspended": True}
    path = f"/v1/accounts/acc_{'0' * 32}/{what}"
    assert house.ask("PUT", path, secret=house.operator, body=body).status == 404


def test_a_credential_without_the_owners_scope_sees_no_limits(house: ApiHouse, tenant: Tenant):
    reader = narrow(house, tenant, "records:list", "account:configure")
    for method, path, body in (("GET", "/v1/limits", None), ("PUT", "/v1/limits/destinations", {"items": []})):
        assert ask(house, reader, method, path, body).status == 403


def test_usage_counts_calls_minutes_money_and_storage_and_opens_nothing(house: ApiHouse, tenant: Tenant):
    bill(house, tenant, tenant.calls[0].call)
    reader = narrow(house, tenant, "records:list")
    usage = ask(house, reader, "GET", "/v1/usage")
    assert usage.status == 200, usage
    (day,) = usage.json["items"]
    assert (day["calls_in"], day["calls_answered"], day["amount_millicents"]) == (1, 1, 1100)
    assert day["minutes"] == pytest.approx(0.5 / 60, abs=0.001)
    assert {item["item"]: item["units"] for item in day["items"]} == {"pstn-minute": 60, "platform-minute": 60}
    stored = {line["category"]: line for line in usage.json["storage"]}
    assert stored["recording"]["bytes"] > 8000
    total = ask(house, reader, "GET", "/v1/usage?by=total").json["items"]
    assert [(each["day"], each["amount_millicents"]) for each in total] == [(None, 1100)]
    ago = ask(house, reader, "GET", "/v1/usage?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z")
    assert ago.json["items"] == []


@pytest.mark.parametrize(
    "query", ["from=2026-01-01T00:00:00", "from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
              "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z"],
)  # fmt: skip
def test_a_period_that_is_none_is_refused(house: ApiHouse, tenant: Tenant, query: str):
    for path in ("/v1/usage", "/v1/billing-records/sums"):
        refused = ask(house, tenant, "GET", f"{path}?{query}")
        assert (refused.status, refused.code) == (422, "period-wrong")


def test_billing_records_are_listed_summed_and_opened_for_a_purpose(house: ApiHouse, tenant: Tenant):
    bill(house, tenant, CallId.new())
    page = ask(house, tenant, "GET", "/v1/billing-records?limit=1").json
    assert page["next_cursor"]
    (record,) = page["items"]
    assert record["detached"] is False
    sums = ask(house, tenant, "GET", "/v1/billing-records/sums").json
    assert sums["amount_millicents"] == sum(item["amount_millicents"] for item in sums["items"]) > 0
    opened = ask(house, tenant, "GET", f"/v1/billing-records/{record['id']}/content")
    assert opened.json["content"] == {"destination": CALLER}
    assert ask(house, tenant, "GET", f"/v1/billing-records/{record['id']}").json == record


def test_what_is_billed_to_another_account_or_reported_to_it_is_as_unknown_as_what_never_was(
    house: ApiHouse, tenant: Tenant, other: Tenant
):
    (record,) = ask(house, tenant, "GET", "/v1/billing-records?limit=1").json["items"]
    report, _ = made_report(house, tenant, of="recordings")
    for path, foreign, random in (
        ("/v1/billing-records/{}", record["id"], RecordId.new()),
        ("/v1/billing-records/{}/content", record["id"], RecordId.new()),
        ("/v1/reports/{}", report["id"], ReportId.new()),
        ("/v1/reports/{}/content", report["id"], ReportId.new()),
    ):
        theirs, unknown = (ask(house, other, "GET", path.format(each)) for each in (foreign, random))
        assert theirs.status == 404
        assert told(theirs) == told(unknown)
        assert ask(house, tenant, "GET", path.format(foreign)).status == 200
        assert house.ask("GET", path.format(foreign)).status == 401
    for name in ("billing-records", "reports"):
        moments = [write_cursor(name, (dt.datetime.now(dt.UTC), RecordId.new().value)) for _ in range(2)]
        pages = [ask(house, other, "GET", f"/v1/{name}?cursor={each}") for each in moments]
        assert told(pages[0]) == told(pages[1])
        assert pages[0].json["items"] == []
    assert ask(house, other, "GET", "/v1/usage").json["items"] == []
    assert ask(house, other, "GET", "/v1/billing-records/sums").json["amount_millicents"] == 0


def test_erasing_a_number_leaves_amounts_and_takes_the_number_out_of_the_bill(house: ApiHouse, tenant: Tenant):
    kept = house.keep_call(tenant, "+441632960355")
    bill(house, tenant, kept.call)
    before = ask(house, tenant, "GET", "/v1/billing-records/sums").json["amount_millicents"]
    asked = ask(house, tenant, "POST", "/v1/erasures", {"ground": "subject-request", "call": str(kept.call)})
    assert asked.status == 202, asked
    billed = [
        each for each in ask(house, tenant, "GET", "/v1/billing-records").json["items"]
        if each["call_id"] == str(kept.call)
    ]  # fmt: skip
    assert [each["detached"] for each in billed] == [True, True]
    gone = ask(house, tenant, "GET", f"/v1/billing-records/{billed[0]['id']}/content")
    assert (gone.status, gone.code) == (410, "record-erased")
    assert ask(house, tenant, "GET", "/v1/billing-records/sums").json["amount_millicents"] == before
    again = ask(house, tenant, "POST", "/v1/erasures", {"ground": "subject-request", "call": str(kept.call)})
    assert again.status == 410


def test_naming_a_billing_record_for_erasure_is_refused_by_statute(house: ApiHouse, tenant: Tenant):
    (record,) = ask(house, tenant, "GET", "/v1/billing-records?limit=1").json["items"]
    refused = ask(house, tenant, "POST", "/v1/erasures", {"ground": "instruction", "records": [record["id"]]})
    assert (refused.status, refused.code) == (409, "statutory-record")


def test_a_report_without_content_holds_what_lists_show(house: ApiHouse, tenant: Tenant):
    reader = narrow(house, tenant, "records:list")
    asked = ask(house, reader, "POST", "/v1/reports", {"of": "call-records"})
    assert asked.status == 202, asked
    seen = report_at(house, tenant, asked.json["id"], "ready")
    assert seen["progress"] == 1.0
    fetched = ask(house, tenant, "GET", f"/v1/reports/{seen['id']}/content")
    assert fetched.headers["content-type"].startswith("text/csv")
    assert f'filename="{seen["id"]}.csv"' in fetched.headers["content-disposition"]
    rows = rows_of(fetched.body)
    assert len(rows) == seen["rows"] >= 1
    assert CALLER not in fetched.body.decode()
    assert {row["hangup_cause"] for row in rows} == {"normal"}


@pytest.mark.slow
def test_a_report_with_content_opens_records_for_a_purpose_and_guards_cells(house: ApiHouse, tenant: Tenant):
    async def keep(custody: Custody) -> None:
        now = dt.datetime.now(dt.UTC)
        record = CallRecord(
            call_id=CallId.new(), direction="inbound", started_at=now, answered_at=now, ended_at=now,
            hangup_cause=HangupCause.NORMAL, caller=Party(CALLER), callee=Party("desk"), digits='=HYPERLINK("x")',
        )  # fmt: skip
        await custody.keep(tenant.account, record)

    house.in_custody(keep)
    seen, body = made_report(house, tenant, of="call-records", with_content=True, purpose="quality-assurance")
    assert seen["with_content"]
    assert {row["digits"] for row in rows_of(body)} >= {"5", '\'=HYPERLINK("x")'}
    assert {row["caller"] for row in rows_of(body)} == {f"'{CALLER}"}
    _, body = made_report(
        house, tenant, of="call-records", format="json", with_content=True, purpose="quality-assurance"
    )
    rows = json.loads(body)
    assert CALLER in {row["caller"] for row in rows}
    assert '=HYPERLINK("x")' in {row["digits"] for row in rows}
    assert all(row["started_at"].endswith("Z") for row in rows)


@pytest.mark.parametrize(
    "of", ["application-records", "message-records", "billing-records", "recordings", "webhook-deliveries"]
)
def test_reports_can_be_made_of_every_kind(house: ApiHouse, tenant: Tenant, of: str):
    seen, body = made_report(house, tenant, of=of, format="json")
    assert len(json.loads(body)) == seen["rows"]


def test_a_report_takes_only_its_period(house: ApiHouse, tenant: Tenant):
    seen, body = made_report(
        house, tenant, of="call-records", begins="2026-01-01T00:00:00Z", ends="2026-02-01T00:00:00Z"
    )
    assert seen["rows"] == 0
    assert rows_of(body) == []


def test_content_needs_its_scope_and_a_purpose(house: ApiHouse, tenant: Tenant):
    reader = narrow(house, tenant, "records:list")
    assert ask(house, reader, "POST", "/v1/reports", {"of": "call-records", "with_content": True}).status == 403
    opener = narrow(house, tenant, "records:list", "records:open")
    refused = ask(house, opener, "POST", "/v1/reports", {"of": "call-records", "with_content": True})
    assert (refused.status, refused.code) == (403, "purpose-missing")
    bad = ask(house, opener, "POST", "/v1/reports", {"of": "call-records", "with_content": True, "purpose": "x"})
    assert bad.status == 422
    seen, _ = made_report(house, tenant, of="recordings")
    assert ask(house, reader, "GET", f"/v1/reports/{seen['id']}/content").status == 403


def test_a_report_that_is_asked_for_twice_is_made_once(house: ApiHouse, tenant: Tenant):
    first = ask(house, tenant, "POST", "/v1/reports", {"of": "recordings"}, Idempotency_Key="one-report")
    second = ask(house, tenant, "POST", "/v1/reports", {"of": "recordings"}, Idempotency_Key="one-report")
    assert (second.status, second.json["id"]) == (202, first.json["id"])
    assert second.headers["idempotent-replayed"] == "true"
    listed = ask(house, tenant, "GET", "/v1/reports").json["items"]
    assert [each["id"] for each in listed].count(first.json["id"]) == 1


def test_an_erasure_takes_reports_with_content_along_and_leaves_the_others(house: ApiHouse, tenant: Tenant):
    kept = house.keep_call(tenant, "+441632960366")
    time.sleep(6)  # an erasure of a moment ago would have the report made anew
    holding, body = made_report(house, tenant, of="call-records", with_content=True, purpose="quality-assurance")
    assert b"+441632960366" in body
    bare, _ = made_report(house, tenant, of="call-records")
    asked = ask(house, tenant, "POST", "/v1/erasures", {"ground": "subject-request", "call": str(kept.call)})
    assert asked.status == 202, asked
    gone = ask(house, tenant, "GET", f"/v1/reports/{holding['id']}/content")
    assert (gone.status, gone.code) == (410, "record-erased")
    assert ask(house, tenant, "GET", f"/v1/reports/{holding['id']}").json["state"] == "erased"
    assert ask(house, tenant, "GET", f"/v1/reports/{bare['id']}/content").status == 200


@pytest.mark.slow
def test_a_report_that_an_erasure_overtakes_is_made_anew_without_what_went(house: ApiHouse, tenant: Tenant):
    kept, stays = house.keep_call(tenant, "+441632960377"), house.keep_call(tenant, "+441632960378")
    asked = ask(house, tenant, "POST", "/v1/erasures", {"ground": "subject-request", "call": str(kept.call)})
    assert asked.status == 202, asked
    seen, body = made_report(house, tenant, of="call-records", with_content=True, purpose="quality-assurance")
    assert b"+441632960377" not in body
    assert b"+441632960378" in body
    others = ask(house, tenant, "GET", "/v1/erasures").json["items"]
    assert "reports" in {each["requested_by"] for each in others}, "the first try was not erased"
    assert stays.call != kept.call
    assert seen["state"] == "ready"


def keep_many(house: ApiHouse, tenant: Tenant, count: int) -> None:
    async def keep(custody: Custody) -> None:
        now = dt.datetime.now(dt.UTC)
        for _ in range(count):
            record = CallRecord(
                call_id=CallId.new(), direction="inbound", started_at=now, answered_at=None, ended_at=now,
                hangup_cause=HangupCause.BUSY, caller=Party(CALLER), callee=Party("desk"), digits="",
            )  # fmt: skip
            await custody.keep(tenant.account, record)

    house.in_custody(keep)


@pytest.mark.slow
def test_reports_wait_for_a_maker_that_was_killed_and_are_made_by_the_next(house: ApiHouse, tenant: Tenant):
    keep_many(house, tenant, 3000)
    asked = ask(house, tenant, "POST", "/v1/reports", {"of": "call-records"}).json["id"]
    report_at(house, tenant, asked, "running")
    worker = house.cloud.child("worker")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    while worker.is_running:
        time.sleep(0.05)
    assert ask(house, tenant, "GET", f"/v1/reports/{asked}").json["state"] == "running"
    early = ask(house, tenant, "GET", f"/v1/reports/{asked}/content")
    assert (early.status, early.code) == (503, "report-not-ready")

    opener = ask(house, tenant, "POST", "/v1/credentials", {"label": "leaves", "scopes": ["records:list"]}).json
    left = ask(house, Tenant(tenant.account, opener["secret"]), "POST", "/v1/reports", {"of": "recordings"}).json["id"]
    assert ask(house, tenant, "DELETE", f"/v1/credentials/{opener['id']}").status in (200, 204)
    for _ in range(18):
        assert ask(house, tenant, "POST", "/v1/reports", {"of": "recordings"}).status == 202
    too_many = ask(house, tenant, "POST", "/v1/reports", {"of": "recordings"})
    assert (too_many.status, too_many.code) == (409, "too-many-reports")

    worker.start()
    seen = report_at(house, tenant, asked, "ready", seconds=60)
    body = ask(house, tenant, "GET", f"/v1/reports/{asked}/content").body
    assert len(rows_of(body)) == seen["rows"] >= 3000
    assert report_at(house, tenant, left, "failed")["failure"] == "credential-revoked"
    refused = ask(house, tenant, "GET", f"/v1/reports/{left}/content")
    assert (refused.status, refused.code) == (409, "report-failed")
