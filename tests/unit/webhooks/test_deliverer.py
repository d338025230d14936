"""Deliveries over days, on a clock that is moved: real database, real HTTPS servers, custody stood in for by a list."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from standardwebhooks import Webhook
from tests.conftest import ModuleDatabase, OpenDatabase
from tests.sites import Asked, open_site, response
from tests.unit.webhooks.house import House, KeptInList

from sealwire.communications.webhooks import deliverer as deliverer_module
from sealwire.communications.webhooks import endpoints
from sealwire.communications.webhooks.announcer import CHANNEL, ContentInEvent
from sealwire.communications.webhooks.deliverer import (
    AT_ONCE_PER_ACCOUNT,
    AT_ONCE_PER_ENDPOINT,
    RETRIES_S,
)
from sealwire.communications.webhooks.events import Event
from sealwire.custody.lifecycle import RecordErased
from sealwire.errors import Unavailable
from sealwire.governance.agreements import NoAgreement
from sealwire.ground.clock import TestClock
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import AccountId, CallId, CredentialId


@pytest.fixture
async def house(database: OpenDatabase, tmp_path: Path) -> AsyncIterator[House]:
    service, worker = await database(), await database("sealwire_worker")
    async with worker.system() as connection:
        await connection.execute("DELETE FROM communications.webhook_outbox")
        await connection.execute("DELETE FROM communications.webhook_endpoint")
    async with open_site(tmp_path / "site") as site:
        clock = TestClock(dt.datetime.now(dt.UTC))
        yield House(site, service, worker, KeptInList(service), SecretBox(b"k" * 32), clock)


async def test_an_event_is_sent_signed_kept_and_gone_from_the_outbox(house: House):
    endpoint, call = await house.endpoint(house.site.says("/hook", {})), CallId.new()
    await house.announce(call=str(call), cause="normal", seconds=12)
    await house.round(house.deliverer())
    (asked,) = house.site.asked
    (kept,) = house.custody.kept
    assert Webhook(house.secrets[endpoint]).verify(asked.body, asked.headers) == asked.json
    assert asked.json["type"] == "call.ended"
    assert asked.json["data"] == {"call": str(call), "cause": "normal", "seconds": 12}
    assert asked.headers["webhook-id"] == str(kept.delivery_id)
    assert (kept.delivered, kept.attempts, kept.last_status) == (True, 1, 200)
    assert (kept.address, kept.body) == (house.site.at("/hook"), asked.body.decode())
    assert await house.rows() == []


async def test_only_endpoints_that_want_an_event_and_are_of_the_account_are_told(house: House):
    await house.endpoint(house.site.says("/a", {}), Event.CALL_ENDED, Event.REPORT_READY)
    await house.endpoint(house.site.says("/b", {}), Event.REPORT_READY)
    await house.endpoint(house.site.says("/c", {}), account=AccountId.new())
    await house.announce(call=str(CallId.new()))
    await house.round(house.deliverer())
    assert [asked.path for asked in house.site.asked] == ["/a"]


@pytest.mark.parametrize("references", [
    {"caller": "+441632960101"}, {"caller": "441632960101"}, {"text": "see you at nine"}, {"text": "x" * 41},
    {"call": "call_" + "5" * 33}, {"seconds": 1 << 60}, {"caller": 441632960101}, {"cause": ""},
])  # fmt: skip
async def test_an_event_with_content_is_refused_before_it_is_stored(house: House, references: dict[str, Any]):
    await house.endpoint(house.site.says("/hook", {}))
    with pytest.raises(ContentInEvent):
        await house.announce(**references)
    assert await house.rows() == []


async def test_what_fails_is_tried_again_ten_times_in_three_days_under_one_id_and_then_kept_as_not_delivered(
    house: House,
):
    await house.endpoint(house.site.says("/hook", {}, status=500))
    await house.announce(call=str(CallId.new()))
    deliverer, began = house.deliverer(), house.clock.now()
    waits: list[float] = []
    while rows := await house.rows():
        waits.append(max(0.0, (rows[0]["due_at"] - house.clock.now()).total_seconds()))
        house.clock.advance(seconds=waits[-1])
        await house.round(deliverer)
    for waited, planned in zip(waits[1:], RETRIES_S, strict=True):
        assert planned <= waited <= planned * 1.1
    (kept,) = house.custody.kept
    assert (kept.delivered, kept.attempts, kept.last_status) == (False, 1 + len(RETRIES_S), 500)
    assert len({asked.headers["webhook-id"] for asked in house.site.asked}) == 1
    assert len({asked.body for asked in house.site.asked}) == 1
    assert len({asked.headers["webhook-timestamp"] for asked in house.site.asked}) == 10
    assert dt.timedelta(days=3) <= house.clock.now() - began <= dt.timedelta(days=3.6)


async def test_an_endpoint_that_took_nothing_for_three_days_is_disabled_and_the_others_are_told(house: House):
    failing = await house.endpoint(house.site.says("/down", {}, status=503))
    await house.endpoint(house.site.says("/up", {}), Event.ENDPOINT_DISABLED)
    deliverer = house.deliverer()
    await house.announce(call=str(CallId.new()))
    await house.round(deliverer)
    assert (await house.state(failing)).failing_since == house.clock.now()
    house.clock.advance(days=3, seconds=1)
    await house.announce(call=str(CallId.new()))
    await house.round(deliverer)
    await house.round(deliverer)
    assert (await house.state(failing)).state == "disabled"
    (told,) = house.site.asked_at("/up")
    assert told.json["data"] == {"endpoint": str(failing)}
    await house.announce(call=str(CallId.new()))
    await house.round(deliverer)
    assert await house.rows() == []
    assert sorted(each.delivered for each in house.custody.kept) == [False, False, True]


async def test_one_success_starts_the_three_days_anew(house: House):
    endpoint = await house.endpoint(house.site.says("/hook", {}, status=503))
    deliverer = house.deliverer()
    await house.announce(call=str(CallId.new()))
    await house.round(deliverer)
    house.site.says("/hook", {})
    house.clock.advance(days=2)
    await house.round(deliverer)
    assert (await house.state(endpoint)).failing_since is None
    house.site.says("/hook", {}, status=503)
    house.clock.advance(days=2)
    await house.announce(call=str(CallId.new()))
    await house.round(deliverer)
    assert (await house.state(endpoint)).state == "active"


async def test_an_endpoint_that_says_it_is_gone_is_disabled_at_once(house: House):
    endpoint = await house.endpoint(house.site.says("/hook", {}, status=410))
    await house.announce(call=str(CallId.new()))
    await house.round(house.deliverer())
    assert (await house.state(endpoint)).state == "disabled"
    assert [kept.last_status for kept in house.custody.kept] == [410]


async def test_a_paused_endpoint_is_sent_nothing_until_it_is_active_again(house: House):
    endpoint = await house.endpoint(house.site.says("/hook", {}))
    await house.announce(call=str(CallId.new()))
    deliverer = house.deliverer()
    for state, sent in (("paused", 0), ("active", 1)):
        async with house.service.account(house.account) as connection:
            now = await endpoints.find_endpoint(connection, house.account, endpoint)
            changed = endpoints.Endpoint(**{name: getattr(now, name) for name in now.__slots__} | {"state": state})
            await endpoints.change_endpoint(
                connection, house.account, changed, by=CredentialId.new(), clock=house.clock
            )
        await house.round(deliverer)
        assert len(house.site.asked) == sent


async def test_what_waited_for_a_removed_endpoint_is_kept_as_not_delivered_and_the_endpoint_forgotten(house: House):
    endpoint = await house.endpoint(house.site.says("/hook", {}, status=500))
    deliverer = house.deliverer()
    await house.announce(call=str(CallId.new()))
    await house.round(deliverer)
    async with house.service.account(house.account) as connection:
        await endpoints.remove_endpoint(connection, house.account, endpoint, by=CredentialId.new(), clock=house.clock)
        with pytest.raises(endpoints.EndpointMissing):
            await endpoints.find_endpoint(connection, house.account, endpoint)
    await house.round(deliverer)
    await house.round(deliverer)
    assert [(kept.delivered, kept.attempts) for kept in house.custody.kept] == [(False, 1)]
    async with house.worker.system() as connection:
        assert await connection.fetchval("SELECT count(*) FROM communications.webhook_endpoint") == 0


async def test_while_secrets_change_deliveries_are_signed_with_both_and_a_day_later_with_the_new_one(house: House):
    endpoint = await house.endpoint(house.site.says("/hook", {}))
    old, deliverer = house.secrets[endpoint], house.deliverer()
    async with house.service.account(house.account) as connection:
        fresh = await endpoints.rotate_secret(
            connection, house.account, endpoint, by=CredentialId.new(), box=house.box, clock=house.clock
        )
    for signatures in (2, 1):
        await house.announce(call=str(CallId.new()))
        await house.round(deliverer)
        asked = house.site.asked[-1]
        assert len(asked.headers["webhook-signature"].split(" ")) == signatures
        if signatures == 2:
            for secret in (old, fresh):
                Webhook(secret).verify(asked.body, asked.headers)
        house.clock.advance(days=1, seconds=1)


async def test_an_endpoint_that_hangs_has_a_few_deliveries_under_way_and_holds_up_no_other(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deliverer_module, "ANSWER_S_MAX", 10.0)
    hanging = 0

    async def hang(_: Asked, __: asyncio.StreamWriter) -> None:
        nonlocal hanging
        hanging += 1
        await asyncio.sleep(30)

    await house.endpoint(house.site.does("/hangs", hang))
    await house.endpoint(house.site.says("/works", {}))
    for _ in range(20):
        await house.announce(call=str(CallId.new()))
    deliverer = house.deliverer()
    for _ in range(10):
        await deliverer.deliver_due()
        await asyncio.sleep(0.03)
    assert hanging == AT_ONCE_PER_ENDPOINT
    assert len(house.site.asked_at("/works")) == 20
    await deliverer.close()


async def test_an_account_whose_many_endpoints_hang_holds_up_no_other_account(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(deliverer_module, "ANSWER_S_MAX", 5.0)
    hanging = 0

    async def hang(_: Asked, __: asyncio.StreamWriter) -> None:
        nonlocal hanging
        hanging += 1
        await asyncio.sleep(30)

    for at in range(12):
        await house.endpoint(house.site.does(f"/hangs-{at}", hang))
    for _ in range(5):
        await house.announce(call=str(CallId.new()))
    house.clock.advance(seconds=1)
    house.account = AccountId.new()
    await house.endpoint(house.site.says("/works", {}))
    for _ in range(3):
        await house.announce(call=str(CallId.new()))
    deliverer = house.deliverer()
    for _ in range(6):
        await deliverer.deliver_due()
        await asyncio.sleep(0.1)
    assert len(house.site.asked_at("/works")) == 3
    assert hanging == AT_ONCE_PER_ACCOUNT
    await deliverer.close()


async def test_what_was_under_way_in_a_process_that_died_is_sent_again_under_the_same_id(house: House):
    arrived = asyncio.Event()

    async def take_and_hang(_: Asked, __: asyncio.StreamWriter) -> None:
        arrived.set()
        await asyncio.sleep(30)

    await house.endpoint(house.site.does("/hook", take_and_hang))
    await house.announce(call=str(CallId.new()))
    dying = house.deliverer()
    await dying.deliver_due()
    await arrived.wait()
    await dying.close()
    house.site.says("/hook", {})
    await house.round(house.deliverer())
    first, second = house.site.asked
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [kept.attempts for kept in house.custody.kept] == [1]


async def test_a_delivery_that_cannot_be_kept_now_is_kept_later_and_not_sent_again(house: House):
    await house.endpoint(house.site.says("/hook", {}))
    await house.announce(call=str(CallId.new()))
    deliverer = house.deliverer()
    house.custody.refuses = Unavailable()
    await house.round(deliverer)
    assert len(await house.rows()) == 1
    house.custody.refuses = None
    house.clock.advance(seconds=11)
    await house.round(deliverer)
    assert len(house.site.asked) == 1
    assert [kept.delivered for kept in house.custody.kept] == [True]
    assert await house.rows() == []


@pytest.mark.parametrize("refusal", [NoAgreement, RecordErased])
async def test_what_may_not_be_kept_does_not_stay_in_the_outbox_either(house: House, refusal: type[Exception]):
    await house.endpoint(house.site.says("/hook", {}))
    await house.announce(call=str(CallId.new()))
    house.custody.refuses = refusal()
    await house.round(house.deliverer())
    assert await house.rows() == []


@pytest.mark.parametrize("address", ["https://127.0.0.2/", "https://169.254.169.254/", "https://localhost:24999/"])
async def test_an_address_that_may_not_or_cannot_be_reached_counts_as_a_failure(house: House, address: str):
    await house.endpoint(address)
    await house.announce(call=str(CallId.new()))
    await house.round(house.deliverer())
    (row,) = await house.rows()
    assert (row["attempts"], row["last_status"]) == (1, None)


async def test_a_huge_answer_and_a_redirect_are_failures(house: House):
    async def flood(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"x" * 70_000))

    await house.endpoint(house.site.does("/flood", flood))
    await house.endpoint(house.site.says("/moved", {}, status=301))
    await house.announce(call=str(CallId.new()))
    await house.round(house.deliverer())
    assert sorted(str(row["last_status"]) for row in await house.rows()) == ["301", "None"]


async def test_the_outbox_and_the_endpoints_hold_no_secret_in_the_clear(house: House):
    endpoint = await house.endpoint(house.site.says("/hook", {}))
    await house.announce(call=str(CallId.new()))
    async with house.worker.system() as connection:
        rows = await connection.fetch("SELECT e::text AS row FROM communications.webhook_endpoint e")
    secret = house.secrets[endpoint]
    assert secret not in rows[0]["row"]
    assert secret.removeprefix("whsec_").encode().hex() not in rows[0]["row"]
    assert json.loads((await house.rows())[0]["reference"]).keys() == {"call"}


async def test_an_account_has_twenty_endpoints_at_most(house: House):
    for _ in range(endpoints.ENDPOINTS_MAX):
        await house.endpoint("https://example.org/")
    with pytest.raises(endpoints.TooManyEndpoints):
        await house.endpoint("https://example.org/")


async def test_whoever_listens_is_woken_by_an_event_and_told_nothing(house: House, module_database: ModuleDatabase):
    await house.endpoint(house.site.says("/hook", {}))
    heard: list[Any] = []
    connection = await asyncpg.connect(module_database.dsn("sealwire_worker"))
    await connection.add_listener(CHANNEL, lambda *told: heard.append(told[3]))
    await house.announce(call=str(CallId.new()))
    await house.announce(Event.REPORT_READY)
    await asyncio.sleep(0.3)
    await connection.close()
    assert heard == [""]
