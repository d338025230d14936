"""Registering, renewing and revoking programs over the API of a running cloud, and what a gateway makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from tests import ports
from tests.api_house import Answer, ApiHouse, Tenant, house
from tests.unit.programs.house import ProgramFiles, RawProgram, new_request
from tests.unit.programs.memory_call import MemorySounds

from sealwire.communications.control.programs.directory import ProgramDirectory
from sealwire.doors.uas_gateway import UasGateway
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import ProgramId

__all__ = ["house"]


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Programs")


def ask(house: ApiHouse, tenant: Tenant, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.ask(method, path, secret=tenant.secret, body=body, headers=sent)


def registered(house: ApiHouse, tenant: Tenant, **headers: str) -> tuple[dict[str, Any], bytes]:
    key, request = new_request()
    made = ask(house, tenant, "POST", "/v1/programs", {"label": "ivr", "request": request}, **headers)
    assert made.status == 201, made
    return dict(made.json), key


def test_a_program_is_registered_listed_renewed_and_revoked(house: ApiHouse, tenant: Tenant) -> None:
    made, _ = registered(house, tenant)
    certificate = x509.load_pem_x509_certificate(made["certificate"].encode())
    (name,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert name.value == f"sealwire-program:{tenant.account}/{made['id']}"
    assert 89 <= (certificate.not_valid_after_utc - SystemClock().now()).days <= 90
    assert made["authority"].startswith("-----BEGIN CERTIFICATE-----")
    assert ask(house, tenant, "GET", "/v1/programs").json["items"][0]["id"] == made["id"]
    path = f"/v1/programs/{made['id']}"
    renewed = ask(house, tenant, "POST", f"{path}/renewals", {"request": new_request()[1]})
    assert (renewed.status, renewed.json["id"]) == (201, made["id"])
    assert renewed.json["certificate"] != made["certificate"]
    assert ask(house, tenant, "GET", path).json["certificate"] == renewed.json["certificate"]
    assert ask(house, tenant, "DELETE", path).status == 204
    assert ask(house, tenant, "DELETE", path).status == 204
    assert ask(house, tenant, "GET", path).json["revoked_at"] is not None
    refused = ask(house, tenant, "POST", f"{path}/renewals", {"request": new_request()[1]})
    assert (refused.status, refused.code) == (409, "program-revoked")


def test_a_program_is_registered_once_however_often_it_is_asked_for(house: ApiHouse, tenant: Tenant) -> None:
    body = {"label": "once", "request": new_request()[1]}
    answers = [ask(house, tenant, "POST", "/v1/programs", body, Idempotency_Key="once") for _ in range(2)]
    assert answers[0].json == answers[1].json
    assert answers[1].headers["idempotent-replayed"] == "true"


def test_somebody_elses_program_and_none_at_all_cannot_be_told_apart(house: ApiHouse, tenant: Tenant) -> None:
    theirs, _ = registered(house, house.tenant("Others"))
    for method, rest, body in (("GET", "", None), ("DELETE", "", None), ("POST", "/renewals", new_request()[1])):
        sent = {"request": body} if body else None
        answers = [
            ask(house, tenant, method, f"/v1/programs/{wanted}{rest}", sent)
            for wanted in (theirs["id"], ProgramId.new())
        ]
        assert [(each.status, each.code) for each in answers] == [(404, "program-missing")] * 2
        assert answers[0].json["detail"] == answers[1].json["detail"]


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "no PEM",
        "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n",
        "-----BEGIN CERTIFICATE REQUEST-----\n" + "A" * 7000,
    ],
)
def test_what_is_no_request_is_refused(house: ApiHouse, tenant: Tenant, wrong: str) -> None:
    answer = ask(house, tenant, "POST", "/v1/programs", {"label": "x", "request": wrong})
    assert (answer.status, answer.code) == (422, "request-wrong")


def test_a_credential_without_the_scope_registers_nothing(house: ApiHouse, tenant: Tenant) -> None:
    body = {"label": "reader", "scopes": ["records:list"]}
    reader = ask(house, tenant, "POST", "/v1/credentials", body).json["secret"]
    body = {"label": "x", "request": new_request()[1]}
    assert house.ask("POST", "/v1/programs", secret=reader, body=body).code == "not-permitted"
    assert house.ask("GET", "/v1/programs", secret=reader).status == 200


async def test_what_the_api_revokes_the_gateway_cuts_within_a_second(
    house: ApiHouse, tenant: Tenant, tmp_path: Path
) -> None:
    made, key = await asyncio.to_thread(registered, house, tenant)
    files = ProgramFiles(ProgramId.parse(made["id"]), tmp_path / "certificate", tmp_path / "key")
    files.certificate.write_text(made["certificate"])
    files.key.write_bytes(key)
    (tmp_path / "authority").write_text(made["authority"])
    settings = msgspec.structs.replace(house.settings, uas_listen=f"127.0.0.1:{ports.take()}")
    database = await Database.connect(dsn(settings, "sealwire_service"))
    directory = ProgramDirectory(sounds=MemorySounds())
    gateway = UasGateway(settings, directory, database=database, clock=SystemClock())
    await gateway.start()
    watch = asyncio.ensure_future(gateway.watch())
    try:
        raw = await RawProgram.connect(settings.uas_listen, authority=tmp_path / "authority", files=files)
        raw.hello("menu")
        assert (await raw.frame())["program"] == made["id"]
        assert directory.application(tenant.account, "menu") is not None
        revoked = await asyncio.to_thread(ask, house, tenant, "DELETE", f"/v1/programs/{made['id']}")
        assert revoked.status == 204
        assert (await raw.frame("goodbye", seconds_max=1))["code"] == "program-refused"
        assert await raw.is_cut(seconds_max=1)
    finally:
        watch.cancel()
        await gateway.stop()
        await database.close()
