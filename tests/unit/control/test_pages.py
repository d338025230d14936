"""Calls in memory, driven by real HTTPS pages: what pages are asked, what their answers do, how they may fail."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from tests.sites import Asked, Site, open_site, response
from tests.unit.control.calls import MemoryCall, MemoryChannel, MemorySounds

from sealwire.communications.addresses import Reach
from sealwire.communications.control.pages.application import SORRY, PageLimits, PagesApplication
from sealwire.communications.control.pages.client import PageClient
from sealwire.communications.control.port import ChannelState, Interruption
from sealwire.communications.egress import Egress
from sealwire.communications.signing import new_secret
from sealwire.governance.services import Direction, Pages, Service
from sealwire.ground import diagnostics
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import AccountId, HangupCause, ReturnCode, ServiceId

SECRET = new_secret()
QUICK = PageLimits(seconds_max=0.4, final_seconds_max=0.4, pages_max=20, idle_pages_max=5)
SAY = {"action": "say", "text": "hello"}


@dataclass
class House:
    """A site, and calls that its pages drive."""

    site: Site
    client: PageClient
    sounds: MemorySounds

    async def run(self, call: MemoryCall, *, error: bool = True, limits: PageLimits = QUICK, **more: Any) -> int:
        pages = Pages(
            first_page=self.site.at("/first"), error_page=self.site.at("/error") if error else None,
            final_page=self.site.at("/final"),
        )  # fmt: skip
        service = Service(
            account=call.account, service=ServiceId.new(), name="a", direction=Direction.BOTH, logic=pages, **more
        )
        application = PagesApplication(service, client=self.client, sounds=self.sounds, messages=None, limits=limits)
        return await asyncio.wait_for(application.run(call), 20)

    def last(self, path: str) -> Any:
        return self.site.asked_at(path)[-1].json

    @property
    def paths(self) -> list[str]:
        return [each.path for each in self.site.asked]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async def secrets_of(_account: AccountId, _service: ServiceId) -> Sequence[str]:
        return [SECRET]

    async with open_site(tmp_path / "site", port=24020) as site:
        egress = Egress(Reach.parse("127.0.0.1/32"), trusted=site.ca)
        client = PageClient(egress, signing_secrets=secrets_of, clock=SystemClock())
        site.says("/final", {})
        yield House(site, client, MemorySounds())
        await egress.close()


def inbound(keys: str = "", **more: Any) -> MemoryCall:
    return MemoryCall(MemoryChannel(keys=deque(keys)), **more)


def outbound(**more: Any) -> MemoryCall:
    return MemoryCall(MemoryChannel(direction="outbound", state=ChannelState.UP), **more)


async def test_the_first_page_is_asked_by_post_signed_and_with_nothing_in_the_address(house: House):
    house.site.says("/first", {"actions": [SAY]})
    call = outbound(arguments='{"order": 7}')
    assert await house.run(call) == ReturnCode.DONE
    asked = house.site.asked[0]
    assert Webhook(SECRET).verify(asked.body, asked.headers) == asked.json
    assert asked.path == "/first"
    assert asked.json | {"service_id": ""} == {
        "version": 1, "request": "first", "application_id": str(call.application_id), "service_id": "",
        "call": {
            "call_id": str(call.primary.call_id), "direction": "outbound", "from": "+441632960101",
            "to": "+441632960100", "state": "up", "arguments": '{"order": 7}',
        },
        "results": [], "parameters": "", "error": None, "ended": None,
    }  # fmt: skip


async def test_actions_run_in_order_then_the_call_is_hung_up_and_the_final_page_told(house: House):
    house.site.says("/first", {"actions": [SAY, {"action": "pause", "seconds": 0.01}, {**SAY, "text": "bye"}]})
    call = inbound()
    assert await house.run(call) == 0
    assert call.primary.verbs == ["answer", "play", "play", "hang_up"]
    assert house.sounds.said == ["hello", "bye"]
    told = house.last("/final")
    assert (told["request"], told["call"]["state"]) == ("final", "ended")
    assert (told["ended"]["cause"], told["ended"]["return_code"]) == ("normal", 0)
    assert [each["action"] for each in told["results"]] == ["say", "pause", "say"]


async def test_the_next_page_hears_what_came_of_the_actions(house: House):
    ask = {"action": "get_digits", "id": "pin", "count_max": 4}
    house.site.says("/first", {"actions": [ask], "next_page": "/checked?step=2", "parameters": "order 7"})
    house.site.says("/checked?step=2", {"actions": []})
    call = inbound("1234")
    assert await house.run(call) == 0
    asked = house.last("/checked?step=2")
    assert asked["results"] == [{"action": "get_digits", "id": "pin", "digits": "1234", "ended_by": "count"}]
    assert asked["parameters"] == "order 7"
    assert call.parameters == ["order 7"]
    assert "1234" not in "".join(house.paths)


async def test_digits_and_menu_keys_lead_to_pages_of_their_own(house: House):
    menu = {
        "action": "run_menu", "prompt": {"text": "1 sales, 2 support"},
        "options": [{"digit": "1", "next_page": "/sales"}, {"digit": "2", "next_page": "/support"}],
    }  # fmt: skip
    house.site.says("/first", {"actions": [menu, {**SAY, "text": "never"}], "next_page": "/never"})
    house.site.says("/support", {"actions": [{"action": "get_digits", "next_page": "/deep/er"}]})
    house.site.says("/deep/er", {"actions": [{"action": "redirect", "page": "last"}, SAY]})
    house.site.says("/deep/last", {"actions": []})
    assert await house.run(inbound("25")) == 0
    assert house.paths == ["/first", "/support", "/deep/er", "/deep/last", "/final"]
    assert "never" not in house.sounds.said


async def test_a_menu_without_a_key_goes_on_with_the_next_action(house: House):
    menu = {"action": "run_menu", "prompt": {"text": "1"}, "options": [{"digit": "1", "next_page": "/one"}]}
    house.site.says("/first", {"actions": [menu, {**SAY, "text": "nobody pressed"}]})
    assert await house.run(inbound()) == 0
    assert house.sounds.said[-1] == "nobody pressed"


async def test_an_inbound_call_is_answered_before_its_first_action_unless_it_is_rejected(house: House):
    house.site.says("/first", {"actions": [{"action": "reject", "cause": "busy"}]})
    call = inbound()
    assert await house.run(call) == 0
    assert call.primary.verbs == ["reject"]
    assert call.primary.cause is HangupCause.BUSY


async def test_with_early_media_the_page_decides_when_to_answer(house: House):
    house.site.says("/first", {"actions": [{"action": "ring"}, SAY, {"action": "answer"}]})
    call = inbound()
    assert await house.run(call, early_media=True) == 0
    assert call.primary.verbs == ["ring", "play", "answer", "hang_up"]


async def test_hang_up_is_the_last_action_that_is_done(house: House):
    house.site.says("/first", {"actions": [{"action": "hang_up"}, SAY], "next_page": "/next"})
    assert await house.run(inbound()) == 0
    assert house.paths == ["/first", "/final"]
    assert house.sounds.said == []


async def test_a_caller_who_hangs_up_ends_it_and_the_final_page_is_told_why(house: House):
    house.site.says("/first", {"actions": [SAY, SAY], "final_page": "/mine"})
    house.site.says("/mine", {})
    call = inbound()
    call.primary.sound_s = 30
    running = asyncio.ensure_future(house.run(call))
    await _until(lambda: "play" in call.primary.verbs)
    call.primary.end()
    assert await running == 0
    assert house.paths == ["/first", "/mine"]


async def test_a_caller_who_hangs_up_while_a_page_thinks_is_not_waited_for(house: House):
    async def think(_: Asked, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    house.site.does("/first", think)
    call = inbound()
    running = asyncio.ensure_future(house.run(call, limits=PageLimits(seconds_max=10)))
    await _until(lambda: bool(house.site.asked))
    call.primary.end()
    assert await asyncio.wait_for(running, 1) == 0


async def test_a_call_that_was_too_long_says_so(house: House):
    house.site.says("/first", {"actions": [SAY]})
    call = inbound()
    call.primary.sound_s = 30
    running = asyncio.ensure_future(house.run(call))
    await _until(lambda: "play" in call.primary.verbs)
    call.primary.end(HangupCause.TOO_LONG)
    assert await running == ReturnCode.CALL_TOO_LONG


async def _hang(_: Asked, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(30)


async def _drip(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    for _each in range(900):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _flood(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(response(b'{"actions": [' + b" " * 300_000 + b"]}"))


async def _redirect(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(response(b"", status=302, headers="Location: https://example.org/\r\n"))


async def _vanish(_: Asked, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


BAD = [
    (_hang, ReturnCode.PAGE_TOO_SLOW), (_drip, ReturnCode.PAGE_TOO_SLOW), (_flood, ReturnCode.PAGE_TOO_LARGE),
    (_redirect, ReturnCode.PAGE_STATUS), ((b"", 500), ReturnCode.PAGE_STATUS), (None, ReturnCode.PAGE_STATUS),
    ((b"<html>hello</html>", 200), ReturnCode.PAGE_MALFORMED), ((b"", 200), ReturnCode.PAGE_MALFORMED),
    ((b"[]", 200), ReturnCode.PAGE_MALFORMED), ((b'{"actions": [{"action": "sing"}]}', 200), ReturnCode.PAGE_MALFORMED),
    ((b'{"actions": [{"action": "say", "text": "a", "loud": 1}]}', 200), ReturnCode.PAGE_MALFORMED),
    ((b'{"action": []}', 200), ReturnCode.PAGE_MALFORMED), ((b'{"actions": "\xff"}', 200), ReturnCode.PAGE_MALFORMED),
    ((b"[" * 200_000, 200), ReturnCode.PAGE_MALFORMED), ((b'{"parameters": "' + b"x" * 5001 + b'"}', 200),
                                                         ReturnCode.PAGE_MALFORMED),
    ({"actions": [SAY] * 51}, ReturnCode.TOO_MANY_ACTIONS), (_vanish, ReturnCode.PAGE_MALFORMED),
    ({"actions": [], "next_page": "https://127.0.0.2/"}, ReturnCode.PAGE_ADDRESS_REFUSED),
    ({"actions": [], "next_page": "https://10.0.0.1/"}, ReturnCode.PAGE_ADDRESS_REFUSED),
    ({"actions": [], "next_page": "gopher://example.org/"}, ReturnCode.PAGE_ADDRESS_REFUSED),
    ({"actions": [], "error_page": "https://a@example.org/"}, ReturnCode.PAGE_ADDRESS_REFUSED),
    ({"actions": [], "next_page": "https://localhost:24999/"}, ReturnCode.PAGE_UNREACHABLE),
    ({"actions": [], "next_page": "/first"}, ReturnCode.TOO_MANY_ACTIONS),
    ({"actions": [{"action": "redirect", "page": "/first"}]}, ReturnCode.TOO_MANY_ACTIONS),
    ({"actions": [SAY], "next_page": "/first"}, ReturnCode.TOO_MANY_ACTIONS),
    ({"actions": [{"action": "play", "file": "no.wav"}]}, ReturnCode.APPLICATION_FAILED),
    ({"actions": [{"action": "send_message", "to": "+441632960100", "text": "a"}]}, ReturnCode.APPLICATION_FAILED),
    ({"actions": [{"action": "start_recording"}]}, ReturnCode.RECORDING_REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("page", "code"), BAD)
async def test_a_page_that_cannot_be_used_leads_to_the_error_page_and_is_named_in_the_return_code(
    house: House, page: Any, code: ReturnCode
):
    _install(house, page)
    house.site.says("/error", {"actions": [{**SAY, "text": "please hold"}], "next_page": "/recovered"})
    house.site.says("/recovered", {"actions": [{**SAY, "text": "recovered"}]})
    call = inbound(may_record=False)
    assert await house.run(call) == code
    error = house.last("/error")
    assert (error["request"], error["error"]["return_code"]) == ("error", int(code))
    assert error["error"]["reason"] == code.name.lower().replace("_", "-")
    is_used_up = page == {"actions": [SAY], "next_page": "/first"}  # then no page is left for the error page's own
    assert house.sounds.said[-1] == (SORRY if is_used_up else "recovered")
    assert house.last("/final")["ended"]["return_code"] == int(code)
    assert len(house.site.asked_at("/error")) == 1


@pytest.mark.parametrize("error", [False, True])
async def test_without_an_error_page_that_works_the_caller_hears_a_sentence_and_the_call_ends(
    house: House, error: bool
):
    house.site.says("/first", {"actions": [SAY], "next_page": "/gone"})
    house.site.says("/error", b"", status=503)
    call = inbound()
    assert await house.run(call, error=error) == ReturnCode.PAGE_STATUS
    assert house.sounds.said == ["hello", SORRY]
    assert call.primary.verbs[-2:] == ["play", "hang_up"]
    assert house.paths == ["/first", "/gone", *(["/error"] if error else []), "/final"]


async def test_a_call_that_was_never_answered_is_turned_away_when_its_pages_fail(house: House):
    call = inbound()
    assert await house.run(call, error=False) == ReturnCode.PAGE_STATUS
    assert call.primary.verbs == ["reject"]
    assert call.primary.cause is HangupCause.SERVICE_UNAVAILABLE


async def test_without_a_signing_secret_no_page_is_asked_at_all(house: House):
    async def none(_account: AccountId, _service: ServiceId) -> Sequence[str]:
        return []

    house.site.says("/first", {"actions": [SAY]})
    house.client._secrets = none
    assert await house.run(inbound()) == ReturnCode.APPLICATION_INVALID
    assert house.paths == []


async def test_a_final_page_that_fails_changes_nothing(house: House):
    house.site.says("/first", {"actions": [SAY]})
    house.site.does("/final", _hang)
    assert await house.run(inbound()) == 0


async def test_a_redirect_from_outside_stops_the_verb_and_asks_the_new_page(house: House):
    house.site.says("/first", {"actions": [SAY, {**SAY, "text": "never"}]})
    house.site.says("/other", {"actions": [{**SAY, "text": "redirected"}]})
    call = inbound()
    call.primary.sound_s = 30
    running = asyncio.ensure_future(house.run(call))
    await _until(lambda: "play" in call.primary.verbs)
    call.primary.sound_s = 0
    call.interruptions.put_nowait(Interruption("redirect", {"page": house.site.at("/other")}))
    assert await running == 0
    assert call.primary.verbs == ["answer", "play", "stop", "play", "hang_up"]
    assert house.sounds.said == ["hello", "redirected"]


async def test_actions_from_outside_take_the_place_of_those_under_way(house: House):
    house.site.says("/first", {"actions": [SAY]})
    call = inbound()
    call.primary.sound_s = 30
    running = asyncio.ensure_future(house.run(call))
    await _until(lambda: "play" in call.primary.verbs)
    call.interruptions.put_nowait(Interruption("redirect", {"actions": [{"action": "hang_up"}]}))
    assert await running == 0
    assert call.primary.verbs == ["answer", "play", "stop", "hang_up"]


async def test_a_run_that_is_cancelled_leaves_nothing_running(house: House):
    house.site.does("/first", _hang)
    before = asyncio.all_tasks()
    running = asyncio.ensure_future(house.run(inbound(), limits=PageLimits()))
    await _until(lambda: bool(house.site.asked))
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    left = {task for task in asyncio.all_tasks() - before if "serve" not in repr(task)}
    assert left == set()


async def test_nothing_of_a_call_is_told_to_diagnostics_but_ids_and_codes(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    lines = io.StringIO()
    monkeypatch.setattr(diagnostics, "_out", lines)
    assert await house.run(inbound(), error=False) == ReturnCode.PAGE_STATUS
    told = lines.getvalue()
    assert "pages.failed" in told
    assert "4416" not in told
    assert "/first" not in told


def _install(house: House, page: Any) -> None:
    if isinstance(page, tuple):
        house.site.says("/first", page[0], status=page[1])
    elif isinstance(page, dict):
        house.site.says("/first", page)
    elif page is not None:
        house.site.does("/first", page)


async def _until(true: Any) -> None:
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")
