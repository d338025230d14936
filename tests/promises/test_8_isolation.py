"""Each customer reaches only its own records: another account's ids answer exactly as ids that were never given out.

The matrix is made from the OpenAPI document: every operation x no credential, a revoked one, the operator's, each
other scope, another account's x own, the other's and random ids. Status, headers and body of the answer to a foreign id
are compared byte for byte with the answer to a random one; nothing may differ but the request id and the date. An
operation whose parameter or body names something that the accounts here do not have fails the test, and so does a route
that is not in the document.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import asyncpg
import pytest
from litestar import Litestar

from sealwire.config import Settings
from sealwire.doors.api.app import create_app
from sealwire.doors.api.authentication import Who
from sealwire.doors.api.parts import Parts
from sealwire.governance.principals import Scope
from tests.api_house import Answer, ApiHouse
from tests.api_operations import DOCUMENT, EVERY, ID, Ids, Operation, Sent, requests_of
from tests.holdings import SCOPES, Holdings, Ports, furnish, open_whole_house

PORTS = Ports(first=29_500, sound=30_100)
THEIR_NUMBER, OUR_NUMBER = "+441632960177", "+441632960111"
# Operations that answer 2xx to any id, because they filter instead of naming; what they answer must still not differ.
FILTERS = {"list-recordings", "list-applications", "ask-subject"}
OF_ALL = {"list-closures"}
# What makes something go comes last, so that everything else finds it.
LAST = ("refuse-subject-request", "create-trunk", "PATCH", "DELETE", "cancel-call", "create-erasure", "begin-closure")
each_operation = pytest.mark.parametrize("operation", EVERY, ids=[each.name for each in EVERY])


def _rank(operation: Operation) -> int:
    return max((at for at, what in enumerate(LAST, 1) if what in (operation.method, operation.name)), default=0)


IN_ORDER = sorted(EVERY, key=_rank)


def _asked(operation: Operation, ids: Ids) -> list[Sent]:
    return requests_of(operation, ids, pages=PORTS.pages)


@dataclass(frozen=True)
class Neighbours:
    """Two accounts that have everything one can have: ours asks, theirs is asked about."""

    house: ApiHouse
    ours: Holdings
    theirs: Holdings
    state_of_theirs: dict[str, str]

    def ask(self, sent: Sent, secret: str | None) -> Answer:
        return self.house.ask(sent.method, sent.path, secret=secret, body=sent.body, headers=dict(sent.headers))

    def told_by_all(self, operation: Operation, secret: str | None) -> list[Answer]:
        """What this credential is told about our own, foreign and random ids, each request after the other."""
        ours, theirs = Ids.held(self.ours), Ids.held(self.theirs)
        sent = [each for ids in (ours, theirs, theirs.random()) for each in _asked(operation, ids)]
        return [self.ask(each, secret) for each in sent]


@pytest.fixture(scope="module")
def neighbours() -> Iterator[Neighbours]:
    with open_whole_house(PORTS) as house:
        theirs = furnish(house, PORTS, "Theirs", THEIR_NUMBER)
        ours = furnish(house, PORTS, "Ours", OUR_NUMBER)
        yield Neighbours(house, ours, theirs, asyncio.run(_state(house, theirs)))


def told(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """All that an answer tells, without its request id, its date, and how many requests are left."""
    identity = answer.headers["x-request-id"]
    theirs = ("x-request-id", "date", "ratelimit")  # of this very request, or of how many there were
    headers = {name: value for name, value in answer.headers.items() if name not in theirs}
    return answer.status, headers, answer.body.replace(identity.encode(), b"")


class NoParts:
    """What an application needs to be made, though not to be used."""

    settings = Settings(data_dir=Path("/nonexistent"))


def test_every_route_of_the_application_is_in_the_document():
    served = create_app(cast("Parts", NoParts()))._application
    assert isinstance(served, Litestar)
    routed = {(re.sub(r":\w+}", "}", route.path), method) for route in served.routes for method in route.methods}
    routed -= {(path, "GET") for path in ("/", "/reference", "/openapi.json")}
    routed = {(path, method) for path, method in routed if method != "OPTIONS"}
    documented = {(path, method.upper()) for path, entries in DOCUMENT["paths"].items() for method in entries}
    assert routed == documented


@each_operation
def test_what_an_operation_names_is_among_what_an_account_has(neighbours: Neighbours, operation: Operation):
    """Or else the matrix below would say nothing about it."""
    ids = Ids.held(neighbours.ours)
    named = json.dumps([operation.path, operation.entry.get("requestBody"), operation.entry.get("parameters")])
    asked = _asked(operation, ids)
    if "_id}" in operation.path or (ID.search(named) and operation.entry.get("requestBody")):
        assert any(text in f"{sent.path}{sent.body}" for sent in asked for text in ids.of.values()), asked


@each_operation
def test_without_a_credential_and_with_a_revoked_one_all_ids_answer_alike(neighbours: Neighbours, operation: Operation):
    for secret in (None, neighbours.ours.revoked, "sealwire_" + "A" * 43):
        answers = neighbours.told_by_all(operation, secret)
        if operation.who is Who.ANYBODY:
            assert {answer.status for answer in answers} == {200}
            continue
        assert {(answer.status, answer.code) for answer in answers} == {(401, "not-authenticated")}
        assert all(told(answer) == told(answers[0]) for answer in answers)


@each_operation
def test_a_credential_of_another_scope_is_refused_whatever_the_id(neighbours: Neighbours, operation: Operation):
    for scope in set(SCOPES) - operation.allowed:
        answers = neighbours.told_by_all(operation, neighbours.ours.secrets[scope])
        assert {(answer.status, answer.code) for answer in answers} == {(403, "not-permitted")}, scope
        assert all(told(answer) == told(answers[0]) for answer in answers), scope


@pytest.mark.parametrize("operation", [each for each in EVERY if not each.is_of_operator], ids=lambda each: each.name)
def test_the_operator_has_no_business_in_an_account(neighbours: Neighbours, operation: Operation):
    answers = neighbours.told_by_all(operation, neighbours.house.operator)
    assert {(answer.status, answer.code) for answer in answers} == {(403, "not-permitted")}
    assert all(told(answer) == told(answers[0]) for answer in answers)


@each_operation
def test_a_foreign_id_answers_exactly_as_a_random_one(neighbours: Neighbours, operation: Operation):
    foreign = Ids.held(neighbours.theirs)
    pairs = zip(_asked(operation, foreign), _asked(operation, foreign.random()), strict=True)
    for to_foreign, to_random in [pair for pair in pairs if pair[0] != pair[1]]:
        for scope in operation.allowed or {Scope.OWNER}:
            secret = neighbours.ours.secrets[scope]
            answers = neighbours.ask(to_foreign, secret), neighbours.ask(to_random, secret)
            assert told(answers[0]) == told(answers[1])
            if operation.name not in FILTERS and "cursor=" not in to_foreign.path:
                expected = (
                    {403} if not operation.allowed else {404, 409} if "from" in (to_foreign.body or {}) else {404}
                )
                assert answers[0].status in expected, answers[0]
            _assert_holds_nothing_of_theirs(neighbours, answers[0])


@pytest.mark.parametrize("operation", [each for each in EVERY if not each.allowed], ids=lambda each: each.name)
def test_the_operator_too_is_told_that_a_random_account_is_missing(neighbours: Neighbours, operation: Operation):
    ids = Ids.held(neighbours.ours).random()
    if "{" in operation.path:
        for sent in _asked(operation, ids):
            assert neighbours.ask(sent, neighbours.house.operator).status == 404


@pytest.mark.parametrize("operation", IN_ORDER, ids=lambda each: each.name)
def test_the_same_request_with_our_own_id_is_answered_with_the_right_scope(
    neighbours: Neighbours, operation: Operation
):
    """The control: what is compared above would be seen if it were there."""
    scope = next(iter(sorted(operation.allowed - {Scope.OWNER}))) if operation.allowed - {Scope.OWNER} else Scope.OWNER
    secret = neighbours.ours.secrets[scope] if operation.allowed else neighbours.house.operator
    asked = _asked(operation, Ids.held(neighbours.ours))
    for sent in asked[:1] if operation.name == "create-erasure" else asked:
        answer = neighbours.ask(sent, secret)
        assert answer.status in (200, 201, 202, 204), answer
        assert operation.name != "ask-subject" or answer.json["holdings"]
        if operation.name not in OF_ALL:  # the operator's, across accounts
            _assert_holds_nothing_of_theirs(neighbours, answer)


def test_nothing_of_theirs_was_changed_by_all_of_this(neighbours: Neighbours):
    state = asyncio.run(_state(neighbours.house, neighbours.theirs))
    assert len(state) > 20
    assert state == neighbours.state_of_theirs


def test_even_a_credential_of_theirs_cannot_name_our_account(neighbours: Neighbours):
    answer = neighbours.ask(Sent("GET", f"/v1/accounts/{neighbours.ours.tenant.account}"), neighbours.theirs.owner)
    assert (answer.status, answer.code) == (404, "account-missing")


def test_an_idempotency_key_of_one_account_means_nothing_in_another(neighbours: Neighbours):
    key = (("Idempotency-Key", "the-same-key"),)
    made = [
        neighbours.ask(Sent("POST", "/v1/credentials", {"label": label, "scopes": ["owner"]}, key), holder.owner)
        for label, holder in (("a", neighbours.ours), ("b", neighbours.theirs))
    ]
    assert [answer.status for answer in made] == [201, 201]
    assert "idempotent-replayed" not in made[1].headers


def test_the_log_of_each_account_is_its_own(neighbours: Neighbours):
    ours, theirs = (
        neighbours.ask(Sent("GET", "/v1/log/checkpoint"), holder.owner).body.splitlines()
        for holder in (neighbours.ours, neighbours.theirs)
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
                 AND c.relnamespace::regnamespace::text IN ('custody', 'governance', 'evidence', 'communications')"""
        )
        roles = await connection.fetch(
            """SELECT rolname::text, rolsuper, rolbypassrls FROM pg_roles
               WHERE rolname LIKE 'sealwire%' AND rolname <> 'sealwire_owner' ORDER BY rolname"""
        )
        return [tuple(row) for row in tables], [tuple(row) for row in roles]
    finally:
        await connection.close()


# What the cloud itself goes on writing about an account: a call that is up is seen and paid on, deliveries are tried.
MOVING = {"custody.live_call", "communications.webhook_outbox", "governance.spending", "governance.reservation"}


async def _state(house: ApiHouse, holdings: Holdings) -> dict[str, str]:
    """A hash of the account's rows in each table that has any."""
    connection = await asyncpg.connect(house.cloud.cluster.dsn())
    try:
        tables = await connection.fetch(
            """SELECT c.oid::regclass::text AS name
               FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
               WHERE c.relkind = 'r'
                 AND c.relnamespace::regnamespace::text IN ('custody', 'governance', 'evidence', 'communications')"""
        )
        state = {}
        for name in sorted(row["name"] for row in tables if row["name"] not in MOVING):
            rows = await connection.fetch(
                f"SELECT t::text AS row FROM {name} t WHERE account_id = $1 ORDER BY 1", holdings.tenant.account.value
            )
            if rows:
                state[name] = "\n".join(row["row"] for row in rows)
        limits = house.ask("GET", "/v1/limits", secret=holdings.owner).json
        return state | {"limits": json.dumps({name: limits[name] for name in ("maximum", "own", "suspended_at")})}
    finally:
        await connection.close()


def _assert_holds_nothing_of_theirs(neighbours: Neighbours, answer: Answer) -> None:
    theirs = neighbours.theirs
    secrets = [text.partition("_")[2] for text in theirs.ids.values()] + [theirs.number[1:]]
    secrets += [each.value.hex for call in theirs.tenant.calls for each in (call.call, call.record, call.recording)]
    everything = answer.body + repr(answer.headers).encode()
    assert [secret for secret in secrets if secret.encode() in everything] == []
