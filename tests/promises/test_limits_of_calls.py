"""What limits do to calls: who is turned away leaves records, who is in a hurry room, who is late nothing."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from sealwire.communications.accounting.port import DestinationNotAllowed
from sealwire.communications.calls import turned_away
from sealwire.communications.calls.pace import Pace, TooFast
from sealwire.communications.control.port import ChannelEnded, ChannelState, WrongMoment
from sealwire.communications.webhooks.events import Event
from sealwire.doors.caller import Caller
from sealwire.vocabulary import AccountId, HangupCause, Party, ReturnCode
from tests.telephony_house import ACCOUNT, FAR, GREETING, Script, open_house, takes, two_houses, waits


async def test_an_inbound_call_that_the_limits_do_not_let_in_leaves_both_records(tmp_path: Path):
    async with open_house(tmp_path, application=lambda: Script(waits)) as house:
        house.purse.empty = True
        report = await Caller(house.plan()).run()
        ended, run = await house.keeper.next_call(), await house.keeper.next_run()
        assert (report.status, ended.answered_at, ended.cause) == (480, None, HangupCause.SPEND_CAP)
        assert (run.return_code, run.call_id) == (ReturnCode.SPEND_CAP_REACHED, ended.call_id)
        assert house.crier.events == [Event.CALL_ENDED, Event.APPLICATION_ENDED]
        assert (house.purse.open, house.keeper.up) == (0, set())


async def test_who_calls_without_end_does_not_fill_the_books_with_refusals(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(turned_away, "A_MINUTE", 2)
    async with open_house(tmp_path, application=lambda: Script(waits)) as house:
        house.purse.empty = True
        for _ in range(4):
            assert (await Caller(house.plan()).run()).status == 480
        for _ in range(100):  # the refusal is answered before the books are closed
            if not house.keeper.up:
                break
            await asyncio.sleep(0.05)
        assert (house.keeper.calls.qsize(), house.keeper.runs.qsize(), house.keeper.up) == (2, 2, set())


@pytest.mark.alone
async def test_an_account_in_a_hurry_leaves_half_of_the_pace_to_others() -> None:
    pace, hasty = Pace(a_second=100, waiting_seconds_max=0.4), AccountId.new()
    turns = [asyncio.ensure_future(pace.turn(hasty)) for _ in range(200)]
    await asyncio.sleep(0)
    assert sum(isinstance(turn.exception(), TooFast) for turn in turns if turn.done()) >= 150
    began = time.monotonic()
    await pace.turn(AccountId.new())
    assert time.monotonic() - began < 0.35
    await asyncio.gather(*turns, return_exceptions=True)


@pytest.mark.alone
async def test_calls_that_are_refused_use_up_no_pace(tmp_path: Path):
    async with two_houses(tmp_path, waits, takes) as (here, _):
        here.purse.forbidden = "+999"
        premium = Party("+9991632960999")
        for _ in range(100):
            with pytest.raises(DestinationNotAllowed):
                await here.switchboard.start_call(ACCOUNT, GREETING.service, premium)
        began = time.monotonic()
        await here.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
        assert time.monotonic() - began < 0.5


async def test_a_leg_that_is_made_ready_when_its_call_ends_is_not_placed(tmp_path: Path):
    async with two_houses(tmp_path, takes, takes) as (here, there):
        caller = asyncio.ensure_future(Caller(here.plan(digits="", end_digit="", hang_up_after=1.0)).run())
        async with asyncio.timeout(10):
            while not (up := here.switchboard.calls_of(ACCOUNT)) or up[0].first.state is not ChannelState.UP:
                await asyncio.sleep(0.05)
        target, may_go_on = here.trunk.target, asyncio.Event()

        async def slow_target(*args: object, **named: object) -> object:
            await may_go_on.wait()
            return await target(*args, **named)

        here.trunk.target = slow_target
        dialling = asyncio.ensure_future(up[0].dial(FAR))
        await here.keeper.next_run()
        may_go_on.set()
        with pytest.raises(ChannelEnded):
            await dialling
        with pytest.raises(WrongMoment):
            await up[0].dial(FAR)
        await caller
        assert (here.purse.open, here.keeper.up, there.keeper.live) == (0, set(), [])
