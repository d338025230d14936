"""Real calls driven by real HTTPS pages: what a caller types and says comes to the pages, what they answer is done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sealwire.communications.addresses import Reach
from sealwire.communications.control.pages.application import PageLimits, PagesApplication
from sealwire.communications.control.pages.client import PageClient
from sealwire.communications.control.port import CallControl, ChannelEnded
from sealwire.communications.egress import Egress
from sealwire.communications.prompts import sound
from sealwire.communications.signing import new_secret
from sealwire.doors.caller import Caller
from sealwire.governance.services import Direction, Pages, Service
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import AccountId, HangupCause, Party, ReturnCode, ServiceId
from tests.sites import Asked, Site, open_site, response
from tests.telephony_house import ACCOUNT, CALLER, GREETED, House, Script, open_house
from tests.unit.control.calls import MemorySounds


class Tones(MemorySounds):
    """Says everything with a tone."""

    async def say(self, text: str, *, voice: str = "") -> bytes:
        self.said.append(text)
        return sound("tone")


@asynccontextmanager
async def called_by_pages(folder: Path, *, early_media: bool = False) -> AsyncIterator[tuple[House, Site, Tones]]:
    """A switchboard whose number is answered by the pages of a site."""
    secret, sounds = new_secret(), Tones()

    async def secrets_of(_account: AccountId, _service: ServiceId) -> list[str]:
        return [secret]

    async with open_site(folder / "site") as site:
        egress = Egress(Reach.parse("127.0.0.1/32"), trusted=site.ca)
        client = PageClient(egress, signing_secrets=secrets_of, clock=SystemClock())
        pages = Pages(first_page=site.at("/first"), error_page=site.at("/error"), final_page=site.at("/final"))
        service = Service(
            account=ACCOUNT, service=ServiceId.new(), name="pages", direction=Direction.BOTH, logic=pages,
            early_media=early_media,
        )  # fmt: skip
        site.says("/final", {})
        application = PagesApplication(
            service, client=client, sounds=sounds, messages=None, limits=PageLimits(seconds_max=2)
        )
        async with open_house(folder, application=lambda: application, service=service, sounds=sounds) as house:
            yield house, site, sounds
        await egress.close()


def asked_of(site: Site, path: str) -> Any:
    return site.asked_at(path)[-1].json


async def test_a_caller_is_asked_for_a_key_recorded_and_told_goodbye_by_pages(tmp_path: Path):
    async with called_by_pages(tmp_path) as (house, site, sounds):
        ask = {"action": "get_digits", "prompt": {"text": "press a key"}, "count_max": 1, "next_page": "/pressed"}
        site.says("/first", {"actions": [ask], "parameters": "order 7"})
        record = {"action": "record", "id": "wish", "seconds_max": 10, "silence_seconds": 5}
        site.says("/pressed", {"actions": [record], "next_page": "done"})
        site.says("/done", {"actions": [{"action": "say", "text": "goodbye"}]})
        await Caller(house.plan(digits="5", end_digit="#")).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    first = asked_of(site, "/first")
    assert (first["call"]["from"], first["call"]["to"]) == (CALLER, GREETED)
    assert asked_of(site, "/pressed")["results"][0]["digits"] == "5"
    (recorded,) = asked_of(site, "/done")["results"]
    assert (recorded["id"], recorded["ended_by"]) == ("wish", "digit")
    assert recorded["record"].startswith("rec_")
    assert sounds.said == ["press a key", "goodbye"]
    final = asked_of(site, "/final")
    assert (final["ended"]["cause"], final["ended"]["return_code"]) == ("normal", 0)
    assert (run.return_code, run.kind, run.parameters) == (0, "pages", "order 7")
    assert ended.cause is HangupCause.NORMAL
    assert len(ended.recordings) == 1
    assert "4416" not in "".join(asked.path for asked in site.asked)


async def test_a_call_whose_page_is_gone_hears_a_sentence_and_its_record_says_which(tmp_path: Path):
    async with called_by_pages(tmp_path) as (house, site, sounds):
        site.says("/first", {"actions": [{"action": "say", "text": "hello"}], "next_page": "/gone"})
        await Caller(house.plan(digits="", end_digit="")).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert run.return_code == ReturnCode.PAGE_STATUS
    assert ended.cause is HangupCause.NORMAL
    assert [asked.path for asked in site.asked] == ["/first", "/gone", "/error", "/final"]
    assert sounds.said[0] == "hello"
    assert len(sounds.said) == 2


async def test_a_page_that_hangs_leads_to_the_error_page_in_time(tmp_path: Path):
    async def hang(_: Asked, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)

    async with called_by_pages(tmp_path) as (house, site, sounds):
        site.does("/first", hang)
        site.says("/error", {"actions": [{"action": "say", "text": "please call again"}]})
        began_s = time.monotonic()
        await Caller(house.plan(digits="", end_digit="")).run()
        run = await house.keeper.next_run()
    assert time.monotonic() - began_s < 10
    assert run.return_code == ReturnCode.PAGE_TOO_SLOW
    assert sounds.said == ["please call again"]
    assert asked_of(site, "/error")["error"]["reason"] == "page-too-slow"


async def test_a_page_rejects_a_call_before_it_is_answered(tmp_path: Path):
    async with called_by_pages(tmp_path) as (house, site, _):
        site.says("/first", {"actions": [{"action": "reject", "cause": "busy"}]})
        report = await Caller(house.plan()).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
    assert report.status == 486
    assert (ended.answered_at, ended.cause, run.return_code) == (None, HangupCause.BUSY, 0)


async def test_a_caller_who_hangs_up_is_told_to_the_final_page(tmp_path: Path):
    async with called_by_pages(tmp_path) as (house, site, _):
        site.says("/first", {"actions": [{"action": "pause", "seconds": 60}], "next_page": "/never"})
        await Caller(house.plan(digits="", end_digit="", hang_up_after=1.0)).run()
        run = await house.keeper.next_run()
    assert run.return_code == 0
    assert [asked.path for asked in site.asked] == ["/first", "/final"]
    assert asked_of(site, "/final")["call"]["state"] == "ended"


async def test_a_page_connects_the_caller_to_another_party_and_hears_how_it_went(tmp_path: Path):
    async def picks_up(call: CallControl) -> int:
        await call.primary.answer()
        await call.primary.play(sound("tone"))
        await call.primary.hang_up()
        return 0

    (tmp_path / "there").mkdir()
    async with (
        called_by_pages(tmp_path) as (house, site, sounds),
        open_house(tmp_path / "there", application=lambda: Script(picks_up)) as there,
    ):
        house.trunk.address = there.address
        site.says("/first", {"actions": [{"action": "connect", "to": GREETED, "seconds": 10}], "next_page": "/after"})
        site.says("/after", {"actions": [{"action": "say", "text": "they have gone"}]})
        await Caller(house.plan(digits="", end_digit="")).run()
        run = await house.keeper.next_run()
    (result,) = asked_of(site, "/after")["results"]
    assert (result["connected"], result["call_id"][:5]) == (True, "call_")
    assert sounds.said == ["they have gone"]
    assert run.return_code == 0


async def test_an_outbound_call_is_driven_by_pages(tmp_path: Path):
    async def listens(call: CallControl) -> int:
        await call.primary.answer()
        with suppress(ChannelEnded):
            await call.primary.wait_ended()
        return 0

    (tmp_path / "there").mkdir()
    async with (
        called_by_pages(tmp_path) as (house, site, sounds),
        open_house(tmp_path / "there", application=lambda: Script(listens)) as there,
    ):
        house.trunk.address = there.address
        site.says("/first", {"actions": [{"action": "say", "text": "your appointment"}]})
        service = house.switchboard  # the one service of this house
        started = await service.start_call(
            ACCOUNT, ServiceId.parse(await _service_id(house)), Party(GREETED), arguments="slot 9"
        )
        run = await house.keeper.next_run()
    assert (run.return_code, run.direction) == (0, "outbound")
    asked = asked_of(site, "/first")
    assert (asked["call"]["direction"], asked["call"]["state"], asked["call"]["arguments"]) == (
        "outbound", "up", "slot 9"
    )  # fmt: skip
    assert asked["application_id"] == str(started.application_id)
    assert sounds.said == ["your appointment"]


async def _service_id(house: House) -> str:
    return str(house.switchboard._exchange.router.service_of_all.service)


@pytest.mark.slow
async def test_from_one_page_to_the_next_takes_less_than_50_ms_while_a_call_is_up(tmp_path: Path):
    """Each round: the page is asked, its one verb done, and the page asked again. The best of three calls counts."""
    async with called_by_pages(tmp_path) as (house, site, _):
        figures = [await _round_trips(house, site) for _ in range(3)]
    best = min(figures)
    print(f"page round trips during a call: p99={best * 1000:.1f} ms")
    assert best <= 0.05


async def _round_trips(house: House, site: Site) -> float:
    """The 99th percentile of 149 round trips in one call, in seconds."""
    asked_s: list[float] = []

    async def page(_: Asked, writer: asyncio.StreamWriter) -> None:
        asked_s.append(time.monotonic())
        again = b'{"actions": [{"action": "pause", "seconds": 0}], "next_page": "/first"}'
        writer.write(response(again if len(asked_s) < 150 else b'{"actions": []}'))

    site.does("/first", page)
    await Caller(house.plan(digits="", end_digit="")).run()
    assert (await house.keeper.next_run()).return_code == 0
    taken_s = sorted(later - earlier for earlier, later in pairwise(asked_s))
    return taken_s[int(len(taken_s) * 0.99)]
