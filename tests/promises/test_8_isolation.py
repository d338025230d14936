"""Each customer reaches only its own records: another account's ids answer exactly as ids that were never given out.

Every operation of the OpenAPI document is tried. Status, headers and body of the answer to a foreign id are compared
byte for byte with the answer to a random one; nothing may differ but the request id and the date. An operation that is
not listed here fails the test, and so does a route that is not in the document.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
from litestar import Litestar

from sealwire.config import Settings
from sealwire.doors.api.app import create_app, openapi_document
from sealwire.doors.api.pagination import write_cursor
from sealwire.doors.api.parts import Parts
from sealwire.vocabulary import AccountId, CallId, CredentialId, ErasureId, RecordId
from tests.api_house import Answer, ApiHouse, Tenant, house

__all__ = ["house"]
PURPOSE = {"Sealwire-Purpose": "quality-assurance"}
THEIR_NUMBER, OUR_NUMBER, NOBODYS_NUMBER = "+441632960777", "+441632960111", "+441632960888"
LONG_AGO = dt.datetime.fromtimestamp(0, dt.UTC)
DOCUMENT = openapi_document()


@dataclass(frozen=True)
class Ids:
    """One of everything that an account can name."""

    account: str
    call: str
    record: str
    recording: str
    credential: str
    erasure: str
    cursor: Callable[[str], str]
    number: str
    moment: dt.datetime

    @classmethod
    def random(cls, moment: dt.datetime = LONG_AGO) -> Ids:
        """Ids that were never given out; cursors at this moment, so that only their ids differ from others."""
        made: Callable[[str], str] = lambda kind: write_cursor(kind, (moment, RecordId.new().value))  # noqa: E731
        return cls(
            account=str(AccountId.new()), call=str(CallId.new()), record=str(RecordId.new()),
            recording=str(RecordId.new()), credential=str(CredentialId.new()), erasure=str(ErasureId.new()),
            cursor=made, number=NOBODYS_NUMBER, moment=moment,
        )  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """A request that names something."""

    method: str
    path: str
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


def get(path: str) -> Sent:
    return Sent("GET", path, headers=tuple(PURPOSE.items()))


def erase(**what: Any) -> Sent:
    return Sent("POST", "/v1/erasures", {"ground": "instruction", **what})


# What each operation can be asked about somebody else's things. An empty list: it names nothing, so that it can only
# answer for the account of the credential; then it is asked and the answer searched for what is not ours.
NAMING: dict[str, Callable[[Ids], list[Sent]]] = {
    "create-account": lambda _: [],
    "get-account": lambda ids: [get(f"/v1/accounts/{ids.account}")],
    "assign-number": lambda ids: [
        Sent("POST", f"/v1/accounts/{ids.account}/numbers", {"number": "+441632960999", "service": "greeting"})
    ],
    "list-numbers": lambda _: [],
    "get-standard-agreement": lambda _: [],
    "accept-agreement": lambda _: [],
    "list-agreements": lambda _: [],
    "create-credential": lambda _: [],
    "list-credentials": lambda _: [],
    "revoke-credential": lambda ids: [Sent("DELETE", f"/v1/credentials/{ids.credential}")],
    "list-calls": lambda ids: [get(f"/v1/calls?cursor={ids.cursor('calls')}")],
    "get-call": lambda ids: [get(f"/v1/calls/{ids.record}"), get(f"/v1/calls/{ids.call}")],
    "open-call": lambda ids: [get(f"/v1/calls/{ids.record}/content"), get(f"/v1/calls/{ids.call}/content")],
    "list-recordings": lambda ids: [
        get(f"/v1/recordings?call_id={ids.call}"),
        get(f"/v1/recordings?cursor={ids.cursor('recordings')}"),
    ],
    "get-recording": lambda ids: [get(f"/v1/recordings/{ids.recording}")],
    "open-recording": lambda ids: [get(f"/v1/recordings/{ids.recording}/content")],
    "play-recording": lambda ids: [get(f"/v1/recordings/{ids.recording}/audio")],
    "ask-subject": lambda ids: [Sent("POST", "/v1/subjects", {"number": ids.number}, tuple(PURPOSE.items()))],
    "get-inventory": lambda _: [],
    "create-erasure": lambda ids: [
        erase(call=ids.call),
        erase(records=[ids.record]),
        erase(records=[ids.record, ids.recording]),
        erase(number=ids.number),
    ],
    "list-erasures": lambda ids: [get(f"/v1/erasures?cursor={ids.cursor('erasures')}")],
    "get-erasure": lambda ids: [get(f"/v1/erasures/{ids.erasure}")],
    "get-certificate": lambda ids: [get(f"/v1/certificates/{ids.erasure}")],
    "get-log-key": lambda _: [],
    "get-checkpoint": lambda _: [],
    "get-tile": lambda _: [],
    "prove-inclusion": lambda _: [],
    "prove-consistency": lambda _: [],
    "get-health": lambda _: [],
}
# Operations that answer 2xx to any id, because they filter instead of naming; what they answer must still not differ.
FILTERS = {"list-calls", "list-recordings", "list-erasures", "ask-subject"}
OPERATORS_ONLY = {"create-account", "assign-number"}


@dataclass(frozen=True)
class Neighbours:
    """Two accounts: ours asks, theirs has everything one can have."""

    house: ApiHouse
    ours: Tenant
    theirs: Tenant
    own: Ids
    foreign: Ids

    def ask(self, sent: Sent, secret: str | None = None) -> Answer:
        secret = secret or self.ours.secret
        return self.house.ask(sent.method, sent.path, secret=secret, body=sent.body, headers=dict(sent.headers))


@pytest.fixture(scope="module")
def neighbours(house: ApiHouse) -> Neighbours:
    ours, theirs = house.tenant("Ours"), house.tenant("Theirs")
    found = [_furnish(house, tenant, number) for tenant, number in ((theirs, THEIR_NUMBER), (ours, OUR_NUMBER))]
    return Neighbours(house, ours, theirs, own=found[1], foreign=found[0])


def _furnish(house: ApiHouse, tenant: Tenant, number: str) -> Ids:
    kept, to_erase, erased = (house.keep_call(tenant, number) for _ in range(3))
    credential = house.ask(
        "POST", "/v1/credentials", secret=tenant.secret, body={"label": "x", "scopes": ["records:list"]}
    )
    erasure = house.ask(
        "POST", "/v1/erasures", secret=tenant.secret, body={"ground": "instruction", "call": str(erased.call)}
    )
    assert (credential.status, erasure.status) == (201, 202)
    rows = house.ask("GET", "/v1/calls", secret=tenant.secret).json["items"]
    moment = dt.datetime.fromisoformat(rows[0]["ended_at"])
    return Ids(
        account=str(tenant.account), call=str(kept.call), record=str(kept.record), recording=str(to_erase.recording),
        credential=credential.json["id"], erasure=erasure.json["id"],
        cursor=lambda kind: write_cursor(kind, (moment, kept.record.value)), number=number, moment=moment,
    )  # fmt: skip


def operations() -> list[str]:
    return [entry["operationId"] for path in DOCUMENT["paths"].values() for entry in path.values()]


def told(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """All that an answer tells, without its request id and date."""
    identity = answer.headers["x-request-id"]
    headers = {name: value for name, value in answer.headers.items() if name not in ("x-request-id", "date")}
    return answer.status, headers, answer.body.replace(identity.encode(), b"")


class NoParts:
    """What an application needs to be made, though not to be used."""

    settings = Settings(data_dir=Path("/nonexistent"))


def test_every_operation_of_the_document_is_tried_here():
    assert sorted(operations()) == sorted(NAMING)


def test_every_route_of_the_application_is_in_the_document():
    served = create_app(cast("Parts", NoParts()))._application
    assert isinstance(served, Litestar)
    routed = {(re.sub(r":\w+}", "}", route.path), method) for route in served.routes for method in route.methods}
    routed -= {(path, "GET") for path in ("/", "/reference", "/openapi.json")}
    routed = {(path, method) for path, method in routed if method != "OPTIONS"}
    documented = {(path, method.upper()) for path, entries in DOCUMENT["paths"].items() for method in entries}
    assert routed == documented


@pytest.mark.parametrize("operation", [name for name in NAMING if NAMING[name](Ids.random())])
def test_a_foreign_id_answers_exactly_as_a_random_one(neighbours: Neighbours, operation: str):
    never_given_out = Ids.random(neighbours.foreign.moment)
    pairs = zip(NAMING[operation](neighbours.foreign), NAMING[operation](never_given_out), strict=True)
    for foreign, random in pairs:
        to_foreign, to_random = neighbours.ask(foreign), neighbours.ask(random)
        assert told(to_foreign) == told(to_random)
        if operation not in FILTERS:
            assert to_foreign.status == (403 if operation in OPERATORS_ONLY else 404)
        _assert_holds_nothing_of_theirs(neighbours, to_foreign)


@pytest.mark.parametrize("operation", [name for name in NAMING if NAMING[name](Ids.random())])
def test_the_same_request_with_our_own_id_is_answered(neighbours: Neighbours, operation: str):
    """The control: what is compared above would be seen if it were there."""
    secret = neighbours.house.operator if operation in OPERATORS_ONLY else None
    asked = [
        sent for sent in NAMING[operation](neighbours.own) if operation != "create-erasure" or "number" in sent.body
    ]
    for sent in asked:
        answer = neighbours.ask(sent, secret)
        assert answer.status in (200, 201, 202, 204) or answer.code == "certificate-not-ready"
        if operation == "ask-subject":
            assert answer.json["holdings"]


@pytest.mark.parametrize("operation", [name for name in NAMING if not NAMING[name](Ids.random())])
def test_what_names_nothing_answers_for_our_own_account_only(neighbours: Neighbours, operation: str):
    path, method, entry = next(
        (path, method, entry)
        for path, entries in DOCUMENT["paths"].items()
        for method, entry in entries.items()
        if entry["operationId"] == operation
    )
    body = entry.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
    query = "&".join(
        f"{each['name']}=1" for each in entry.get("parameters", ()) if each["required"] and each["in"] == "query"
    )
    answer = neighbours.ask(Sent(method.upper(), path.replace("{path}", "0/000.p/1") + "?" + query, body))
    assert answer.status < 500
    _assert_holds_nothing_of_theirs(neighbours, answer)


def test_even_a_credential_of_theirs_cannot_name_our_account(neighbours: Neighbours):
    answer = neighbours.ask(get(f"/v1/accounts/{neighbours.own.account}"), secret=neighbours.theirs.secret)
    assert (answer.status, answer.code) == (404, "account-missing")


def test_an_idempotency_key_of_one_account_means_nothing_in_another(neighbours: Neighbours):
    key = (("Idempotency-Key", "the-same-key"),)
    made = [
        neighbours.ask(
            Sent("POST", "/v1/credentials", {"label": label, "scopes": ["owner"]}, key), secret=tenant.secret
        )
        for label, tenant in (("a", neighbours.ours), ("b", neighbours.theirs))
    ]
    assert [answer.status for answer in made] == [201, 201]
    assert "idempotent-replayed" not in made[1].headers


def test_the_log_of_each_account_is_its_own(neighbours: Neighbours):
    ours, theirs = (
        neighbours.ask(get("/v1/log/checkpoint"), secret=tenant.secret).body.splitlines()
        for tenant in (neighbours.ours, neighbours.theirs)
    )
    assert ours[0] != theirs[0]
    assert ours[2] != theirs[2]


def test_row_security_is_forced_on_every_table_that_has_an_account(neighbours: Neighbours):
    """The second wall, should a statement forget its account: no role of the service owns a table or may bypass."""
    tables, roles = asyncio.run(_database_walls(neighbours.house))
    assert len(tables) > 15
    assert [name for name, secured, forced, _ in tables if not (secured and forced)] == []
    assert {owner for *_, owner in tables} == {"sealwire_owner"}
    assert roles == [(name, False, False) for name in ("sealwire_sequencer", "sealwire_service", "sealwire_worker")]


async def _database_walls(house: ApiHouse) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    connection = await asyncpg.connect(house.cloud.cluster.dsn())
    try:
        tables = await connection.fetch(
            """SELECT c.oid::regclass::text, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner)
               FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
               WHERE c.relkind IN ('r', 'p')
                 AND c.relnamespace::regnamespace::text IN ('custody', 'governance', 'evidence')"""
        )
        roles = await connection.fetch(
            """SELECT rolname::text, rolsuper, rolbypassrls FROM pg_roles
               WHERE rolname LIKE 'sealwire%' AND rolname <> 'sealwire_owner' ORDER BY rolname"""
        )
        return [tuple(row) for row in tables], [tuple(row) for row in roles]
    finally:
        await connection.close()


def _assert_holds_nothing_of_theirs(neighbours: Neighbours, answer: Answer) -> None:
    theirs = neighbours.theirs
    secrets = [
        theirs.account.value.hex,
        THEIR_NUMBER[1:],
        neighbours.foreign.erasure[4:],
        neighbours.foreign.credential[5:],
    ]
    secrets += [each.value.hex for call in theirs.calls for each in (call.call, call.record, call.recording)]
    everything = answer.body + repr(answer.headers).encode()
    assert [secret for secret in secrets if secret.encode() in everything] == []
