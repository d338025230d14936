"""The whole way of a customer with pages and webhooks: make a service by API, be called, be told, read the record.

Every process of the cloud is real; the pages are an HTTPS server under an authority that the operator trusts.
"""

from __future__ import annotations

import asyncio
import shutil
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from sealwire.config import Settings
from sealwire.doors.caller import Caller, CallPlan
from sealwire.doors.first_start import operator_credential_file
from sealwire.doors.supervisor import API, KEEPER, SEQUENCER, SWITCHBOARD, WORKER, Cloud
from sealwire.vocabulary import ReturnCode
from tests import ports
from tests.api_house import ApiHouse
from tests.sites import Site, open_site
from tests.telephony_house import free_rtp_ports, free_sip_port

pytestmark = pytest.mark.slow
CALLER, ORDERS, BROKEN = "+441632960123", "+441632960781", "+441632960782"
PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, SWITCHBOARD))
Ask = Callable[..., Awaitable[Any]]


async def until(found: Callable[[], Awaitable[Any]]) -> Any:
    async with asyncio.timeout(20):
        while not (seen := await found()):
            await asyncio.sleep(0.1)
    return seen


async def service_of(ask: Ask, api: ApiHouse, account: object, number: str, site: Site, first: str) -> str:
    """A service of pages that a number leads to; its signing secret."""
    logic = {"kind": "pages", "first_page": site.at(first), "final_page": site.at("/final")}
    made = await ask("POST", "/v1/services", {"name": first, "direction": "inbound", "logic": logic})
    path = f"/v1/accounts/{account}/numbers"
    await ask("POST", path, {"number": number, "service": made["id"]}, secret=api.operator)
    return str(made["page_secret"])


async def test_a_call_is_driven_by_pages_and_told_by_webhooks_and_its_record_says_how_it_went() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sealwire-pages-")).resolve()
    folder.chmod(0o711)
    try:
        async with open_site(folder / "site") as site:
            (folder / "site").chmod(0o755)
            settings = Settings(
                data_dir=folder / "data",
                api_listen=f"127.0.0.1:{ports.take()}", uas_listen=f"127.0.0.1:{ports.take()}",
                sip_listen=f"127.0.0.1:{free_sip_port()}", rtp_ports=free_rtp_ports(),
                egress_allow="127.0.0.1/32", egress_ca=str(site.ca),
            )  # fmt: skip
            async with Cloud(settings, parts=PARTS) as cloud:
                assert cloud.certificates is not None
                context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
                api = ApiHouse(settings, cloud, context, operator_credential_file(settings).read_text().strip())
                await _be_called(api, site)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _be_called(api: ApiHouse, site: Site) -> None:
    tenant = await asyncio.to_thread(api.tenant, "Pages")

    async def ask(method: str, path: str, body: Any = None, *, secret: str | None = None) -> Any:
        answer = await asyncio.to_thread(api.ask, method, path, secret=secret or tenant.secret, body=body)
        assert answer.status < 300, answer
        return answer.json if answer.body else None

    page_secret = await service_of(ask, api, tenant.account, ORDERS, site, "/first")
    await service_of(ask, api, tenant.account, BROKEN, site, "/gone")
    hook = await ask("POST", "/v1/webhooks", {
        "address": site.says("/hook", {}), "events": ["application.ended", "call.ended", "recording.kept"]
    })  # fmt: skip
    question = {"action": "get_digits", "prompt": {"text": "press a key"}, "next_page": "/pressed"}
    site.says("/first", {"actions": [question], "parameters": "order 7"})
    site.says("/pressed", {"actions": [{"action": "record", "seconds_max": 2}, {"action": "say", "text": "goodbye"}]})
    site.says("/final", {})
    for number in (ORDERS, BROKEN):
        to = f"sip:{number}@{api.settings.sip_listen}"
        await Caller(CallPlan(to=to, caller=CALLER, digits="5", end_digit="", seconds_max=40)).run()

    async def both() -> Any:
        items = (await ask("GET", "/v1/applications"))["items"]
        return items if len(items) == 2 else None

    broken, served = sorted(await until(both), key=lambda each: each["return_code"])
    assert (served["return_code"], served["kind"], broken["return_code"]) == (0, "pages", ReturnCode.PAGE_STATUS)
    for asked in site.asked:
        secret = hook["signing_secret"] if asked.path == "/hook" else page_secret
        if asked.path in ("/hook", "/first", "/pressed"):
            Webhook(secret).verify(asked.body, asked.headers)
    (pressed,) = site.asked_at("/pressed")
    assert (pressed.json["results"][0]["digits"], pressed.json["parameters"]) == ("5", "order 7")
    assert {each.json["ended"]["return_code"] for each in site.asked_at("/final")} == {0, -25}

    async def told() -> Any:
        types = [each.json["type"] for each in site.asked_at("/hook")]
        return types if len(types) >= 5 else None

    assert sorted(await until(told)) == ["application.ended"] * 2 + ["call.ended"] * 2 + ["recording.kept"]
    assert "4416" not in "".join(each.path for each in site.asked)
    assert b"4416" not in b"".join(each.body for each in site.asked_at("/hook"))
