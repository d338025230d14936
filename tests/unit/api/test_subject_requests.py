"""Requests of data subjects over the API: received, watched, answered in full, at nobody else's cost."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pyrage
import pytest
from tests.api_house import CALLEE, Answer, ApiHouse, KeptCall, Tenant, house

from sealwire.custody.categories import Recording
from sealwire.custody.lifecycle import Custody, Kept
from sealwire.vocabulary import CallId, Day, Party, RecordId

__all__ = ["house"]
BASE = "/v1/subject-requests"


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Asked")


def made(house: ApiHouse, tenant: Tenant, kind: str, person: str, **more: Any) -> str:
    answer = house.ask("POST", BASE, secret=tenant.secret, body={"kind": kind, "identifier": person, **more})
    assert answer.status == 201, answer
    assert person not in json.dumps(answer.json)
    return str(answer.json["id"])


def step(house: ApiHouse, tenant: Tenant, request: str, verb: str, body: dict[str, Any] | None = None) -> Answer:
    return house.ask("POST", f"{BASE}/{request}/{verb}", secret=tenant.secret, body=body)


def lines_of(house: ApiHouse, tenant: Tenant, request: str) -> list[dict[str, Any]]:
    answer = house.ask("GET", f"{BASE}/{request}/answer", secret=tenant.secret)
    assert answer.status == 200, answer
    return [json.loads(line) for line in answer.body.splitlines()]


def stereo(house: ApiHouse, tenant: Tenant, caller: str, left: bytes, right: bytes, key: str | None = None) -> RecordId:
    audio = b"".join(left[at : at + 2] + right[at : at + 2] for at in range(0, len(left), 2))

    async def keep(custody: Custody) -> Kept:
        now = dt.datetime.now(dt.UTC)
        media = await custody.begin_media(tenant.account, Recording, starts_at_day=Day.of(now))
        for at in range(0, len(audio), 997):  # pieces that end within a sample
            await media.write(audio[at : at + 997])
        record = Recording(
            call_id=CallId.new(), started_at=now, duration_ms=1, caller=Party(caller), callee=Party(CALLEE),
            audio_sha256=await media.finish(), channels=2, encryption="age" if key else None, key_id=key,
        )  # fmt: skip
        return await custody.keep(tenant.account, record, media=media)

    return house.in_custody(keep).record


def test_a_request_is_due_a_month_after_it_was_received_and_stands_in_the_list(house: ApiHouse, tenant: Tenant):
    received = dt.datetime.now(dt.UTC) - dt.timedelta(days=40)
    request = made(house, tenant, "access", "+441632960701", received_at=received.isoformat())
    seen = house.ask("GET", f"{BASE}/{request}", secret=tenant.secret).json
    assert seen["overdue"] is True
    overdue = house.ask("GET", f"{BASE}?overdue=true", secret=tenant.secret).json["items"]
    assert [each["id"] for each in overdue] == [request]
    more = step(house, tenant, request, "extend", {"reason": "complexity"}).json
    assert (more["state"], more["overdue"]) == ("extended", False)
    assert step(house, tenant, request, "extend", {"reason": "complexity"}).code == "extended-before"
    assert step(house, tenant, request, "refuse", {"reason": "excessive"}).json["refused_for"] == "excessive"
    assert step(house, tenant, request, "advance", {"to": "done"}).code == "step-refused"


def test_an_answer_tells_everything_about_the_person_and_nothing_about_the_other(house: ApiHouse, tenant: Tenant):
    person = "+441632960702"
    kept: KeptCall = house.keep_call(tenant, person)
    request = made(house, tenant, "access", CALLEE)
    first, *records, summary = lines_of(house, tenant, request)
    assert first["type"] == "answer"
    assert summary["complete"] is True
    assert person not in json.dumps(records)
    mine = {line["id"]: line for line in records}
    call = mine[str(kept.record)]
    assert (call["subject_is"], call["left_out"]) == (["callee"], ["caller", "digits"])
    assert call["content"]["callee"] == CALLEE
    assert {"purpose", "source", "recipients", "ground", "due_on", "in_backups_until", "looks"} <= call.keys()
    audio = mine[str(kept.recording)]["audio"]
    assert (audio["channel"], audio["handed_out"]) == ("mixed", False)
    assert summary["counts"]["audio_not_handed_out"] >= 1
    again = {line.get("id"): line for line in lines_of(house, tenant, request)}
    assert [look["purpose"] for look in again[str(kept.record)]["looks"]] == ["subject-request"]


def test_access_is_done_only_after_a_complete_answer_and_when_nothing_came_since(house: ApiHouse, tenant: Tenant):
    person = "+441632960703"
    house.keep_call(tenant, person)
    request = made(house, tenant, "access", person)
    assert step(house, tenant, request, "advance", {"to": "done"}).code == "not-complete"
    lines_of(house, tenant, request)
    house.keep_call(tenant, person)
    refused = step(house, tenant, request, "advance", {"to": "done"})
    assert (refused.status, refused.code) == (409, "not-complete")
    assert "5 now" in refused.json["detail"]
    lines_of(house, tenant, request)
    assert step(house, tenant, request, "advance", {"to": "done"}).json["state"] == "done"


def test_nobody_gets_data_while_it_is_in_doubt_who_asks(house: ApiHouse, tenant: Tenant):
    request = made(house, tenant, "access", "+441632960704")
    assert step(house, tenant, request, "advance", {"to": "identity-doubt"}).json["state"] == "identity-doubt"
    assert house.ask("GET", f"{BASE}/{request}/answer", secret=tenant.secret).code == "answer-refused"
    assert step(house, tenant, request, "advance", {"to": "in-progress"}).json["state"] == "in-progress"
    assert len(lines_of(house, tenant, request)) == 3  # of the request itself, too


def test_the_archive_opens_with_age_and_tar_and_its_manifest_has_the_hash_of_every_file(
    house: ApiHouse, tenant: Tenant, tmp_path: Path
):
    assert shutil.which("age")
    person, pair = "+441632960705", pyrage.x25519.Identity.generate()
    left, right = bytes([1, 2]) * 4000, bytes([3, 4]) * 4000
    own, sealed = stereo(house, tenant, person, left, right), stereo(house, tenant, person, left, right, "rcp_x")
    mixed = house.keep_call(tenant, person)
    request = made(house, tenant, "portability", person, recipient=str(pair.to_public()))
    answer = house.ask("GET", f"{BASE}/{request}/archive", secret=tenant.secret)
    assert answer.headers["content-type"] == "application/age"
    assert person.encode() not in answer.body
    (tmp_path / "key").write_text(str(pair))
    (tmp_path / "a.tar.age").write_bytes(answer.body)
    subprocess.run("age -d -i key a.tar.age | tar x", shell=True, cwd=tmp_path, check=True, timeout=60)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["summary"]["complete"] is True
    for member in manifest["members"]:
        content = (tmp_path / member["name"]).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (member["bytes"], member["sha256"])
    assert (tmp_path / f"media/{own}.wav").read_bytes()[44:] == left
    assert [path.name for path in (tmp_path / "media").iterdir()] == [f"{own}.wav"]
    told = [line for path in (tmp_path / "records").glob("*.json") for line in json.loads(path.read_text())]
    assert {str(own), str(sealed), str(mixed.record), str(mixed.recording)} <= {line["id"] for line in told}
    (held,) = [line["audio"] for line in told if line["id"] == str(sealed)]
    assert (held["sealed_to"], held["opened_by"]) == ("rcp_x", "the controller")
    assert manifest["summary"]["counts"]["sealed_to_the_controller"] == 1
    table = next((tmp_path / "records").glob("call-record-*.csv")).read_text()
    assert f"'{person}" in table


def test_an_archive_needs_a_key_to_be_sealed_to(house: ApiHouse, tenant: Tenant):
    request = made(house, tenant, "portability", "+441632960706")
    answer = house.ask("GET", f"{BASE}/{request}/archive", secret=tenant.secret)
    assert (answer.status, answer.code) == (409, "recipient-needed")


def test_erasing_somebody_of_whom_nothing_is_held_is_a_404_that_says_so(house: ApiHouse, tenant: Tenant):
    request = made(house, tenant, "erasure", "+441632960707")
    answer = step(house, tenant, request, "advance", {"to": "done"})
    assert (answer.status, answer.code) == (404, "nothing-held")
    assert house.ask("GET", f"{BASE}/{request}", secret=tenant.secret).json["state"] == "received"


def test_an_erasure_is_previewed_carried_out_and_told(house: ApiHouse, tenant: Tenant):
    person = "+441632960708"
    house.keep_call(tenant, person)
    request = made(house, tenant, "erasure", person)
    preview = step(house, tenant, request, "preview").json
    assert preview["erased"] == {"call-record": 1, "recording": 1}
    done = step(house, tenant, request, "advance", {"to": "done"}).json
    assert (done["state"], done["counts"]["erased"]) == ("done", 2)
    assert len(done["erasures"]) == 2
    for erasure in done["erasures"]:
        assert house.ask("GET", f"/v1/erasures/{erasure}", secret=tenant.secret).status == 200
    assert house.ask("GET", f"{BASE}/{request}/answer", secret=tenant.secret).status == 409
    assert step(house, tenant, request, "preview").code == "person-forgotten"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"kind": "access", "identifier": ""}, "identifier-malformed"),
        ({"kind": "access", "identifier": "not a person"}, "identifier-malformed"),
        ({"kind": "restriction", "identifier": "+441632960709"}, "kind-needs-more"),
        ({"kind": "rectification", "identifier": "+441632960709"}, "kind-needs-more"),
        ({"kind": "access", "identifier": "+441632960709", "recipient": "age1x"}, "recipient-malformed"),
        ({"kind": "access", "identifier": "+441632960709", "received_at": "2999-01-01T00:00:00Z"}, "received-later"),
        ({"kind": "forgetting", "identifier": "+441632960709"}, "fields-wrong"),
    ],
)
def test_a_request_that_could_not_be_carried_out_is_refused_at_once(
    house: ApiHouse, tenant: Tenant, body: dict[str, Any], code: str
):
    answer = house.ask("POST", BASE, secret=tenant.secret, body=body)
    assert (answer.status // 100, answer.code) == (4, code)


def test_the_same_request_sent_twice_is_received_once(house: ApiHouse, tenant: Tenant):
    body = {"kind": "access", "identifier": "+441632960710"}
    first, second = (
        house.ask("POST", BASE, secret=tenant.secret, body=body, headers={"Idempotency-Key": "one"}) for _ in range(2)
    )
    assert first.json["id"] == second.json["id"]


def test_who_may_open_only_cannot_erase_by_a_request(house: ApiHouse, tenant: Tenant):
    made_one = house.ask(
        "POST", "/v1/credentials", secret=tenant.secret, body={"label": "x", "scopes": ["records:open"]}
    ).json["secret"]
    answer = house.ask("POST", BASE, secret=made_one, body={"kind": "erasure", "identifier": "+441632960711"})
    assert (answer.status, answer.code) == (403, "not-permitted")


def test_who_objected_is_in_no_report_and_the_others_are(house: ApiHouse, tenant: Tenant):
    person = "+441632960712"
    mine, theirs = house.keep_call(tenant, person), house.keep_call(tenant, "+441632960713")
    request = made(house, tenant, "objection", person)
    assert step(house, tenant, request, "advance", {"to": "done"}).json["state"] == "done"
    body = {"of": "call-records", "format": "json"}
    report = house.ask("POST", "/v1/reports", secret=tenant.secret, body=body).json["id"]
    ends_s = time.monotonic() + 30
    while house.ask("GET", f"/v1/reports/{report}", secret=tenant.secret).json["state"] != "ready":
        assert time.monotonic() < ends_s
        time.sleep(0.1)
    purpose = {"Sealwire-Purpose": "quality-assurance"}
    content = house.ask("GET", f"/v1/reports/{report}/content", secret=tenant.secret, headers=purpose).body.decode()
    assert str(theirs.record) in content
    assert str(mine.record) not in content
