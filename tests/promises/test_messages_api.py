"""Messages by the API: over HTTPS as a customer sends and looks, with the real messenger and a real message centre."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sealwire.communications.messages.centre import PASSWORD_FILE
from sealwire.doors.supervisor import API, KEEPER, MESSENGER, SEQUENCER, WORKER
from sealwire.governance import spending as rules
from sealwire.governance.destinations import Destination
from tests.api_house import ApiHouse, Tenant, open_api_house
from tests.smsc.centre import PASSWORD, MessageCentre, open_centre

pytestmark = pytest.mark.slow
OURS, PERSON = "+441632960100", "+447700900123"
PURPOSE = {"Sealwire-Purpose": "quality-assurance"}
PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, MESSENGER))


class Centre:
    """The message centre on a loop of its own, so that tests without one can talk to it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self._open = open_centre()
        self.real: MessageCentre = self.do(self._open.__aenter__())

    def do(self, act: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(act, self.loop).result(30)

    def close(self) -> None:
        self.do(self._open.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@pytest.fixture(scope="module")
def centre() -> Iterator[Centre]:
    running = Centre()
    yield running
    running.close()


@pytest.fixture(scope="module")
def house(centre: Centre) -> Iterator[ApiHouse]:
    with open_api_house(parts=PARTS, secrets={PASSWORD_FILE: PASSWORD}, smsc=centre.real.address) as running:
        yield running


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    return ready(house, "Messages", OURS)


def ready(house: ApiHouse, name: str, number: str) -> Tenant:
    """An account with a number, that may write to Britain."""
    made = house.tenant(name)
    answer = house.ask(
        "POST", f"/v1/accounts/{made.account}/numbers", secret=house.operator,
        body={"number": number, "service": "greeting"},
    )  # fmt: skip
    assert answer.status == 201, answer

    async def allow(custody: Any) -> None:
        async with custody.database.account(made.account) as connection:
            await rules.allow_destinations(connection, made.account, [Destination.parse("+44")], custody.clock)

    house.in_custody(allow)
    return made


def send(house: ApiHouse, tenant: Tenant, text: str, *, key: str | None = None, **more: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"from": OURS, "to": PERSON, "text": text, **more}
    return house.ask("POST", "/v1/messages", secret=tenant.secret, body=body, headers=headers)


def reached(house: ApiHouse, tenant: Tenant, message: str, state: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for _ in range(200):
        seen = house.ask("GET", f"/v1/messages/{message}", secret=tenant.secret).json
        if seen["state"] == state:
            return seen
        time.sleep(0.05)
    raise AssertionError(seen)


def test_a_message_is_accepted_delivered_listed_and_opened(house: ApiHouse, tenant: Tenant) -> None:
    answer = send(house, tenant, "Your table is ready.")
    assert answer.status == 202, answer
    message = answer.json["id"]
    assert answer.headers["location"] == f"/v1/messages/{message}"
    seen = reached(house, tenant, message, "delivered")
    assert (seen["direction"], seen["encoding"], seen["segments"], seen["redaction"]) == ("out", "gsm", 1, "keep")
    assert OURS not in str(seen)
    listed = house.ask("GET", "/v1/messages?limit=10", secret=tenant.secret).json["items"]
    assert message in [each["id"] for each in listed]
    opened = house.ask("GET", f"/v1/messages/{message}/content", secret=tenant.secret, headers=PURPOSE)
    assert opened.status == 200, opened
    assert opened.json["from"] == OURS
    assert opened.json["to"] == PERSON
    assert opened.json["text"] == "Your table is ready."


def test_the_same_request_with_the_same_key_is_one_message(house: ApiHouse, tenant: Tenant, centre: Centre) -> None:
    first, second = (send(house, tenant, "only once", key="k-1") for _ in range(2))
    assert (first.status, second.status) == (202, 202)
    assert first.json["id"] == second.json["id"]
    assert second.headers["idempotent-replayed"] == "true"
    assert send(house, tenant, "something else", key="k-1").status == 409
    reached(house, tenant, first.json["id"], "delivered")
    assert sum(each["text"] == "only once" for each in centre.real.submits) == 1


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"from": "+441632960999"}, 409, "sender-not-allowed"),
        ({"from": "Somebody"}, 409, "sender-not-allowed"),
        ({"from": "0"}, 422, None),
        ({"to": "12345"}, 422, None),
        ({"to": "+33612345678"}, 409, "destination-not-allowed"),
        ({"text": ""}, 422, "text-empty"),
        ({"text": "я" * 1500}, 422, "text-too-long"),
        ({"validity_seconds": 1}, 422, None),
        ({"redaction": "everything"}, 422, None),
    ],
)
def test_what_is_wrong_with_a_message_is_said(
    house: ApiHouse, tenant: Tenant, change: dict[str, Any], status: int, kind: str | None
) -> None:
    body = {"from": OURS, "to": PERSON, "text": "Hello"} | change
    answer = house.ask("POST", "/v1/messages", secret=tenant.secret, body=body)
    assert answer.status == status, answer
    if kind is not None:
        assert answer.json["type"].endswith(kind)
    assert PERSON not in answer.body.decode()


def test_an_opt_out_refuses_and_is_listed_opened_and_erased(house: ApiHouse, tenant: Tenant, centre: Centre) -> None:
    person = "+447700900321"
    stop = {"from": person[1:], "to": OURS[1:], "text": "STOP"}
    assert centre.do(centre.real.deliver("api-stop", **stop)) == 0
    refused = send(house, tenant, "hello again", to=person)
    assert refused.status == 409
    assert refused.json["type"].endswith("recipient-opted-out")
    assert person not in refused.body.decode()
    (listed,) = house.ask("GET", "/v1/opt-outs", secret=tenant.secret).json["items"]
    opened = house.ask("GET", f"/v1/opt-outs/{listed['id']}/content", secret=tenant.secret, headers=PURPOSE).json
    assert (opened["sender"], opened["person"], opened["wanted"]) == (OURS, person, False)
    assert house.ask("DELETE", f"/v1/opt-outs/{listed['id']}", secret=tenant.secret).status == 204
    assert send(house, tenant, "hello again", to=person).status == 202
    assert house.ask("GET", f"/v1/opt-outs/{listed['id']}/content", secret=tenant.secret, headers=PURPOSE).status == 410
    body = {"sender": OURS, "person": person}
    added = house.ask("POST", "/v1/opt-outs", secret=tenant.secret, body=body, headers={"Idempotency-Key": "o-1"})
    assert added.status == 201, added
    again = house.ask("POST", "/v1/opt-outs", secret=tenant.secret, body=body, headers={"Idempotency-Key": "o-1"})
    assert again.json == added.json
    assert send(house, tenant, "and now", to=person).status == 409
    house.ask("POST", "/v1/opt-outs", secret=tenant.secret, body={**body, "wanted": True})
    assert send(house, tenant, "wanted again", to=person).status == 202


def test_redaction_of_all_answers_410_and_of_content_leaves_the_numbers(house: ApiHouse, tenant: Tenant) -> None:
    whole = send(house, tenant, "forget all of it", redaction="all").json["id"]
    text = send(house, tenant, "forget the text", redaction="content").json["id"]
    for _ in range(200):
        gone = house.ask("GET", f"/v1/messages/{whole}", secret=tenant.secret)
        seen = house.ask("GET", f"/v1/messages/{text}", secret=tenant.secret).json
        if gone.status == 410 and seen["redacted_at"] is not None:
            break
        time.sleep(0.1)
    assert gone.status == 410
    assert gone.json["certificate"].startswith("/v1/certificates/ers_")
    opened = house.ask("GET", f"/v1/messages/{text}/content", secret=tenant.secret, headers=PURPOSE).json
    assert (opened["to"], opened["text"]) == (PERSON, None)


def test_settings_are_the_accounts_own_and_its_default_redaction_holds(house: ApiHouse) -> None:
    tenant = ready(house, "Own words", "+441632960101")
    before = house.ask("GET", "/v1/message-settings", secret=tenant.secret).json
    assert before["redaction"] == "keep"
    assert "STOP" in before["stop_words"]
    put = house.ask(
        "PUT", "/v1/message-settings", secret=tenant.secret,
        body={"redaction": "content", "stop_words": ["stopp", "STOPP"], "stop_reply": "Ok."},
    )  # fmt: skip
    assert put.status == 200, put
    assert put.json["stop_words"] == ["STOPP"]
    assert house.ask("GET", "/v1/message-settings", secret=tenant.secret).json == put.json
    sent = house.ask("POST", "/v1/messages", secret=tenant.secret, body={"to": PERSON, "text": "by default"})
    assert sent.status == 202, sent
    assert sent.json["redaction"] == "content"


def test_a_sender_name_is_the_operators_to_allow(house: ApiHouse, tenant: Tenant) -> None:
    path = f"/v1/accounts/{tenant.account}/sender-names"
    assert house.ask("POST", path, secret=tenant.secret, body={"name": "Example"}).status == 403
    assert house.ask("POST", path, secret=house.operator, body={"name": "Too long a name"}).status == 422
    allowed = house.ask("POST", path, secret=house.operator, body={"name": "Example"})
    assert (allowed.status, allowed.json) == (200, {"names": ["Example"]})
    assert send(house, tenant, "from a name", **{"from": "Example"}).status == 202


def test_a_credential_without_the_scope_sends_and_opens_nothing(house: ApiHouse, tenant: Tenant) -> None:
    made = house.ask(
        "POST", "/v1/credentials", secret=tenant.secret, body={"label": "reader", "scopes": ["records:list"]}
    )
    reader = made.json["secret"]
    body = {"from": OURS, "to": PERSON, "text": "no"}
    assert house.ask("POST", "/v1/messages", secret=reader, body=body).status == 403
    assert house.ask("PUT", "/v1/message-settings", secret=reader, body={}).status == 403
    message = send(house, tenant, "for the owner").json["id"]
    assert house.ask("GET", f"/v1/messages/{message}", secret=reader).status == 200
    assert house.ask("GET", f"/v1/messages/{message}/content", secret=reader, headers=PURPOSE).status == 403


def test_another_accounts_ids_and_ids_that_never_were_answer_alike(house: ApiHouse, tenant: Tenant) -> None:
    other, nothing = house.tenant("Other"), "0" * 32
    message = send(house, tenant, "not yours").json["id"]
    wish = house.ask("POST", "/v1/opt-outs", secret=tenant.secret, body={"sender": OURS, "person": "+447700900888"})
    cursor = house.ask("GET", "/v1/messages?limit=1", secret=tenant.secret).json["next_cursor"]
    tried = [
        ("GET", "/v1/messages/{}", message, f"msg_{nothing}"),
        ("GET", "/v1/messages/{}/content", message, f"msg_{nothing}"),
        ("GET", "/v1/opt-outs/{}/content", wish.json["id"], f"rec_{nothing}"),
        ("DELETE", "/v1/opt-outs/{}", wish.json["id"], f"rec_{nothing}"),
    ]
    for method, path, theirs, nobodys in tried:
        foreign = house.ask(method, path.format(theirs), secret=other.secret, headers=PURPOSE)
        unknown = house.ask(method, path.format(nobodys), secret=other.secret, headers=PURPOSE)
        assert foreign.status == unknown.status == 404
        assert foreign.json | {"instance": ""} == unknown.json | {"instance": ""}
    assert cursor is not None
    for path in ("/v1/messages", f"/v1/messages?cursor={cursor}", "/v1/opt-outs"):
        assert house.ask("GET", path, secret=other.secret).json["items"] == []
