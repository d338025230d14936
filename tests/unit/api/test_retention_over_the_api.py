"""Retention over the API: bounds, choice, classes, preview, calendar, and signed instructions for more or less."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest
from tests.api_house import ApiHouse, Tenant, house

from sealwire.communications.calls.ports import CallEnded, LiveCallStarted
from sealwire.communications.records import CallRecords
from sealwire.custody.categories import CallRecord
from sealwire.custody.lifecycle import Custody
from sealwire.evidence.leaves import LeafClass
from sealwire.vocabulary import CallId, HangupCause, Party, RecordId
from sealwire_sdk.instructions import InstructionKey, sign_instruction

__all__ = ["house"]
GROUND = "GDPR Art. 28(3)(a), policy 7 of the controller"


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Retention")


def ask(house: ApiHouse, tenant: Tenant, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    answer = house.ask(method, path, secret=tenant.secret, body=body)
    assert answer.status == status, (answer, house.log_lines()[-3:])
    return answer.json if status < 400 else answer.code


def change(category: str, days: int, *, of_class: int = 0, instruction: str | None = None) -> dict[str, Any]:
    setting = {"category": category, "retention_class": of_class, "days": days}
    return {"settings": [setting]} | ({"instruction": instruction} if instruction else {})


def days_of(house: ApiHouse, tenant: Tenant, category: str, of_class: int = 0) -> int:
    found = ask(house, tenant, "GET", "/v1/retention")["periods"]
    (days,) = (e["days"] for e in found if (e["category"], e["retention_class"]) == (category, of_class))
    return int(days)


def leaves(house: ApiHouse, tenant: Tenant, leaf_class: LeafClass) -> int:
    """How many leaves of a class are in the account's log, or on their way into it."""
    account = tenant.account.value
    (row,) = house.cluster_rows(
        f"SELECT (SELECT count(*) FROM evidence.event_outbox WHERE account_id = '{account}' AND"
        f" leaf_class = {int(leaf_class)}) + (SELECT count(*) FROM evidence.leaf_entry WHERE account_id = '{account}'"
        f" AND get_byte(leaf, 1) = {int(leaf_class)}) AS leaves"
    )
    return int(row["leaves"])


def keep_call_record(house: ApiHouse, tenant: Tenant, *, days_ago: int) -> RecordId:
    """A call without a recording, which would be due before it."""
    at = dt.datetime.now(dt.UTC) - dt.timedelta(days=days_ago)
    record = CallRecord(
        call_id=CallId.new(), direction="in", started_at=at, answered_at=at, ended_at=at, digits="",
        hangup_cause=HangupCause.NORMAL, caller=Party("+441632960901"), callee=Party("+441632960100"),
    )  # fmt: skip

    async def keep(custody: Custody) -> RecordId:
        return (await custody.keep(tenant.account, record)).record

    return house.in_custody(keep)


def until(holds: Any, what: str) -> None:
    ends_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends_s, what
        time.sleep(0.1)


def test_a_new_account_has_the_operators_defaults(house: ApiHouse, tenant: Tenant):
    seen = ask(house, tenant, "GET", "/v1/retention")
    bounds = {line["category"]: line for line in seen["bounds"]}
    assert (bounds["recording"]["days_min"], bounds["recording"]["days_max"]) == (28, 180)
    assert bounds["billing-record"]["is_yours"] is False
    periods = {line["category"]: line["days"] for line in seen["periods"]}
    del periods["billing-record"], bounds["billing-record"]  # as the statutes of its country say
    assert periods == {name: line["days_default"] for name, line in bounds.items()}
    assert all(line["in_force"] for line in seen["periods"])


def test_a_shorter_period_is_shown_first_and_takes_what_is_past_due_at_once(house: ApiHouse):
    tenant = house.tenant("Shorter")
    old, young = keep_call_record(house, tenant, days_ago=50), house.keep_call(tenant, "+441632960902")
    before = ask(house, tenant, "GET", f"/v1/calls/{old}")["due_on"]
    shown = ask(house, tenant, "POST", "/v1/retention/preview", change("call-record", 49))
    assert (shown["erased_now"], shown["held"], shown["refused"]) == (1, 0, None)
    assert ask(house, tenant, "GET", f"/v1/calls/{old}")["due_on"] == before
    assert ask(house, tenant, "POST", "/v1/retention/preview", change("call-record", 50))["erased_now"] == 0

    done = ask(house, tenant, "PUT", "/v1/retention/periods", change("call-record", 49))
    assert (done["erased_now"], done["in_force"]) == (1, True)
    until(lambda: house.ask("GET", f"/v1/calls/{old}", secret=tenant.secret).status == 410, "it went")
    due = dt.date.fromisoformat(ask(house, tenant, "GET", f"/v1/calls/{young.record}")["due_on"])
    assert due == dt.datetime.now(dt.UTC).date() + dt.timedelta(days=49)
    (erasure,) = ask(house, tenant, "GET", "/v1/erasures")["items"]
    assert erasure["ground"] == "retention"
    until(lambda: ask(house, tenant, "GET", f"/v1/erasures/{erasure['id']}")["levels"]["unreadable"]["reached"], "keys")
    assert leaves(house, tenant, LeafClass.RETENTION_CHANGED) == 1
    assert leaves(house, tenant, LeafClass.RETENTION_RUN) == 1
    assert leaves(house, tenant, LeafClass.RETENTION_MISSED) == 0  # no night was missed: it became due just now


def test_a_longer_period_counts_for_what_is_kept_and_brings_nothing_back(house: ApiHouse):
    tenant = house.tenant("Longer")
    young = house.keep_call(tenant, "+441632960903")
    first = dt.date.fromisoformat(ask(house, tenant, "GET", f"/v1/recordings/{young.recording}")["due_on"])
    ask(house, tenant, "PUT", "/v1/retention/periods", change("recording", 180))
    longer = dt.date.fromisoformat(ask(house, tenant, "GET", f"/v1/recordings/{young.recording}")["due_on"])
    assert longer - first == dt.timedelta(days=180 - 28)


@pytest.mark.parametrize(
    ("category", "days", "status", "code"),
    [
        ("recording", 27, 422, "period-out-of-bounds"),
        ("recording", 181, 422, "period-out-of-bounds"),
        ("recording", 0, 422, "period-out-of-bounds"),
        ("recording", 4000, 422, "period-out-of-bounds"),
        ("live-call", 0, 409, "period-not-yours"),
        ("message-content", 0, 409, "period-not-yours"),
        ("billing-record", 3650, 409, "period-not-yours"),
        ("no-such-category", 30, 422, "malformed"),
    ],
)
def test_a_period_outside_the_bounds_is_refused_and_nothing_is_changed(
    house: ApiHouse, tenant: Tenant, category: str, days: int, status: int, code: str
):
    before = ask(house, tenant, "GET", "/v1/retention")
    body = {"settings": [change("call-record", 60)["settings"][0], change(category, days)["settings"][0]]}
    answer = house.ask("PUT", "/v1/retention/periods", secret=tenant.secret, body=body)
    assert (answer.status, answer.code) == (status, code), answer
    assert ask(house, tenant, "GET", "/v1/retention") == before


def instruct(house: ApiHouse, tenant: Tenant, key: InstructionKey, *retention: tuple[str, int, int]) -> str:
    note = sign_instruction(key, account=str(tenant.account), ground=GROUND, retention=list(retention))
    return str(ask(house, tenant, "POST", "/v1/instructions", {"note": note}, status=201)["id"])


def registered(house: ApiHouse, tenant: Tenant) -> InstructionKey:
    key = InstructionKey.new("example.org/privacy")
    ask(house, tenant, "POST", "/v1/instruction-keys", {"vkey": key.vkey})
    return key


def test_never_store_needs_a_signed_instruction_and_then_nothing_is_written(house: ApiHouse):
    tenant = house.tenant("Never")
    kept = house.keep_call(tenant, "+441632960904", ago_days=3)
    instruction = instruct(house, tenant, registered(house, tenant), ("recording", 0, 0), ("call-record", 0, 3650))
    assert ask(house, tenant, "PUT", "/v1/retention/periods", change("recording", 1, instruction=instruction),
               status=422) == "period-out-of-bounds"  # fmt: skip
    ask(house, tenant, "PUT", "/v1/retention/periods", change("recording", 0, instruction=instruction))
    ask(house, tenant, "PUT", "/v1/retention/periods", change("call-record", 3650, instruction=instruction))
    objects = {path for path in house.settings.objects_dir.rglob("*") if path.is_file()}
    never = house.keep_call(tenant, "+441632960905")
    assert {path for path in house.settings.objects_dir.rglob("*") if path.is_file()} <= objects
    assert ask(house, tenant, "GET", f"/v1/recordings/{never.recording}", status=404)
    assert ask(house, tenant, "GET", f"/v1/calls/{never.record}")["id"] == str(never.record)
    until(lambda: house.ask("GET", f"/v1/recordings/{kept.recording}", secret=tenant.secret).status == 410, "it went")
    cited = {each["category"]: each["instruction"] for each in ask(house, tenant, "GET", "/v1/retention")["periods"]}
    assert (cited["recording"], cited["call-record"], cited["opt-out"]) == (instruction, instruction, None)
    assert leaves(house, tenant, LeafClass.INSTRUCTION_GIVEN) == 1
    seen = ask(house, tenant, "GET", f"/v1/instructions/{instruction}")
    assert (seen["ground"], len(seen["retention"])) == (GROUND, 2)


def test_an_instruction_counts_only_from_a_registered_key_for_this_account_and_once(house: ApiHouse, tenant: Tenant):
    key, stranger = registered(house, tenant), InstructionKey.new("example.org/privacy")
    account, other = str(tenant.account), str(house.tenant("Other").account)
    line = [("recording", 0, 7)]
    cases = {
        "instruction-not-signed": sign_instruction(stranger, account=account, ground=GROUND, retention=line),
        "instruction-foreign": sign_instruction(key, account=other, ground=GROUND, retention=line),
        "instruction-stale": sign_instruction(
            key, account=account, ground=GROUND, retention=line, date=dt.date(2020, 1, 1)
        ),
    }
    good = sign_instruction(key, account=account, ground=GROUND, retention=line)
    for code, note in cases.items():
        status = 404 if code == "instruction-foreign" else 409
        assert ask(house, tenant, "POST", "/v1/instructions", {"note": note}, status=status) == code
    changed = good.replace("recording 0 7", "recording 0 8")
    assert ask(house, tenant, "POST", "/v1/instructions", {"note": changed}, status=409) == "instruction-not-signed"
    ask(house, tenant, "POST", "/v1/instructions", {"note": good}, status=201)
    assert ask(house, tenant, "POST", "/v1/instructions", {"note": good}, status=409) == "instruction-known"
    ask(house, tenant, "POST", "/v1/instruction-keys/retirement", {"vkey": key.vkey})
    later = sign_instruction(key, account=account, ground=GROUND, retention=[("recording", 0, 9)])
    assert ask(house, tenant, "POST", "/v1/instructions", {"note": later}, status=409) == "instruction-not-signed"


def test_what_a_service_leaves_is_kept_for_as_long_as_its_class_says(house: ApiHouse):
    tenant = house.tenant("Classes")
    service = {"name": "claims", "logic": {"kind": "built-in", "name": "echo"}, "retention_class": 3}
    assert ask(house, tenant, "POST", "/v1/services", service, status=422) == "retention-class-unnamed"
    assert ask(house, tenant, "PUT", "/v1/retention/periods", change("recording", 60, of_class=3),
               status=422) == "retention-class-missing"  # fmt: skip
    ask(house, tenant, "PUT", "/v1/retention/classes", {"retention_class": 3, "name": "claims"})
    made = ask(house, tenant, "POST", "/v1/services", service, status=201)
    assert made["retention_class"] == 3
    ask(house, tenant, "PUT", "/v1/retention/periods", change("recording", 60, of_class=3))
    assert (days_of(house, tenant, "recording"), days_of(house, tenant, "recording", 3)) == (28, 60)
    assert days_of(house, tenant, "call-record", 3) == 90

    call, now = CallId.new(), dt.datetime.now(dt.UTC)
    parties = {"caller": Party("+441632960907"), "callee": Party("+441632960100"), "direction": "inbound"}
    of_call = {"account": tenant.account, "call_id": call, "started_at": now, "retention_class": 3, **parties}

    async def one_call(custody: Custody) -> list[tuple[str, int]]:
        records = CallRecords(custody)
        await records.call_started(LiveCallStarted(**of_call))
        ended = CallEnded(
            **of_call, answered_at=now, ended_at=now, cause=HangupCause.NORMAL, digits="", recordings=[]
        )  # fmt: skip
        await records.keep_call(ended)
        return sorted((row.category.name, row.retention_class) for row in await custody.of_call(tenant.account, call))

    assert house.in_custody(one_call) == [("call-record", 3), ("live-call", 3)]


def test_the_calendar_says_what_expires_on_which_day(house: ApiHouse):
    tenant = house.tenant("Calendar")
    for ago in (0, 0, 10):
        house.keep_call(tenant, "+441632960906", ago_days=ago)
    found = ask(house, tenant, "GET", "/v1/retention/calendar?days=28")["days"]
    today = dt.datetime.now(dt.UTC).date()
    recordings = {each["last_day"]: each["records"] for each in found if each["category"] == "recording"}
    assert recordings == {str(today + dt.timedelta(days=28)): 2, str(today + dt.timedelta(days=18)): 1}
    assert all(each["category"] == "recording" for each in found)
    found = ask(house, tenant, "GET", "/v1/retention/calendar?days=90")["days"]
    assert sum(each["records"] for each in found if each["category"] == "call-record") == 3


def test_the_register_has_each_category_under_its_article_and_with_this_operators_bounds(
    house: ApiHouse, tenant: Tenant
):
    seen = ask(house, tenant, "GET", "/v1/register")
    articles = {line["category"]: line["article"] for line in seen["processing"]}
    assert articles["billing-record"] == "30(1)"
    assert articles["recording"] == "30(2)"
    bounds = {line["category"]: line["days_max"] for line in ask(house, tenant, "GET", "/v1/retention")["bounds"]}
    assert {line["category"]: line["days_max"] for line in seen["processing"]} == bounds
    assert len(seen["privacy_policy"]) == len(bounds)
