"""Webhooks end to end: a running cloud, an HTTPS server of a customer, and a worker that is killed in between."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from standardwebhooks import Webhook

from sealwire.communications.webhooks.announcer import OutboxAnnouncer
from sealwire.communications.webhooks.events import Event
from sealwire.custody.lifecycle import Custody
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import CallId, DeliveryId, EndpointId
from tests.api_house import Answer, ApiHouse, Tenant, open_api_house
from tests.sites import Asked, Site, open_site

QUALITY = {"Sealwire-Purpose": "quality-assurance"}


class Customer:
    """An HTTPS server on a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._ready, self._loop = folder, threading.Event(), asyncio.new_event_loop()
        self._over = asyncio.Event()
        self.site: Site
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        async with open_site(self._folder, port=24030) as self.site:
            self._ready.set()
            await self._over.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)


@pytest.fixture(scope="module")
def customer() -> Iterator[Customer]:
    folder = Path(tempfile.mkdtemp(prefix="sealwire-customer-")).resolve()
    folder.chmod(0o755)
    running = Customer(folder)
    yield running
    running.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def house(customer: Customer) -> Iterator[ApiHouse]:
    with open_api_house(egress_allow="127.0.0.1/32", egress_ca=str(customer.site.ca)) as running:
        yield running


@pytest.fixture
def tenant(house: ApiHouse) -> Tenant:
    return house.tenant("Webhooks")


def ask(house: ApiHouse, tenant: Tenant, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = {name.replace("_", "-"): value for name, value in headers.items()} | QUALITY
    return house.ask(method, path, secret=tenant.secret, body=body, headers=sent)


def make(house: ApiHouse, tenant: Tenant, address: str, *events: str) -> tuple[str, str]:
    body = {"address": address, "events": list(events) or ["call.ended"]}
    made = ask(house, tenant, "POST", "/v1/webhooks", body)
    assert made.status == 201, made
    return made.json["id"], made.json["signing_secret"]


def announce(house: ApiHouse, tenant: Tenant, **references: Any) -> None:
    async def tell(custody: Custody) -> None:
        await OutboxAnnouncer(custody.database, SystemClock()).announce(tenant.account, Event.CALL_ENDED, **references)

    house.in_custody(tell)


def until(true: Callable[[], Any], seconds: float = 15) -> Any:
    ends_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends_s, "it never came true"
        time.sleep(0.02)
    return found


def ended(house: ApiHouse, tenant: Tenant, count: int = 1) -> list[Any]:
    def enough() -> list[Any]:
        items = ask(house, tenant, "GET", "/v1/webhook-deliveries").json["items"]
        return items if len(items) >= count else []

    return list(until(enough))


@pytest.mark.alone
def test_an_event_is_told_within_a_second_and_what_was_told_is_kept_and_can_be_opened(
    house: ApiHouse, tenant: Tenant, customer: Customer
):
    endpoint, secret = make(house, tenant, customer.site.says("/one", {}))
    call = str(CallId.new())
    began_s = time.monotonic()
    announce(house, tenant, call=call, cause="normal")
    (asked,) = until(lambda: customer.site.asked_at("/one"))
    assert time.monotonic() - began_s < 2
    assert Webhook(secret).verify(asked.body, asked.headers)["data"] == {"call": call, "cause": "normal"}
    (seen,) = ended(house, tenant)
    assert (seen["id"], seen["endpoint_id"]) == (asked.headers["webhook-id"], endpoint)
    assert (seen["delivered"], seen["attempts"], seen["last_status"]) == (True, 1, 200)
    assert ask(house, tenant, "GET", f"/v1/webhook-deliveries/{seen['id']}").json == seen
    opened = ask(house, tenant, "GET", f"/v1/webhook-deliveries/{seen['id']}/content").json
    assert opened["content"] == {"address": customer.site.at("/one"), "body": asked.body.decode()}
    assert ask(house, tenant, "GET", "/v1/webhook-deliveries/pending").json["items"] == []


def test_what_was_ended_is_sent_again_as_a_new_delivery_of_the_same_references(
    house: ApiHouse, tenant: Tenant, customer: Customer
):
    make(house, tenant, customer.site.says("/again", {}))
    announce(house, tenant, call=str(CallId.new()))
    (first,) = ended(house, tenant)
    path = f"/v1/webhook-deliveries/{first['id']}/retry"
    retried = [ask(house, tenant, "POST", path, Idempotency_Key="k") for _ in range(2)]
    assert [each.status for each in retried] == [202, 202]
    assert retried[0].json == retried[1].json
    assert len(ended(house, tenant, 2)) == 2
    one, other = customer.site.asked_at("/again")
    assert one.json["data"] == other.json["data"]
    assert {one.headers["webhook-id"], other.headers["webhook-id"]} == {first["id"], retried[0].json["delivery_id"]}


@pytest.mark.slow
def test_an_endpoint_that_fails_is_tried_again_after_seconds_under_the_same_id(
    house: ApiHouse, tenant: Tenant, customer: Customer
):
    make(house, tenant, customer.site.says("/fails", {}, status=500))
    announce(house, tenant, call=str(CallId.new()))
    until(lambda: customer.site.asked_at("/fails"))
    waiting = until(lambda: [
        each for each in ask(house, tenant, "GET", "/v1/webhook-deliveries/pending").json["items"] if each["attempts"]
    ])  # fmt: skip
    assert (waiting[0]["attempts"], waiting[0]["last_status"]) == (1, 500)
    customer.site.says("/fails", {})
    (seen,) = ended(house, tenant)
    one, other = customer.site.asked_at("/fails")
    assert one.headers["webhook-id"] == other.headers["webhook-id"] == seen["id"]
    assert (seen["attempts"], seen["delivered"]) == (2, True)


def test_a_delivery_on_its_way_can_be_tried_at_once(house: ApiHouse, tenant: Tenant, customer: Customer):
    make(house, tenant, customer.site.says("/soon", {}, status=500))
    announce(house, tenant, call=str(CallId.new()))
    (waiting,) = until(lambda: [
        each for each in ask(house, tenant, "GET", "/v1/webhook-deliveries/pending").json["items"] if each["attempts"]
    ])  # fmt: skip
    customer.site.says("/soon", {})
    tried = ask(house, tenant, "POST", f"/v1/webhook-deliveries/{waiting['id']}/retry")
    assert tried.json == {"delivery_id": waiting["id"]}
    assert ended(house, tenant)[0]["delivered"] is True


def test_a_worker_killed_while_an_endpoint_thinks_delivers_after_it_is_back(
    house: ApiHouse, tenant: Tenant, customer: Customer
):
    async def think(_: Asked, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    make(house, tenant, customer.site.does("/killed", think))
    announce(house, tenant, call=str(CallId.new()))
    until(lambda: customer.site.asked_at("/killed"))
    customer.site.says("/killed", {})
    worker = house.cloud.child("worker")
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    until(lambda: not worker.is_running)
    worker.start()
    (seen,) = ended(house, tenant)
    one, other = customer.site.asked_at("/killed")
    assert one.headers["webhook-id"] == other.headers["webhook-id"] == seen["id"]
    assert seen["delivered"] is True


def test_the_secret_is_shown_once_and_changes_with_a_day_of_both(house: ApiHouse, tenant: Tenant, customer: Customer):
    body = {"address": customer.site.says("/rotated", {}), "events": ["call.ended"]}
    first, again = (ask(house, tenant, "POST", "/v1/webhooks", body, Idempotency_Key="one") for _ in range(2))
    assert first.json["signing_secret"].startswith("whsec_")
    assert (again.json["signing_secret"], again.headers["idempotent-replayed"]) == (None, "true")
    path = f"/v1/webhooks/{first.json['id']}"
    assert "signing_secret" not in ask(house, tenant, "GET", path).json
    fresh = ask(house, tenant, "POST", f"{path}/signing-secret").json
    assert fresh["signs_with_old_secret_until"] is not None
    begun = ask(house, tenant, "POST", f"{path}/test")
    assert begun.status == 202
    (asked,) = until(lambda: customer.site.asked_at("/rotated"))
    for secret in (first.json["signing_secret"], fresh["signing_secret"]):
        told = Webhook(secret).verify(asked.body, asked.headers)
    assert (told["type"], told["data"]) == ("webhook.test", {"endpoint": first.json["id"]})
    assert asked.headers["webhook-id"] == begun.json["delivery_id"]


def test_an_endpoint_is_changed_paused_and_removed(house: ApiHouse, tenant: Tenant, customer: Customer):
    endpoint, _ = make(house, tenant, customer.site.says("/paused", {}))
    path = f"/v1/webhooks/{endpoint}"
    changed = ask(house, tenant, "PATCH", path, {"state": "paused", "label": "desk", "events": ["report.ready"]})
    assert (changed.json["state"], changed.json["label"], changed.json["events"]) == (
        "paused",
        "desk",
        ["report.ready"],
    )
    refused = ask(house, tenant, "POST", f"{path}/test")
    assert (refused.status, refused.code) == (409, "endpoint-not-active")
    assert [each["id"] for each in ask(house, tenant, "GET", "/v1/webhooks").json["items"]] == [endpoint]
    assert ask(house, tenant, "DELETE", path).status == 204
    assert ask(house, tenant, "GET", path).code == "endpoint-missing"
    assert ask(house, tenant, "GET", "/v1/webhooks").json["items"] == []


@pytest.mark.parametrize("address", ["ftp://example.org/", "https://a@example.org/", "example.org", "https://"])
def test_an_address_that_is_none_is_refused(house: ApiHouse, tenant: Tenant, address: str):
    body = {"address": address, "events": ["call.ended"]}
    assert ask(house, tenant, "POST", "/v1/webhooks", body).code == "address-malformed"


def test_an_address_inside_the_cloud_is_never_connected_to(house: ApiHouse, tenant: Tenant):
    host, _, port = house.settings.api_listen.rpartition(":")
    inside = f"https://127.0.0.2:{port}/v1/health"
    body = {"address": inside, "events": ["call.ended"]}
    assert ask(house, tenant, "POST", "/v1/webhooks", body).code == "address-refused"
    endpoint, _ = make(house, tenant, "https://example.org/")
    asyncio.run(_as_allowed_before(house, inside, EndpointId.parse(endpoint)))
    begun = ask(house, tenant, "POST", f"/v1/webhooks/{endpoint}/test").json
    path = f"/v1/webhook-deliveries/{begun['delivery_id']}"
    seen = until(lambda: (now := ask(house, tenant, "GET", path).json)["attempts"] and now)
    assert (seen["delivered"], seen["last_status"], host) == (False, None, "127.0.0.1")


async def _as_allowed_before(house: ApiHouse, address: str, endpoint: EndpointId) -> None:
    """The address of an endpoint that was made while the operator allowed its network."""
    connection = await asyncpg.connect(house.cloud.cluster.dsn())
    try:
        changed = "UPDATE communications.webhook_endpoint SET address = $1 WHERE endpoint_id = $2"
        assert await connection.execute(changed, address, endpoint.value) == "UPDATE 1"
    finally:
        await connection.close()


def test_another_account_can_tell_nothing_from_an_id(house: ApiHouse, tenant: Tenant, customer: Customer):
    endpoint, _ = make(house, tenant, customer.site.says("/mine", {}))
    announce(house, tenant, call=str(CallId.new()))
    (delivery,) = ended(house, tenant)
    other = house.tenant("Other")
    for method, path, body in (
        ("GET", "/v1/webhooks/{}", None), ("PATCH", "/v1/webhooks/{}", {"label": "x"}),
        ("DELETE", "/v1/webhooks/{}", None), ("POST", "/v1/webhooks/{}/signing-secret", None),
        ("POST", "/v1/webhooks/{}/test", None), ("GET", "/v1/webhook-deliveries/{}", None),
        ("GET", "/v1/webhook-deliveries/{}/content", None), ("POST", "/v1/webhook-deliveries/{}/retry", None),
    ):  # fmt: skip
        is_delivery = "deliveries" in path
        own, unknown = (delivery["id"], DeliveryId.new()) if is_delivery else (endpoint, EndpointId.new())
        foreign, random = (ask(house, other, method, path.format(each), body) for each in (own, unknown))
        assert (foreign.status, foreign.code) == (random.status, random.code)
        assert foreign.status == 404, (method, path)


def test_what_was_sent_is_opened_for_a_purpose_only(house: ApiHouse, tenant: Tenant):
    path = f"/v1/webhook-deliveries/{DeliveryId.new()}/content"
    assert house.ask("GET", path, secret=tenant.secret).code == "purpose-missing"
