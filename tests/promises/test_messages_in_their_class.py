"""A message is kept in the retention class of the service it goes through, both its records, whichever way it goes."""

from __future__ import annotations

from typing import Any

import pytest

from sealwire.custody.categories import MessageContent, MessageRecord, category_of
from sealwire.custody.lifecycle import Custody
from sealwire.vocabulary import MessageId, RecordId
from tests.api_house import ApiHouse, Tenant
from tests.promises.test_messages_api import PERSON, PURPOSE, Centre, centre, house, ready, send

pytestmark = pytest.mark.slow
__all__ = ["centre", "house"]
OURS, CLAIMS, LATER = "+441632960177", 3, 5


@pytest.fixture(scope="module")
def tenant(house: ApiHouse) -> Tenant:
    """An account with two classes, and a number that a service of the first answers."""
    made = ready(house, "Classes", OURS)
    for number, name in ((CLAIMS, "claims"), (LATER, "reminders")):
        ask(house, made, "PUT", "/v1/retention/classes", {"retention_class": number, "name": name})
    period = {"category": "message-content", "retention_class": CLAIMS, "days": 60}
    ask(house, made, "PUT", "/v1/retention/periods", {"settings": [period]})
    point(house, made, service(house, made, CLAIMS))
    return made


def ask(house: ApiHouse, tenant: Tenant, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
    answer = house.ask(method, path, secret=tenant.secret, body=body)
    assert answer.status == status, answer
    return answer.json


def service(house: ApiHouse, tenant: Tenant, of_class: int) -> str:
    logic = {"kind": "built-in", "name": "echo"}
    new = {"name": f"class {of_class}", "logic": logic, "retention_class": of_class}
    return str(ask(house, tenant, "POST", "/v1/services", new, status=201)["id"])


def point(house: ApiHouse, tenant: Tenant, service_id: str | None) -> None:
    (number,) = ask(house, tenant, "GET", "/v1/numbers")["items"]
    ask(house, tenant, "PATCH", f"/v1/numbers/{number['id']}", {"service_id": service_id})


def kept_in(house: ApiHouse, tenant: Tenant, message: str) -> tuple[set[int], int]:
    """In which classes record and contents of this message are, and for how many days the contents are kept."""
    wanted = MessageId.parse(message)

    async def look(custody: Custody) -> tuple[set[int], int]:
        (record,) = await custody.find(
            tenant.account, [RecordId(wanted.value)], category=category_of(MessageRecord)
        )  # fmt: skip
        contents = await custody.page(tenant.account, category_of(MessageContent), before=None, limit=100)
        own = [row for row in contents if row.plain["message_id"] == wanted]
        return {record.retention_class, *(row.retention_class for row in own)}, int(own[0].due_day) - int(own[0].day)

    return house.in_custody(look)


def deliver(centre: Centre, text: str, **more: Any) -> None:
    to_us = {"from": PERSON[1:], "to": OURS[1:], "text": text, **more}
    assert centre.do(centre.real.deliver(f"in-{text[:20]}", **to_us)) == 0


def newest_in(house: ApiHouse, tenant: Tenant, text: str) -> dict[str, Any]:
    items = ask(house, tenant, "GET", "/v1/messages?limit=10")["items"]
    for seen in (each for each in items if each["direction"] == "in"):
        opened = house.ask("GET", f"/v1/messages/{seen['id']}/content", secret=tenant.secret, headers=PURPOSE)
        if opened.json["text"] == text:
            return dict(seen)
    raise AssertionError(f"no such message came in: {text}")


def test_a_message_out_is_kept_in_the_class_of_the_service_of_its_number(house: ApiHouse, tenant: Tenant) -> None:
    sent = send(house, tenant, "about your claim", **{"from": OURS})
    assert (sent.status, sent.json["retention_class"]) == (202, CLAIMS)
    assert kept_in(house, tenant, sent.json["id"]) == ({CLAIMS}, 60)


def test_a_message_in_is_kept_in_the_class_of_the_service_of_its_number(
    house: ApiHouse, tenant: Tenant, centre: Centre
) -> None:
    deliver(centre, "my claim")
    seen = newest_in(house, tenant, "my claim")
    assert seen["retention_class"] == CLAIMS
    assert kept_in(house, tenant, seen["id"]) == ({CLAIMS}, 60)


def test_a_long_message_in_is_in_one_class_though_the_number_is_pointed_elsewhere_between_its_segments(
    house: ApiHouse, tenant: Tenant, centre: Centre
) -> None:
    deliver(centre, "The first half, ", udh="050003510201")
    point(house, tenant, None)
    try:
        deliver(centre, "and the second.", udh="050003510202")
        seen = newest_in(house, tenant, "The first half, and the second.")
        assert kept_in(house, tenant, seen["id"])[0] == {CLAIMS}
        deliver(centre, "afterwards")
        assert newest_in(house, tenant, "afterwards")["retention_class"] == 0
    finally:
        point(house, tenant, service(house, tenant, CLAIMS))


def test_a_message_out_may_name_another_service(house: ApiHouse, tenant: Tenant) -> None:
    named = send(house, tenant, "see you", **{"from": OURS, "service": service(house, tenant, LATER)})
    assert (named.status, named.json["retention_class"]) == (202, LATER)
    assert kept_in(house, tenant, named.json["id"])[0] == {LATER}
    nobodys = send(house, tenant, "see you", **{"from": OURS, "service": "svc_" + 32 * "0"})
    assert (nobodys.status, "service-missing" in nobodys.json["type"]) == (404, True)


def test_what_is_sent_under_a_name_is_kept_as_the_account_says_for_messages(house: ApiHouse, tenant: Tenant) -> None:
    allow = f"/v1/accounts/{tenant.account}/sender-names"
    assert house.ask("POST", allow, secret=house.operator, body={"name": "Claims"}).status == 200
    assert send(house, tenant, "by name", **{"from": "Claims"}).json["retention_class"] == 0
    ask(house, tenant, "PUT", "/v1/message-settings", {"retention_class": LATER})
    assert send(house, tenant, "by name", **{"from": "Claims"}).json["retention_class"] == LATER
    assert send(house, tenant, "by number", **{"from": OURS}).json["retention_class"] == CLAIMS


def test_a_class_that_has_no_name_is_refused_and_changes_nothing(house: ApiHouse, tenant: Tenant) -> None:
    before = ask(house, tenant, "GET", "/v1/message-settings")
    ask(house, tenant, "PUT", "/v1/message-settings", {"retention_class": 9}, status=422)
    assert ask(house, tenant, "GET", "/v1/message-settings") == before
