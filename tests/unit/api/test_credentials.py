"""Credentials that are bound to networks, rotated, and kept to a pace; and what a customer sees of the way to us."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from tests.api_house import Answer, ApiHouse, Tenant, house

from sealwire.doors.api.app import create_app
from sealwire.doors.api.pace import Class, Pace, Quota
from sealwire.doors.api.parts import connected_parts
from sealwire.vocabulary import ServiceId

__all__ = ["house"]
PAGES = {"name": "reception", "logic": {"kind": "pages", "first_page": "https://example.org/first"}}


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Credentials")


@pytest.fixture(scope="module")
def stranger(house: ApiHouse) -> Tenant:
    return house.tenant("Stranger")


def ask(house: ApiHouse, who: Tenant | str, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    secret = who if isinstance(who, str) else who.secret
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.ask(method, path, secret=secret, body=body, headers=sent)


def issue(house: ApiHouse, tenant: Tenant, **more: Any) -> dict[str, Any]:
    body = {"label": "one", "scopes": ["records:list"], **more}
    answer = ask(house, tenant, "POST", "/v1/credentials", body)
    assert answer.status == 201, answer
    return dict(answer.json)


def test_every_scope_of_an_account_can_be_given(house: ApiHouse, tenant: Tenant):
    scopes = ["records:list", "records:open", "records:erase", "calls:control", "messages:send", "account:configure"]
    assert issue(house, tenant, scopes=scopes)["scopes"] == scopes


def test_a_credential_bound_to_other_networks_is_answered_like_one_that_does_not_exist(house: ApiHouse, tenant: Tenant):
    elsewhere = issue(house, tenant, allowed_from=["192.0.2.0/24", "2001:db8::/32"])
    refused = ask(house, elsewhere["secret"], "GET", "/v1/services")
    unknown = ask(house, "sealwire_" + "x" * 43, "GET", "/v1/services")
    assert (refused.status, refused.code) == (401, "not-authenticated")
    identity = [answer.headers["x-request-id"].encode() for answer in (refused, unknown)]
    assert refused.body.replace(identity[0], b"") == unknown.body.replace(identity[1], b"")
    seen = [
        {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
        for answer in (refused, unknown)
    ]
    assert seen[0] == seen[1]
    told = [line for line in house.log_lines() if line["event"] == "api.credential-out-of-place"]
    assert elsewhere["id"] in [line["credential"] for line in told]


def test_a_header_does_not_change_where_a_request_comes_from(house: ApiHouse, tenant: Tenant):
    elsewhere = issue(house, tenant, allowed_from=["192.0.2.0/24"])
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        headers = {name: "192.0.2.7" if name != "Forwarded" else "for=192.0.2.7"}
        assert house.ask("GET", "/v1/services", secret=elsewhere["secret"], headers=headers).status == 401


def test_a_binding_holds_from_the_next_request_and_is_listed(house: ApiHouse, tenant: Tenant):
    made = issue(house, tenant, allowed_from=["127.0.0.1"])
    assert made["allowed_from"] == ["127.0.0.1/32"]
    assert ask(house, made["secret"], "GET", "/v1/services").status == 200
    path = f"/v1/credentials/{made['id']}"
    bound = ask(house, tenant, "PATCH", path, {"allowed_from": ["192.0.2.7"]})
    assert (bound.status, bound.json["allowed_from"]) == (200, ["192.0.2.7/32"])
    assert ask(house, made["secret"], "GET", "/v1/services").status == 401
    assert ask(house, tenant, "PATCH", path, {"allowed_from": None}).json["allowed_from"] is None
    assert ask(house, made["secret"], "GET", "/v1/services").status == 200


def test_an_owner_does_not_lock_itself_out(house: ApiHouse):
    careful = house.tenant("Careful")
    own = ask(house, careful, "GET", "/v1/credentials").json["items"][0]["id"]
    refused = ask(house, careful, "PATCH", f"/v1/credentials/{own}", {"allowed_from": ["192.0.2.7"]})
    assert (refused.status, refused.code) == (409, "would-lock-out")
    taken = ask(house, careful, "PATCH", f"/v1/credentials/{own}", {"allowed_from": ["127.0.0.0/8"]})
    assert taken.status == 200
    assert ask(house, careful, "GET", "/v1/credentials").status == 200


@pytest.mark.parametrize("networks", [[], ["here"], ["192.0.2.1/24"], ["1.2.3.4/33"]])
def test_networks_that_are_none_are_refused(house: ApiHouse, tenant: Tenant, networks: list[str]):
    body = {"label": "x", "scopes": ["records:list"], "allowed_from": networks}
    assert ask(house, tenant, "POST", "/v1/credentials", body).code == "network-malformed"


def test_two_secrets_are_good_while_programs_move_and_never_three(house: ApiHouse, tenant: Tenant):
    made = issue(house, tenant)
    path = f"/v1/credentials/{made['id']}/secrets"
    good = lambda secret: ask(house, secret, "GET", "/v1/services").status == 200  # noqa: E731
    second = ask(house, tenant, "POST", path, {})
    assert second.status == 201
    assert second.json["old_secret_until"] is not None
    assert good(made["secret"])
    assert good(second.json["secret"])
    third = ask(house, tenant, "POST", path, {"overlap_seconds": 3600})
    assert [good(made["secret"]), good(second.json["secret"]), good(third.json["secret"])] == [False, True, True]
    fourth = ask(house, tenant, "POST", path, {"overlap_seconds": 0})
    assert [good(third.json["secret"]), good(fourth.json["secret"])] == [False, True]
    assert ask(house, tenant, "DELETE", f"/v1/credentials/{made['id']}").status == 204
    assert not good(fourth.json["secret"])
    assert ask(house, tenant, "POST", path, {}).code == "credential-missing"


def test_an_old_secret_ends_when_its_time_is_up(house: ApiHouse, tenant: Tenant):
    made = issue(house, tenant)
    ask(house, tenant, "POST", f"/v1/credentials/{made['id']}/secrets", {"overlap_seconds": 1})
    assert ask(house, made["secret"], "GET", "/v1/services").status == 200
    time.sleep(1.2)
    assert ask(house, made["secret"], "GET", "/v1/services").status == 401


async def as_client(
    app: Any, secret: str, path: str, *, source: str = "127.0.0.1", method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    """One request as if it came from this address."""
    sent: list[Any] = []
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "https",
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": (source, 50000),
        "server": ("127.0.0.1", 8443), "headers": [(b"authorization", f"Bearer {secret}".encode())], "state": {},
    }  # fmt: skip

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(each.get("body", b"") for each in sent[1:])


def test_who_asks_too_often_is_told_how_long_to_wait_and_others_are_not_kept_waiting(
    house: ApiHouse, tenant: Tenant, stranger: Tenant
):
    async def run() -> list[tuple[int, dict[str, str], bytes]]:
        async with connected_parts(house.settings) as parts:
            app = create_app(parts, pace=Pace(dict.fromkeys(Class, Quota(2, 60))))
            asked = [tenant.secret] * 3 + [stranger.secret]
            return [await as_client(app, secret, "/v1/services") for secret in asked]

    answers = asyncio.run(run())
    assert [status for status, *_ in answers] == [200, 200, 429, 200]
    assert answers[0][1]["ratelimit-policy"] == '"read";q=2;w=60'
    assert answers[0][1]["ratelimit"] == '"read";r=1;t=30'
    _, headers, body = answers[2]
    assert json.loads(body)["type"] == "urn:sealwire:problem:too-many-requests"
    assert headers["retry-after"] == "30"
    assert headers["ratelimit"].startswith('"read";r=0')


def test_the_address_that_counts_is_the_connections_even_for_ipv4_inside_ipv6(house: ApiHouse, tenant: Tenant):
    bound = issue(house, tenant, allowed_from=["192.0.2.0/24", "2001:db8::7"])["secret"]

    async def run() -> dict[str, int]:
        async with connected_parts(house.settings) as parts:
            app = create_app(parts)
            sources = ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::7", "192.0.3.1", "2001:db8::8", "::1")
            return {source: (await as_client(app, bound, "/v1/services", source=source))[0] for source in sources}

    assert asyncio.run(run()) == {
        "192.0.2.9": 200, "::ffff:192.0.2.9": 200, "2001:db8::7": 200, "192.0.3.1": 401, "2001:db8::8": 401,
        "::1": 401,
    }  # fmt: skip


def test_every_answer_to_a_known_credential_says_where_it_stands(house: ApiHouse, tenant: Tenant):
    read, write = ask(house, tenant, "GET", "/v1/services"), ask(house, tenant, "POST", "/v1/services", PAGES)
    missing = ask(house, tenant, "GET", f"/v1/services/{ServiceId.new()}")
    assert read.headers["ratelimit-policy"].startswith('"read";')
    assert write.headers["ratelimit-policy"].startswith('"write";')
    assert missing.headers["ratelimit"].startswith('"read";r=')
    assert "ratelimit" not in house.ask("GET", "/v1/services").headers


def test_the_transport_check_tells_version_cipher_and_address(house: ApiHouse, tenant: Tenant):
    for secret in (tenant.secret, house.operator):
        answer = ask(house, secret, "GET", "/v1/transport-check")
        assert answer.status == 200
        assert answer.json["passed"] is True
        assert answer.json["tls_version"] == "TLSv1.3"
        assert answer.json["cipher"].startswith("TLS_")
        assert answer.json["source_address"] == "127.0.0.1"
        assert answer.json["protocol"] == "HTTP/1.1"
    assert house.ask("GET", "/v1/transport-check").status == 401
