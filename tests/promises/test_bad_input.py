"""Whatever comes in is answered clearly: a problem document with a sentence that says what to do, and nothing is done.

No sentence, address or log line repeats what was sent: a telephone number in the wrong place stays there.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sealwire.doors.api.pagination import write_cursor
from sealwire.vocabulary import AccountId, RecordId
from tests.api_house import ApiHouse, Tenant, house, read_answer

__all__ = ["house"]
MISPLACED = "+441632960345"
RANDOM_RECORD = f"rec_{'5f' * 16}"
QUALITY = {"Sealwire-Purpose": "quality-assurance"}
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    made = house.tenant("Careful")
    house.keep_call(made, "+441632960111")
    return made


def post(path: str, body: Any, **headers: str) -> dict[str, Any]:
    return {"method": "POST", "path": path, "body": body, "headers": headers}


def get(path: str, **headers: str) -> dict[str, Any]:
    return {
        "method": "GET",
        "path": path,
        "headers": {name.replace("_", "-"): value for name, value in headers.items()},
    }


WRONG = {
    "a malformed number": (post("/v1/subjects", {"number": "one two three"}, **QUALITY), 422, "malformed"),
    "a number that is no text": (post("/v1/subjects", {"number": 441632960345}, **QUALITY), 422, "fields-wrong"),
    "a number as long as a book": (post("/v1/subjects", {"number": "+4" * 5000}, **QUALITY), 422, "fields-wrong"),
    "a purpose that is none": (
        get(f"/v1/calls/{RANDOM_RECORD}/content", **{"Sealwire-Purpose": "curiosity"}), 422, "malformed",
    ),
    "a purpose in the body that is none": (
        post("/v1/subjects", {"number": MISPLACED, "purpose": MISPLACED}), 422, "fields-wrong",
    ),
    "no purpose at all": (get(f"/v1/calls/{RANDOM_RECORD}/content"), 403, "purpose-missing"),
    "an id that is none": (get("/v1/calls/17"), 400, "id-malformed"),
    "an id of another kind": (get(f"/v1/erasures/{RANDOM_RECORD}"), 400, "id-malformed"),
    "an id in capitals": (get(f"/v1/calls/rec_{'5F' * 16}"), 400, "id-malformed"),
    "an id with a null byte": (get(f"/v1/calls/{RANDOM_RECORD}%00"), 400, "id-malformed"),
    "an id of nothing": (get(f"/v1/calls/{RANDOM_RECORD}"), 404, "record-missing"),
    "a number as an id": (get(f"/v1/calls/{MISPLACED}"), 400, "id-malformed"),
    "a number as a query": (get(f"/v1/calls?number={MISPLACED}"), 400, "query-wrong"),
    "a number as a limit": (get(f"/v1/calls?limit={MISPLACED[1:]}"), 400, "query-wrong"),
    "a parameter twice": (get("/v1/calls?limit=1&limit=2"), 400, "query-wrong"),
    "a limit of nothing": (get("/v1/calls?limit=0"), 400, "query-wrong"),
    "a limit that is no number": (get("/v1/calls?limit=all"), 400, "query-wrong"),
    "a cursor of noise": (get("/v1/calls?cursor=xyzzy"), 400, "cursor-malformed"),
    "a cursor that is not base64": (get("/v1/calls?cursor=%C3%A4%25"), 400, "cursor-malformed"),
    "an empty cursor": (get("/v1/calls?cursor="), 400, "cursor-malformed"),
    "a cursor of another list": (get("/v1/calls?cursor=CURSOR"), 400, "cursor-malformed"),
    "no JSON": (post("/v1/credentials", b"label=x&scopes=owner"), 400, "body-not-json"),
    "half of a JSON document": (post("/v1/credentials", b'{"label": "x", "sco'), 400, "body-not-json"),
    "JSON that is not UTF-8": (post("/v1/credentials", b'{"label": "\xff\xfe"}'), 400, "body-not-json"),
    "JSON nested without end": (post("/v1/credentials", b"[" * 100_000), 400, "body-not-json"),
    "an empty body": (post("/v1/credentials", b""), 422, "fields-wrong"),
    "JSON that is no object": (post("/v1/credentials", [1, 2]), 422, "fields-wrong"),
    "an unknown field": (
        post("/v1/credentials", {"label": "x", "scopes": ["owner"], "admin": True}), 422, "fields-wrong",
    ),
    "a field that is a number": (
        post("/v1/credentials", {"label": "x", "scopes": ["owner"], MISPLACED: True}), 422, "fields-wrong",
    ),
    "a scope that is none": (post("/v1/credentials", {"label": "x", "scopes": [MISPLACED]}), 422, "fields-wrong"),
    "a scope above one's own": (post("/v1/credentials", {"label": "x", "scopes": ["operator"]}), 422, "malformed"),
    "an agreement that changed": (post("/v1/agreements", {"sha256": "00" * 32}), 422, "agreement-changed"),
    "an idempotency key with a space": (
        post("/v1/credentials", {"label": "x", "scopes": ["owner"]}, **{"Idempotency-Key": "a b"}),
        422, "idempotency-key-malformed",
    ),
    "nothing to erase": (post("/v1/erasures", {"ground": "instruction"}), 422, "erase-one-thing"),
    "two things to erase": (
        post("/v1/erasures", {"ground": "instruction", "number": MISPLACED, "call": f"call_{'5f' * 16}"}),
        422, "erase-one-thing",
    ),
    "a ground that is none": (post("/v1/erasures", {"ground": "tidiness", "number": MISPLACED}), 422, "fields-wrong"),
    "a ground of ours alone": (post("/v1/erasures", {"ground": "retention", "number": MISPLACED}), 422, "fields-wrong"),
    "a category that is none": (
        post("/v1/erasures", {"ground": "instruction", "day": {"category": "cat", "day": "2026-01-01"}}),
        422, "category-unknown",
    ),
    "a day that is none": (
        post("/v1/erasures", {"ground": "instruction", "day": {"category": "recording", "day": "2026-02-30"}}),
        422, "fields-wrong",
    ),
    "a day before all days": (
        post("/v1/erasures", {"ground": "instruction", "day": {"category": "recording", "day": "1066-10-14"}}),
        422, "malformed",
    ),
    "what a statute protects": (
        post("/v1/erasures", {"ground": "instruction", "day": {"category": "billing-record", "day": "2026-01-01"}}),
        409, "statutory-record",
    ),
    "a list without records": (post("/v1/erasures", {"ground": "instruction", "records": []}), 422, "fields-wrong"),
    "an index beyond the log": (get("/v1/log/proofs/inclusion?index=999999999"), 422, "size-out-of-range"),
    "an index below nothing": (get("/v1/log/proofs/inclusion?index=-1"), 400, "query-wrong"),
    "an index beyond all numbers": (get(f"/v1/log/proofs/inclusion?index={10**30}"), 400, "query-wrong"),
    "a log that shrank": (get("/v1/log/proofs/consistency?from=2&to=1"), 422, "size-out-of-range"),
    "a tile that is none": (get("/v1/log/tile/../../../etc/passwd"), 404, "path-unknown"),
    "a tile above the tree": (get("/v1/log/tile/63/000"), 404, "path-unknown"),
    "an address of nothing": (get("/v1/tenants"), 404, "route-missing"),
    "an address outside": (get("/admin.php"), 404, "route-missing"),
    "a method of another address": ({"method": "DELETE", "path": "/v1/calls"}, 405, "method-not-allowed"),
    "a method of nobody": ({"method": "BREW", "path": "/v1/calls"}, 405, "method-not-allowed"),
    "a form": (
        post("/v1/credentials", b"label=x", **{"Content-Type": "application/x-www-form-urlencoded"}),
        415, "content-type-wrong",
    ),
    "text": (post("/v1/credentials", b"{}", **{"Content-Type": "text/plain"}), 415, "content-type-wrong"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_is_answered_with_a_problem_that_says_what_to_do(house: ApiHouse, tenant: Tenant, what: str):
    request, status, code = WRONG[what]
    cursor = write_cursor("erasures", (dt.datetime.now(dt.UTC), RecordId.new().value))
    request = request | {"path": request["path"].replace("CURSOR", cursor)}
    answer = house.ask(**request, secret=tenant.secret)
    assert (answer.status, answer.code) == (status, code)
    assert MISPLACED[1:].encode() not in answer.body
    assert answer.headers["cache-control"] == "no-store"


def test_nothing_that_was_wrong_did_anything(house: ApiHouse, tenant: Tenant):
    """The twin of the table above: no credential, no erasure came of it, and the record is still there."""
    assert [each["label"] for each in _list(house, tenant, "/v1/credentials")] == ["owner"]
    assert _list(house, tenant, "/v1/erasures") == []
    assert [each["id"] for each in _list(house, tenant, "/v1/calls")] == [str(tenant.calls[0].record)]


def test_a_wrong_method_is_told_the_right_ones(house: ApiHouse, tenant: Tenant):
    assert house.ask("PUT", "/v1/credentials", secret=tenant.secret).headers["allow"] == "GET, POST"


def test_a_field_that_is_wrong_is_named(house: ApiHouse, tenant: Tenant):
    answer = house.ask("POST", "/v1/credentials", secret=tenant.secret, body={"label": 5, "scopes": ["owner"]})
    assert answer.json["errors"] == [{"field": "$.label", "problem": "Expected `str`, got `int`"}]


def test_an_unknown_account_is_missing_even_for_the_operator(house: ApiHouse):
    answer = house.ask("GET", f"/v1/accounts/{AccountId.new()}", secret=house.operator)
    assert (answer.status, answer.code) == (404, "account-missing")
    number = {"number": "+441632960222", "service": "greeting"}
    answer = house.ask("POST", f"/v1/accounts/{AccountId.new()}/numbers", secret=house.operator, body=number)
    assert (answer.status, answer.code) == (404, "account-missing")


CREDENTIALS = {
    "none": "",
    "no secret": "Bearer",
    "not one of ours": "Bearer x",
    "another scheme": "Basic c2VhbHdpcmU6eA==",
    "an unknown secret": "Bearer sealwire_" + "A" * 43,
    "a long secret": "Bearer sealwire_" + "A" * 9000,
    "no ASCII": "bearer \xe4",
}


@pytest.mark.parametrize("which", CREDENTIALS)
def test_without_a_good_credential_every_address_says_the_same(house: ApiHouse, which: str):
    header = CREDENTIALS[which]
    for path in ("/v1/calls", "/v1/no-such-thing", "//v1/calls", "/v1/calls/", "/V1/CALLS"):
        answer = house.ask("GET", path, headers={"Authorization": header} if header else {})
        assert (answer.status, answer.code) == (401, "not-authenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_two_credentials_in_one_request_are_refused(house: ApiHouse, tenant: Tenant):
    connection = house.connect()
    connection.putrequest("GET", "/v1/calls")
    for secret in (tenant.secret, house.operator):
        connection.putheader("Authorization", f"Bearer {secret}")
    connection.endheaders()
    assert read_answer(connection.getresponse()).code == "not-authenticated"
    connection.close()


def test_a_credential_without_the_scope_is_refused_whatever_the_id(house: ApiHouse, tenant: Tenant):
    made = house.ask(
        "POST", "/v1/credentials", secret=tenant.secret, body={"label": "lists", "scopes": ["records:list"]}
    )
    lists = made.json["secret"]
    record = tenant.calls[0].record
    assert house.ask("GET", f"/v1/calls/{record}", secret=lists).status == 200
    for request in (
        get(f"/v1/calls/{record}/content", **QUALITY),
        get(f"/v1/recordings/{tenant.calls[0].recording}/audio", **QUALITY),
        post("/v1/subjects", {"number": "+441632960111"}, **QUALITY),
        post("/v1/erasures", {"ground": "instruction", "number": "+441632960111"}),
        get("/v1/credentials"),
    ):
        assert house.ask(**request, secret=lists).code == "not-permitted"
    assert house.ask("DELETE", f"/v1/credentials/{made.json['id']}", secret=tenant.secret).status == 204


def test_the_operator_can_open_and_list_nothing(house: ApiHouse, tenant: Tenant):
    for path in ("/v1/calls", f"/v1/calls/{tenant.calls[0].record}/content", "/v1/log/checkpoint", "/v1/credentials"):
        assert house.ask("GET", path, secret=house.operator, headers=QUALITY).code == "not-permitted"


def test_a_revoked_credential_is_refused_at_once_on_an_open_connection_too(house: ApiHouse, tenant: Tenant):
    made = house.ask("POST", "/v1/credentials", secret=tenant.secret, body={"label": "short", "scopes": ["owner"]}).json
    connection = house.connect()
    header = {"Authorization": f"Bearer {made['secret']}"}
    connection.request("GET", "/v1/calls", headers=header)
    assert read_answer(connection.getresponse()).status == 200
    assert house.ask("DELETE", f"/v1/credentials/{made['id']}", secret=tenant.secret).status == 204
    connection.request("GET", "/v1/calls", headers=header)
    assert read_answer(connection.getresponse()).code == "not-authenticated"
    connection.close()


class Wire:
    """A TLS connection that sends what it likes."""

    def __init__(self, house: ApiHouse) -> None:
        host, _, port = house.settings.api_listen.rpartition(":")
        self.received = b""
        self.socket = house.context.wrap_socket(socket.create_connection((host, int(port)), 10), server_hostname=host)

    def send_head(self, tenant: Tenant, *headers: str) -> None:
        lines = ["POST /v1/credentials HTTP/1.1", "Host: localhost", f"Authorization: Bearer {tenant.secret}", *headers]
        self.socket.sendall("\r\n".join([*lines, "Content-Type: application/json", "", ""]).encode())

    def pour(self, piece: bytes, *, bytes_max: int) -> int:
        """Send piece after piece until there is an answer or the other end hangs up; how much went out."""
        poured = 0
        while poured < bytes_max and not self._has_answer():
            try:
                self.socket.sendall(piece)
            except (ssl.SSLError, OSError):
                break
            poured += len(piece)
        return poured

    def _has_answer(self) -> bool:
        """Whether an answer has begun; a readable socket may hold no more than a TLS session ticket."""
        self.socket.settimeout(0)
        try:
            self.received += self.socket.recv(65536)
        except (ssl.SSLWantReadError, BlockingIOError):
            return False
        except (ssl.SSLError, OSError):
            return True
        finally:
            self.socket.settimeout(10)
        return True

    def read_to_end(self) -> bytes:
        try:
            while piece := self.socket.recv(65536):
                self.received += piece
        except (ssl.SSLError, OSError):
            pass
        return self.received


@pytest.mark.parametrize("how", ["announced", "in chunks"])
def test_a_body_of_100_megabytes_is_refused_without_being_read(house: ApiHouse, tenant: Tenant, how: str):
    wire = Wire(house)
    if how == "announced":
        wire.send_head(tenant, f"Content-Length: {100 * MEGABYTE}")
        poured = wire.pour(b"x" * 65536, bytes_max=100 * MEGABYTE)
    else:
        wire.send_head(tenant, "Transfer-Encoding: chunked")
        poured = wire.pour(b"10000\r\n" + b"x" * 65536 + b"\r\n", bytes_max=100 * MEGABYTE)
    head, _, body = wire.read_to_end().partition(b"\r\n\r\n")
    wire.socket.close()
    assert head.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["type"] == "urn:sealwire:problem:body-too-large"
    assert poured < 20 * MEGABYTE


def test_an_upload_that_is_cut_off_does_nothing(house: ApiHouse, tenant: Tenant):
    before = _list(house, tenant, "/v1/credentials")
    body = b'{"label": "cut", "scopes": ["owner"]}'
    wire = Wire(house)
    wire.send_head(tenant, f"Content-Length: {len(body) + 1}")
    wire.socket.sendall(body)
    wire.socket.close()
    wanted = {"method": "POST", "route": "/v1/credentials", "status": 400}
    _until(lambda: [line for line in house.log_lines()[-3:] if line | wanted == line])
    assert _list(house, tenant, "/v1/credentials") == before


def test_what_is_not_http_is_told_so_in_a_problem_document(house: ApiHouse):
    wire = Wire(house)
    wire.socket.sendall(b"INVITE sip:x SIP/2.0\r\n\r\n")
    head, _, body = wire.read_to_end().partition(b"\r\n\r\n")
    wire.socket.close()
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["type"] == "urn:sealwire:problem:http-malformed"


def test_plain_http_and_old_tls_get_nothing(house: ApiHouse):
    host, _, port = house.settings.api_listen.rpartition(":")
    with socket.create_connection((host, int(port)), 10) as plain:
        plain.sendall(b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.options &= ~(ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1)
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection((host, int(port)), 10) as plain, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(plain)


@pytest.mark.parametrize(("listen", "sentence"), [("HELD", "cannot listen on"), ("somewhere", "write host:port")])
def test_an_address_that_is_taken_or_none_stops_the_process_with_a_sentence(tmp_path: Path, listen: str, sentence: str):
    with socket.create_server(("127.0.0.1", 0)) as held:
        listen = listen.replace("HELD", f"127.0.0.1:{held.getsockname()[1]}")
        ended = subprocess.run(
            [sys.executable, "-m", "sealwire.doors.api", "--data", str(tmp_path)],
            env=os.environ | {"SEALWIRE_API_LISTEN": listen}, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert ended.returncode == 1
    assert sentence in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_no_log_line_repeats_what_was_sent(house: ApiHouse, tenant: Tenant):
    """Last in this file: everything above has been answered."""
    house.ask("GET", f"/v1/calls/{MISPLACED}", secret=tenant.secret, headers={"X-Request-Id": MISPLACED})
    logs = {file.name: file.read_bytes() for file in house.settings.logs_dir.iterdir()}
    assert b'"route": "/v1/calls/{call_id}"' in logs["api.log"]
    held = [name for name, content in logs.items() if MISPLACED[1:].encode() in content]
    assert held == []
    assert [name for name, content in logs.items() if tenant.secret.encode() in content] == []
    assert [line for line in house.log_lines() if line["event"] in ("api.failed", "api.broken")] == []


def _list(house: ApiHouse, tenant: Tenant, path: str) -> list[Any]:
    return list(house.ask("GET", path, secret=tenant.secret).json["items"])


def _until(true: Any, seconds: float = 15.0) -> Any:
    ends_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends_s
        time.sleep(0.05)
    return found
