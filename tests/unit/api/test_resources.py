"""What the resources do, against a running cloud: repeats, pages, audio, the ways to erase, and the certificate."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.api_house import CALLEE, Answer, ApiHouse, Tenant, house

from sealwire_verifier.__main__ import main as verify

__all__ = ["house"]
QUALITY = {"Sealwire-Purpose": "quality-assurance"}
CALLER, OTHER = "+441632960101", "+441632960102"


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Resources")


def ask(house: ApiHouse, tenant: Tenant, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | QUALITY
    return house.ask(method, path, secret=tenant.secret, body=body, headers=sent)


def erased(house: ApiHouse, tenant: Tenant, body: dict[str, Any], state: str = "unreadable") -> dict[str, Any]:
    """Ask for an erasure and wait until it has come that far."""
    asked = ask(house, tenant, "POST", "/v1/erasures", {"ground": "subject-request", **body})
    assert asked.status == 202, asked
    assert asked.json["levels"]["hidden"]["reached"]
    ends_s = time.monotonic() + 20
    while True:
        seen = ask(house, tenant, "GET", f"/v1/erasures/{asked.json['id']}").json
        if seen["state"] == state or seen["state"] == "removed":
            return dict(seen)
        assert time.monotonic() < ends_s, seen
        time.sleep(0.05)


def test_an_account_is_made_once_however_often_it_is_asked_for(house: ApiHouse):
    def make(name: str = "Once") -> Answer:
        headers = {"Idempotency-Key": "make-once"}
        return house.ask("POST", "/v1/accounts", secret=house.operator, body={"name": name}, headers=headers)

    first, second, other = make(), make(), make("Another")
    assert first.json["credential"]["secret"].startswith("sealwire_")
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json["credential"]["secret"] is None
    assert "shown once" in second.json["credential"]["note"]
    assert second.json["account"] == first.json["account"]
    assert (other.status, other.code) == (409, "idempotency-conflict")


def test_a_credential_asked_for_by_eight_at_once_with_one_key_is_made_once(house: ApiHouse, tenant: Tenant):
    def make(_: int) -> Answer:
        body = {"label": "at once", "scopes": ["records:list"]}
        return ask(house, tenant, "POST", "/v1/credentials", body, Idempotency_Key="at-once")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(make, range(8)))
    made = [answer for answer in answers if answer.status == 201]
    assert len([answer for answer in made if answer.json["secret"] is not None]) == 1
    assert {answer.json["id"] for answer in made} == {make(8).json["id"]}
    assert {answer.code for answer in answers if answer.status != 201} <= {"same-request-running"}
    listed = ask(house, tenant, "GET", "/v1/credentials").json["items"]
    assert len([each for each in listed if each["label"] == "at once"]) == 1


def test_a_number_is_routed_once_and_a_repeat_says_so(house: ApiHouse, tenant: Tenant):
    def route(key: str) -> Answer:
        body = {"number": CALLEE, "service": "greeting"}
        headers = {"Idempotency-Key": key}
        path = f"/v1/accounts/{tenant.account}/numbers"
        return house.ask("POST", path, secret=house.operator, body=body, headers=headers)

    assert [route("n1").status, route("n1").headers.get("idempotent-replayed")] == [201, "true"]
    assert (route("n2").status, route("n2").code) == (409, "number-taken")
    assert [each["number"] for each in ask(house, tenant, "GET", "/v1/numbers").json["items"]] == [CALLEE]


def test_the_agreement_pins_what_an_auditor_needs(house: ApiHouse, tenant: Tenant):
    (agreement,) = ask(house, tenant, "GET", "/v1/agreements").json["items"]
    annex = agreement["annex"]
    assert annex["log_vkey"] + "\n" == ask(house, tenant, "GET", "/v1/log/key").body.decode()
    assert annex["retention_days"]["call-record"] == 90
    assert annex["backup_cycle_days"] == 28
    assert len(annex["holders"]) == 1
    assert annex["disaster_recoverable"] is False


def test_pages_show_every_call_once_newest_first_while_calls_are_added(house: ApiHouse):
    many = house.tenant("Many")
    for number in range(5):
        house.keep_call(many, CALLER, seconds=0.1, ago_days=number)
    seen, cursor = [], ""
    for page in range(3):
        answer = ask(house, many, "GET", f"/v1/calls?limit=2{cursor}").json
        seen += [each["id"] for each in answer["items"]]
        cursor = f"&cursor={answer['next_cursor']}"
        if page == 0:
            house.keep_call(many, OTHER, seconds=0.1)
    assert answer["next_cursor"] is None
    assert seen == [str(call.record) for call in many.calls[:5]]


def test_a_recording_is_streamed_as_it_was_spoken(house: ApiHouse, tenant: Tenant):
    call = house.keep_call(tenant, CALLER, seconds=21)  # some chunks of the sealed stream, and then some
    (listed,) = ask(house, tenant, "GET", f"/v1/recordings?call_id={call.call}").json["items"]
    audio = ask(house, tenant, "GET", f"/v1/recordings/{call.recording}/audio")
    assert listed["audio_bytes"] == len(call.audio)
    assert audio.headers["content-type"] == "audio/wav"
    assert audio.headers["cache-control"] == "no-store"
    assert int(audio.headers["content-length"]) == 44 + len(call.audio)
    assert audio.body[44:] == call.audio
    content = ask(house, tenant, "GET", f"/v1/recordings/{call.recording}/content").json
    assert content["content"]["caller"] == CALLER


def test_a_list_has_no_content_and_leaves_no_leaf_but_an_opening_does(house: ApiHouse, tenant: Tenant):
    call = house.keep_call(tenant, CALLER)
    time.sleep(1.5)  # until the batch that keeps it stands in the log
    before = _log_size(house, tenant)
    listed = ask(house, tenant, "GET", "/v1/calls")
    assert CALLER[1:].encode() not in listed.body
    assert _log_size(house, tenant) == before
    opened = ask(house, tenant, "GET", f"/v1/calls/{call.call}/content").json
    assert opened["content"] == {"caller": CALLER, "callee": CALLEE, "digits": "5"}
    assert _log_size(house, tenant) == before + 1
    report = ask(house, tenant, "POST", "/v1/subjects", {"number": CALLER}).json
    (holding,) = (each for each in report["holdings"] if each["id"] == str(call.record))
    assert [look["purpose"] for look in holding["looks"]] == ["quality-assurance"]


def test_a_call_is_erased_with_its_recording_and_its_certificate_verifies(
    house: ApiHouse, tenant: Tenant, tmp_path: Path
):
    call, neighbour = house.keep_call(tenant, CALLER), house.keep_call(tenant, CALLER)
    done = erased(house, tenant, {"call": str(call.call)})
    assert done["levels"]["unreadable"]["reached"]
    for path in (
        f"/v1/calls/{call.record}",
        f"/v1/calls/{call.record}/content",
        f"/v1/recordings/{call.recording}/audio",
    ):
        answer = ask(house, tenant, "GET", path)
        assert (answer.status, answer.code) == (410, "record-erased")
        assert answer.json["certificate"] == done["certificate"]
        assert done["certificate"] in answer.headers["link"]
    assert ask(house, tenant, "GET", f"/v1/calls/{neighbour.record}/content").status == 200
    certificate = ask(house, tenant, "GET", done["certificate"])
    assert certificate.headers["content-type"] == "text/plain; charset=utf-8"
    annex = ask(house, tenant, "GET", "/v1/agreements").json["items"][0]["annex"]
    (tmp_path / "c.tlog-proof").write_bytes(certificate.body)
    holders = [f"holder {vkey}" for vkey in annex["holders"]]
    (tmp_path / "policy").write_text("\n".join([f"log {annex['log_vkey']}", *holders, "quorum none", ""]))
    assert verify(["certificate", str(tmp_path / "c.tlog-proof"), "--policy", str(tmp_path / "policy")]) == 0


def test_by_number_every_record_it_occurs_in_goes_and_no_other(house: ApiHouse):
    asked = house.tenant("By number")
    mine, others = house.keep_call(asked, "+441632960171"), house.keep_call(asked, "+441632960172")
    erased(house, asked, {"number": "+44 1632 960171"})
    assert ask(house, asked, "GET", f"/v1/calls/{mine.record}").status == 410
    assert ask(house, asked, "GET", f"/v1/recordings/{mine.recording}").status == 410
    assert ask(house, asked, "GET", f"/v1/calls/{others.record}").status == 200
    assert ask(house, asked, "POST", "/v1/subjects", {"number": "+441632960171"}).json["holdings"] == []
    again = ask(house, asked, "POST", "/v1/erasures", {"ground": "subject-request", "number": "+441632960171"})
    assert again.status == 404


def test_a_day_of_a_category_goes_and_the_day_beside_it_stays(house: ApiHouse):
    asked = house.tenant("By day")
    old, new = house.keep_call(asked, CALLER, ago_days=3), house.keep_call(asked, CALLER, ago_days=1)
    day = (dt.datetime.now(dt.UTC) - dt.timedelta(days=3)).date().isoformat()
    body = {"day": {"category": "call-record", "day": day}}
    erased(house, asked, body, state="removed")
    assert ask(house, asked, "GET", f"/v1/calls/{old.record}").status == 410
    assert ask(house, asked, "GET", f"/v1/recordings/{old.recording}").status == 200
    assert ask(house, asked, "GET", f"/v1/calls/{new.record}/content").status == 200
    again = ask(house, asked, "POST", "/v1/erasures", {"ground": "instruction", **body})
    assert (again.status, again.code) == (409, "day-already-erased")


def test_an_erasure_that_is_asked_for_twice_with_one_key_is_one(house: ApiHouse, tenant: Tenant):
    call = house.keep_call(tenant, CALLER)
    body = {"ground": "instruction", "records": [str(call.record)]}
    first, second = (ask(house, tenant, "POST", "/v1/erasures", body, Idempotency_Key="erase-1") for _ in range(2))
    assert (first.status, second.status) == (202, 202)
    assert first.json["id"] == second.json["id"]
    assert second.headers["idempotent-replayed"] == "true"
    without_key = ask(house, tenant, "POST", "/v1/erasures", body)
    assert (without_key.status, without_key.code) == (410, "record-erased")


def test_the_inventory_counts_what_is_held_and_says_where(house: ApiHouse):
    counted = house.tenant("Counted")
    house.keep_call(counted, CALLER)
    lines = {line["category"]: line for line in ask(house, counted, "GET", "/v1/inventory").json["categories"]}
    assert (lines["call-record"]["records"], lines["recording"]["records"]) == (1, 1)
    assert lines["billing-record"]["records"] == 0
    assert lines["recording"]["where"] == ["database", "objects"]
    assert lines["recording"]["bytes"] > 8000


def test_idempotency_rows_hold_nothing_that_was_sent(house: ApiHouse, tenant: Tenant):
    """A body with a number in it must not be guessable from the hash of the request: the hash is keyed."""
    body = {"ground": "instruction", "number": "+441632960199"}
    ask(house, tenant, "POST", "/v1/erasures", body, Idempotency_Key="a-known-key")
    rows = house.cluster_rows("SELECT key_sha256, request_sha256, resource FROM governance.idempotency")
    assert rows
    plain = hashlib.sha256(b"a-known-key").digest()
    assert all(plain not in (row[0], row[1]) and len(row[0]) == len(row[1]) == 32 for row in rows)


def _log_size(house: ApiHouse, tenant: Tenant) -> int:
    return int(ask(house, tenant, "GET", "/v1/log/checkpoint").body.splitlines()[1])


def test_the_process_ends_cleanly_when_told_to(house: ApiHouse):
    """Last in this file."""
    child = house.cloud.child("api")

    async def stopped() -> int:
        await child.stop()
        return await child.wait()

    assert asyncio.run(stopped()) == 0
    assert house.log_lines()[-1]["event"] == "process.stopped"
