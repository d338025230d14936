"""POST /v1/erasures by number goes the road of a subject's own request: who else is in a record keeps it."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest
from tests.api_house import CALLEE, ApiHouse, Tenant, house

from sealwire.custody.categories import BillingRecord, CallRecord, MessageContent
from sealwire.custody.lifecycle import Custody
from sealwire.vocabulary import CallId, HangupCause, MessageId, Party, RecordId

__all__ = ["house"]
QUALITY = {"Sealwire-Purpose": "quality-assurance"}


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Numbers that go")


def ask(house: ApiHouse, tenant: Tenant, path: str, body: Any, *, status: int, **headers: str) -> Any:
    sent = QUALITY | {name.replace("_", "-"): value for name, value in headers.items()}
    answer = house.ask("POST", path, secret=tenant.secret, body=body, headers=sent)
    assert answer.status == status, (answer, house.log_lines()[-3:])
    return answer.json if status < 400 else answer.code


def erase(house: ApiHouse, tenant: Tenant, number: str, ground: str = "subject-request") -> dict[str, Any]:
    asked = ask(house, tenant, "/v1/erasures", {"ground": ground, "number": number}, status=202)
    for _ in range(400):
        seen = house.ask("GET", f"/v1/erasures/{asked['id']}", secret=tenant.secret).json
        if seen["certificate"]:
            assert seen["counts"] == asked["counts"]
            return dict(seen)
        time.sleep(0.05)
    raise AssertionError(seen)


def keep(house: ApiHouse, tenant: Tenant, record: Any) -> RecordId:
    async def kept(custody: Custody) -> RecordId:
        return (await custody.keep(tenant.account, record)).record

    return house.in_custody(kept)


def call(caller: str, callee: str) -> CallRecord:
    now = dt.datetime.now(dt.UTC)
    return CallRecord(
        call_id=CallId.new(), direction="inbound", started_at=now, answered_at=now, ended_at=now,
        hangup_cause=HangupCause.NORMAL, caller=Party(caller), callee=Party(callee), digits="5",
    )  # fmt: skip


def message(sender: str, recipient: str) -> MessageContent:
    return MessageContent(
        message_id=MessageId.new(), accepted_at=dt.datetime.now(dt.UTC), sender=Party(sender),
        recipient=Party(recipient), text="see you",
    )  # fmt: skip


def opened(house: ApiHouse, tenant: Tenant, record: RecordId) -> Any:
    return house.ask("GET", f"/v1/calls/{record}/content", secret=tenant.secret, headers=QUALITY)


@pytest.mark.parametrize("ground", ["subject-request", "instruction"])
def test_the_caller_keeps_the_call_of_a_callee_who_is_erased(house: ApiHouse, tenant: Tenant, ground: str) -> None:
    caller, callee = f"+4416329607{len(ground)}", f"+4416329606{len(ground)}"
    to_them, by_them = (keep(house, tenant, one) for one in (call(caller, callee), call(callee, CALLEE)))
    done = erase(house, tenant, callee, ground)
    assert done["counts"] == {
        "erased": {"call-record": 1}, "without_the_person": {"call-record": 1}, "held": {}, "kept_by_law": {},
    }  # fmt: skip
    assert opened(house, tenant, by_them).status == 410
    content = opened(house, tenant, to_them).json["content"]
    assert (content["caller"], content["callee"]) == (caller, "anonymous")
    found = ask(house, tenant, "/v1/subjects", {"number": callee}, status=200)
    assert found["holdings"] == []


def test_the_preview_says_beforehand_what_becomes_of_what_and_changes_nothing(house: ApiHouse, tenant: Tenant) -> None:
    person = "+441632960720"
    for record in (call(person, CALLEE), call(CALLEE, person), message(person, CALLEE)):
        keep(house, tenant, record)
    now = dt.datetime.now(dt.UTC)
    bill = BillingRecord(
        call_id=CallId.new(), ended_at=now, seconds_charged=7, amount_millicents=70, destination=Party(person)
    )
    keep(house, tenant, bill)
    asked = {"ground": "subject-request", "number": person}
    seen = ask(house, tenant, "/v1/erasures/preview", asked, status=200)
    assert seen["erased"] == {"call-record": 1, "message-content": 1}
    assert seen["without_the_person"] == {"call-record": 1}
    assert [(each["category"], each["records"]) for each in seen["kept_by_law"]] == [("billing-record", 1)]
    assert seen == ask(house, tenant, "/v1/erasures/preview", asked, status=200)
    done = erase(house, tenant, person)
    assert done["counts"]["erased"] == seen["erased"]
    assert done["counts"]["kept_by_law"] == {"billing-record": 1}


def test_a_number_of_which_nothing_is_held_is_told_apart_and_nothing_is_made(house: ApiHouse, tenant: Tenant) -> None:
    before = house.cluster_rows("SELECT count(*) FROM custody.erasure")
    nobody = {"ground": "instruction", "number": "+441632960799"}
    assert ask(house, tenant, "/v1/erasures", nobody, status=404) == "nothing-held"
    assert ask(house, tenant, "/v1/erasures/preview", nobody, status=404) == "nothing-held"
    assert house.cluster_rows("SELECT count(*) FROM custody.erasure") == before


def test_what_is_held_stays_and_is_counted_and_when_all_is_held_it_is_refused(house: ApiHouse, tenant: Tenant) -> None:
    person = "+441632960730"
    held, free = keep(house, tenant, call(person, CALLEE)), keep(house, tenant, message(person, CALLEE))
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=30)).date().isoformat()
    hold = {"kind": "legal-hold", "reason": "litigation", "until": until, "records": [str(held)]}
    ask(house, tenant, "/v1/holds", hold, status=201)
    done = erase(house, tenant, person)
    assert done["counts"]["erased"] == {"message-content": 1}
    assert done["counts"]["held"] == {"call-record": 1}
    assert opened(house, tenant, held).status == 200
    again = {"ground": "subject-request", "number": person}
    assert ask(house, tenant, "/v1/erasures", again, status=409) == "records-held"
    assert free != held


def test_named_records_go_whole_as_before(house: ApiHouse, tenant: Tenant) -> None:
    kept = keep(house, tenant, call("+441632960740", "+441632960741"))
    asked = ask(house, tenant, "/v1/erasures", {"ground": "instruction", "records": [str(kept)]}, status=202)
    assert asked["counts"] is None
    assert opened(house, tenant, kept).status == 410


def test_asked_for_twice_with_one_key_it_is_one_erasure(house: ApiHouse, tenant: Tenant) -> None:
    person = "+441632960750"
    keep(house, tenant, call(person, CALLEE))
    body = {"ground": "instruction", "number": person}
    first, second = (ask(house, tenant, "/v1/erasures", body, status=202, Idempotency_Key="n-1") for _ in range(2))
    assert first["id"] == second["id"]
    assert first["counts"] == second["counts"]
