"""A full disk, no log, no keeper: whoever writes is told 503, and nothing half is kept. For all the new writers.

Objects stand on a real file system that is full. Of the database's disk the tests have PostgreSQL say that it is full
(SQLSTATE 53100) at the very table where it should be, so that each step of a writer is where it stops.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from sealwire.config import Settings
from sealwire.doors.first_start import operator_credential_file
from sealwire.doors.supervisor import Cloud
from sealwire.ground.postgres.cluster import dsn
from tests import ports
from tests.api_house import PARTS, Answer, ApiHouse, Tenant
from tests.holdings import PLENTY, wav_file

pytestmark = pytest.mark.timeout(180)
OURS, PERSON = "+441632960179", "+441632960180"
FULL = """
CREATE FUNCTION public.disk_is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$
"""
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system takes root")


@pytest.fixture(scope="module")
def house() -> Iterator[ApiHouse]:
    folder = Path(tempfile.mkdtemp(prefix="sealwire-room-")).resolve()
    settings = Settings(data_dir=folder, api_listen=f"127.0.0.1:{ports.take()}", smsc="smpp://nobody@127.0.0.1:31399")
    cloud = Cloud(settings, parts=PARTS)
    try:
        asyncio.run(cloud.start())
        assert cloud.certificates is not None
        context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
        running = ApiHouse(settings, cloud, context, operator_credential_file(settings).read_text().strip())
        as_owner(running, FULL)
        yield running
    finally:
        asyncio.run(cloud.stop())
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    made = house.tenant("Roomless")
    limits, number = f"/v1/accounts/{made.account}/limits", f"/v1/accounts/{made.account}/numbers"
    assert house.ask("PUT", limits, secret=house.operator, body=PLENTY).status == 200
    assert house.ask("POST", number, secret=house.operator, body={"number": OURS}).status == 201
    destinations = {"items": [{"destination": "GB"}]}
    assert house.ask("PUT", "/v1/limits/destinations", secret=made.secret, body=destinations).status == 200
    return made


def as_owner(house: ApiHouse, statement: str) -> None:
    async def execute() -> None:
        connection = await asyncpg.connect(dsn(house.settings, "sealwire_owner"))
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute())


@contextmanager
def full_at(house: ApiHouse, table: str) -> Iterator[None]:
    """The disk is full when somebody writes to this table."""
    as_owner(
        house,
        f"CREATE TRIGGER disk_is_full BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION public.disk_is_full()",
    )
    try:
        yield
    finally:
        as_owner(house, f"DROP TRIGGER disk_is_full ON {table}")


@contextmanager
def without(house: ApiHouse, name: str) -> Iterator[None]:
    child = house.cloud.child(name)
    asyncio.run(child.stop())
    try:
        yield
    finally:
        child.start()
        until(lambda: all(house.ask("GET", "/v1/health").json["ready"].values()))


def until(holds: Callable[[], Any], *, seconds: float = 30) -> Any:
    ends_s = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < ends_s, "it did not come true in time"
        time.sleep(0.05)
    return found


def ask(house: ApiHouse, tenant: Tenant, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = {"Sealwire-Purpose": "quality-assurance"} | {name.replace("_", "-"): each for name, each in headers.items()}
    return house.ask(method, path, secret=tenant.secret, body=body, headers=sent)


def listed(house: ApiHouse, tenant: Tenant, what: str) -> list[dict[str, Any]]:
    return list(ask(house, tenant, "GET", f"/v1/{what}").json["items"])


def send(house: ApiHouse, tenant: Tenant, **headers: str) -> Answer:
    return ask(house, tenant, "POST", "/v1/messages", {"from": OURS, "to": PERSON, "text": "See you."}, **headers)


def upload(house: ApiHouse, tenant: Tenant, seconds: float = 1.0) -> Answer:
    headers = {"Content_Type": "audio/wav", "Sealwire_Media_Name": "room.wav"}
    return ask(house, tenant, "POST", "/v1/media", wav_file(seconds), **headers)


def report(house: ApiHouse, tenant: Tenant, **more: Any) -> Answer:
    return ask(house, tenant, "POST", "/v1/reports", {"of": "message-records"} | more)


def endpoint(house: ApiHouse, tenant: Tenant) -> str:
    wanted = {"address": "https://hooks.example/x", "events": ["call.ended"]}
    return str(ask(house, tenant, "POST", "/v1/webhooks", wanted).json["id"])


def is_told(answer: Answer) -> bool:
    """A 503 that says when to come back, as a problem."""
    assert answer.status == 503, answer
    assert answer.code.endswith(("-unavailable", "-full", "-silent")), answer.code
    return "retry-after" in answer.headers


def objects(house: ApiHouse) -> set[Path]:
    return {file for file in house.settings.objects_dir.rglob("*") if file.is_file()}


def reserved(house: ApiHouse) -> list[Any]:
    return house.cluster_rows("SELECT FROM governance.reservation WHERE state = 'held'")


@pytest.mark.parametrize("table", ["custody.message_content", "evidence.kept_outbox"])
def test_a_message_that_cannot_be_kept_is_not_accepted_and_costs_nothing(house: ApiHouse, tenant: Tenant, table: str):
    before, held = listed(house, tenant, "messages"), len(reserved(house))
    with full_at(house, table):
        assert is_told(send(house, tenant, Idempotency_Key=table))
        assert listed(house, tenant, "messages") == before
        assert len(reserved(house)) == held
    assert send(house, tenant, Idempotency_Key=table).status == 202
    assert len(listed(house, tenant, "messages")) == len(before) + 1


def test_a_message_that_cannot_be_queued_is_not_kept_either_and_costs_nothing(house: ApiHouse, tenant: Tenant):
    before, held = listed(house, tenant, "messages"), len(reserved(house))
    with full_at(house, "communications.message"):
        assert is_told(send(house, tenant, Idempotency_Key="queue"))
        assert listed(house, tenant, "messages") == before
        assert len(reserved(house)) == held
    again = send(house, tenant, Idempotency_Key="queue")
    assert (again.status, again.json["state"]) == (202, "accepted")


def test_a_file_whose_record_cannot_be_written_is_not_there_and_its_object_goes(house: ApiHouse, tenant: Tenant):
    before = objects(house)
    with full_at(house, "custody.media_file"):
        assert is_told(upload(house, tenant))
        assert listed(house, tenant, "media") == []
    kept = upload(house, tenant)
    assert kept.status == 201
    assert [item["id"] for item in listed(house, tenant, "media")] == [kept.json["id"]]
    assert len(objects(house)) == len(before) + 1
    assert house.cluster_rows("SELECT FROM custody.media_begun") == []


@needs_root
def test_a_file_that_no_longer_fits_is_refused_and_leaves_nothing(house: ApiHouse, tenant: Tenant):
    before = listed(house, tenant, "media")
    with small_objects(house):
        assert is_told(upload(house, tenant, 200.0))
        assert objects(house) == set()
        assert listed(house, tenant, "media") == before
        assert house.cluster_rows("SELECT FROM custody.media_begun") == []
    assert upload(house, tenant, 200.0).status == 201


@needs_root
def test_a_report_that_does_not_fit_waits_for_room(house: ApiHouse, tenant: Tenant):
    with small_objects(house):
        (house.settings.objects_dir / "fill").write_bytes(b"x" * (1 << 20) if _fits(house) else b"")
        asked = report(house, tenant).json["id"]
        time.sleep(1.5)
        assert ask(house, tenant, "GET", f"/v1/reports/{asked}").json["state"] in ("queued", "running")
        assert [file.name for file in objects(house)] == ["fill"]
    until(lambda: ask(house, tenant, "GET", f"/v1/reports/{asked}").json["state"] == "ready")
    assert ask(house, tenant, "GET", f"/v1/reports/{asked}/content").status == 200


def test_what_cannot_be_asked_for_is_told_and_nothing_is_asked_for(house: ApiHouse, tenant: Tenant):
    hook, reports = endpoint(house, tenant), listed(house, tenant, "reports")
    with full_at(house, "communications.report"):
        assert is_told(report(house, tenant))
    with full_at(house, "communications.webhook_outbox"):
        assert is_told(ask(house, tenant, "POST", f"/v1/webhooks/{hook}/test"))
    assert listed(house, tenant, "reports") == reports
    assert ask(house, tenant, "GET", "/v1/webhook-deliveries/pending").json["items"] == []


@pytest.mark.slow
def test_a_delivery_whose_record_cannot_be_kept_is_kept_once_there_is_room(house: ApiHouse, tenant: Tenant):
    hook = endpoint(house, tenant)
    with full_at(house, "custody.webhook_delivery"):
        told = ask(house, tenant, "POST", f"/v1/webhooks/{hook}/test").json["delivery_id"]
        ask(house, tenant, "DELETE", f"/v1/webhooks/{hook}")
        until(lambda: house.cluster_rows("SELECT FROM communications.webhook_outbox WHERE ended_at IS NOT NULL"))
        assert listed(house, tenant, "webhook-deliveries") == []
    as_owner(house, "UPDATE communications.webhook_outbox SET due_at = due_at - interval '1 hour'")
    (kept,) = until(lambda: listed(house, tenant, "webhook-deliveries"))
    assert kept["id"] == told
    assert house.cluster_rows("SELECT FROM communications.webhook_outbox") == []


def test_without_the_keeper_no_writer_keeps_anything_and_reports_wait(house: ApiHouse, tenant: Tenant):
    before = [len(listed(house, tenant, what)) for what in ("messages", "media")]
    files = objects(house)
    with without(house, "keeper"):
        for answer in (send(house, tenant), upload(house, tenant)):
            assert is_told(answer)
        asked = report(house, tenant, with_content=True, purpose="quality-assurance").json["id"]
        time.sleep(1)
        assert ask(house, tenant, "GET", f"/v1/reports/{asked}").json["state"] in ("queued", "running")
        assert [len(listed(house, tenant, what)) for what in ("messages", "media")] == before
        assert objects(house) == files
    until(lambda: ask(house, tenant, "GET", f"/v1/reports/{asked}").json["state"] == "ready", seconds=60)


def test_without_the_log_what_is_kept_waits_for_its_leaf_and_none_of_it_opens(house: ApiHouse, tenant: Tenant):
    with without(house, "sequencer"):
        message, media = send(house, tenant), upload(house, tenant)
        assert (message.status, media.status) == (202, 201)
        assert house.cluster_rows("SELECT FROM evidence.kept_outbox") != []
        asked = report(house, tenant, with_content=True, purpose="quality-assurance").json["id"]
        opening = [f"/v1/messages/{message.json['id']}/content", f"/v1/media/{media.json['id']}/audio"]
        for path in opening:
            answer = ask(house, tenant, "GET", path)
            assert (answer.status, answer.code) == (503, "evidence-unavailable")
        assert ask(house, tenant, "GET", f"/v1/reports/{asked}").json["state"] != "ready"
    for path in opening:
        assert ask(house, tenant, "GET", path).status == 200
    until(lambda: house.cluster_rows("SELECT FROM evidence.kept_outbox") == [])
    until(lambda: ask(house, tenant, "GET", f"/v1/reports/{asked}").json["state"] == "ready", seconds=60)


@contextmanager
def small_objects(house: ApiHouse) -> Iterator[None]:
    """Objects on a file system of 1 MiB meanwhile; what was there before is there again afterwards."""
    where = str(house.settings.objects_dir)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", where]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", where], check=True)


def _fits(house: ApiHouse) -> bool:
    return shutil.disk_usage(house.settings.objects_dir).free >= 1 << 20
