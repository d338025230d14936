"""An application drives real calls: it is called, calls out, dials, bridges, records both sides; every run leaves its
record. Two switchboards with an engine each; the telephones are of another code base.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from sealwire.communications.accounting.port import SpendCapReached
from sealwire.communications.calls.consent import ConsentRefused
from sealwire.communications.calls.pace import Pace, TooFast
from sealwire.communications.calls.remote import SwitchboardClient, SwitchboardHandlers
from sealwire.communications.calls.switchboard import ApplicationNotThere, CallMissing, WrongDirection
from sealwire.communications.control.port import (
    CallControl,
    ChannelEnded,
    ChannelState,
    NotReached,
    RecordingImpossible,
    RecordingWish,
    WrongMoment,
)
from sealwire.communications.prompts import sound
from sealwire.communications.webhooks.events import Event
from sealwire.doors.caller import Caller
from sealwire.errors import Malformed, Missing
from sealwire.governance.services import Direction
from sealwire.ground import wire
from sealwire.vocabulary import AccountId, CallId, HangupCause, Party, ReturnCode
from tests.telephony_house import (
    ACCOUNT,
    FAR,
    GREETING,
    SPEECH,
    House,
    Script,
    hears,
    open_house,
    picks_up,
    takes,
    two_houses,
    waits,
)


async def test_an_outbound_call_is_answered_driven_and_leaves_both_records(tmp_path: Path):
    async def asks(call: CallControl) -> int:
        assert call.primary.state is ChannelState.UP
        assert call.arguments == "order 66"
        call.note_parameters("done with it")
        recorded = await call.primary.record(RecordingWish(seconds_max=1.5))
        assert (recorded.ended_by, round(recorded.seconds, 1)) == ("length", 1.5)
        return 42

    async with two_houses(tmp_path, asks, picks_up) as (here, there):
        call = await here.switchboard.start_call(ACCOUNT, GREETING.service, FAR, arguments="order 66")
        assert [live.direction for live in here.keeper.live] == ["outbound"]
        ended, run = await here.keeper.next_call(), await here.keeper.next_run()
        far, far_run = await there.keeper.next_call(), await there.keeper.next_run()
    assert (run.return_code, run.direction, run.kind) == (42, "outbound", "built-in")
    assert (run.application_id, run.call_id) == (call.application_id, ended.call_id)
    assert (run.arguments, run.parameters) == ("order 66", "done with it")
    assert (ended.direction, ended.leg, ended.application_id) == ("outbound", 0, call.application_id)
    assert (ended.callee, ended.cause, far.cause) == (FAR, HangupCause.NORMAL, HangupCause.NORMAL)
    assert hears(ended.recordings[0].kept) >= 0.9
    assert far_run.return_code == 7
    assert run.cost_millicents == sum(charge.amount_millicents for charge in here.keeper.charges) > 0
    assert (here.purse.open, here.keeper.up) == (0, set())
    assert here.crier.events == [Event.RECORDING_KEPT, Event.CALL_ENDED, Event.APPLICATION_ENDED]


@pytest.mark.parametrize(
    ("cause", "code"),
    [
        (HangupCause.BUSY, ReturnCode.BUSY),
        (HangupCause.REJECTED, ReturnCode.REJECTED),
        (HangupCause.NUMBER_UNKNOWN, ReturnCode.NUMBER_UNKNOWN),
    ],
)
async def test_a_called_party_that_turns_away_is_the_cause_and_the_code(tmp_path: Path, cause, code):
    async def rejects(call: CallControl) -> int:
        await call.primary.reject(cause)
        return 0

    async with two_houses(tmp_path, picks_up, rejects) as (here, there):
        await here.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
        assert (await here.keeper.next_call()).cause is cause
        assert (await here.keeper.next_run()).return_code == code
        assert (await there.keeper.next_call()).cause is cause
        assert here.keeper.charges == []


async def test_a_call_that_is_taken_back_while_it_rings_is_cancelled(tmp_path: Path):
    async def rings(call: CallControl) -> int:
        await call.primary.ring()
        await call.primary.wait_ended()
        return 0

    async with two_houses(tmp_path, picks_up, rings) as (here, there):
        call = await here.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
        await asyncio.sleep(0.5)
        await call.first.hang_up(HangupCause.CANCELLED)
        assert (await here.keeper.next_call()).cause is HangupCause.CANCELLED
        assert (await here.keeper.next_run()).return_code == ReturnCode.CANCELLED
        assert (await there.keeper.next_call()).answered_at is None


async def test_a_leg_is_dialled_bridged_and_both_parties_are_recorded(tmp_path: Path):
    """The caller hears the dialled party, the recording holds both."""

    async def connects(call: CallControl) -> int:
        await call.primary.answer()
        await call.start_recording(RecordingWish())
        other = await call.dial(FAR)
        assert (other.number, sorted(call.channels)) == (1, [0, 1])
        with pytest.raises(ChannelEnded):
            await call.bridge(call.primary, other)
        return 5

    async with two_houses(tmp_path, connects, picks_up) as (here, _):
        plan = here.plan(seconds=3, digits="", end_digit="", hang_up_after=5.0, keep_heard=True, interrupt_after=0)
        report = await Caller(plan).run()
        legs = [await here.keeper.next_call(), await here.keeper.next_call()]
        run = await here.keeper.next_run()
    assert (run.return_code, run.extra_legs) == (5, 1)
    assert hears(bytes(report.heard)) >= 0.8
    first, second = sorted(legs, key=lambda leg: leg.leg)
    assert (first.direction, second.direction, second.leg) == ("inbound", "outbound", 1)
    assert first.application_id == second.application_id == run.application_id
    assert len(first.recordings) == 1
    assert hears(first.recordings[0].kept) >= 0.5


async def test_a_leg_that_cannot_be_reached_says_why_and_the_call_goes_on(tmp_path: Path):
    seen: list[object] = []

    async def tries(call: CallControl) -> int:
        await call.primary.answer()
        for number in (FAR, Party("+4490900000")):
            try:
                await call.dial(number)
            except NotReached as refusal:
                seen.append(refusal.cause)
        await call.primary.play(sound("tone"))
        return 0

    async def busy(call: CallControl) -> int:
        await call.primary.reject(HangupCause.BUSY)
        return 0

    async with two_houses(tmp_path, tries, busy) as (here, _):
        here.purse.forbidden = "+449"
        await Caller(here.plan(digits="", end_digit="")).run()
        run = await here.keeper.next_run()
    assert seen == [HangupCause.BUSY, HangupCause.NOT_ALLOWED]
    assert (run.return_code, run.extra_legs) == (0, 1)


async def test_when_the_money_runs_out_the_call_is_hung_up_and_both_records_say_so(tmp_path: Path):
    async with two_houses(tmp_path, waits, picks_up) as (here, _):
        here.purse.seconds, here.purse.extensions = 0.6, 2
        await here.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
        ended, run = await here.keeper.next_call(), await here.keeper.next_run()
    assert ended.cause is HangupCause.SPEND_CAP
    assert run.return_code == ReturnCode.SPEND_CAP_REACHED
    assert ended.answered_at is not None
    assert 1.2 < (ended.ended_at - ended.answered_at).total_seconds() < 2.6
    assert (here.purse.open, len(here.keeper.charges)) == (0, 1)


async def test_without_money_or_by_a_service_for_inbound_calls_nothing_is_placed_and_nothing_is_left(tmp_path: Path):
    inbound = msgspec.structs.replace(GREETING, direction=Direction.INBOUND)
    async with open_house(tmp_path, application=lambda: Script(waits), service=inbound) as house:
        with pytest.raises(WrongDirection):
            await house.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
    (tmp_path / "two").mkdir()
    async with open_house(tmp_path / "two", application=lambda: Script(waits)) as house:
        house.purse.empty = True
        with pytest.raises(SpendCapReached):
            await house.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
        assert (house.keeper.live, house.switchboard.live_calls) == ([], 0)


async def test_an_inbound_call_for_an_outbound_service_is_turned_away_and_its_record_says_so(tmp_path: Path):
    outbound = msgspec.structs.replace(GREETING, direction=Direction.OUTBOUND)
    async with open_house(tmp_path, service=outbound) as house:
        report = await Caller(house.plan()).run()
        run = await house.keeper.next_run()
    assert (report.status, report.answered) == (480, False)
    assert run.return_code == ReturnCode.WRONG_DIRECTION


async def test_a_service_whose_application_is_not_there_turns_calls_away_and_places_none(tmp_path: Path):
    async with open_house(tmp_path, application=lambda: None) as house:
        report = await Caller(house.plan()).run()
        run = await house.keeper.next_run()
        with pytest.raises(ApplicationNotThere):
            await house.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
    assert report.status == 480
    assert run.return_code == ReturnCode.APPLICATION_MISSING


@pytest.mark.parametrize(
    ("returned", "code"),
    [
        (12, 12),
        (-100, -100),
        ("yes", ReturnCode.NOT_AN_INTEGER),
        (True, ReturnCode.NOT_AN_INTEGER),
        (1 << 40, ReturnCode.NOT_AN_INTEGER),
        (-7, ReturnCode.RESERVED_CODE_RETURNED),
        (ReturnCode.PAGE_TOO_SLOW, ReturnCode.PAGE_TOO_SLOW),
        (ZeroDivisionError(), ReturnCode.APPLICATION_FAILED),
        (ConsentRefused(), ReturnCode.CONSENT_REFUSED),
        (RecordingImpossible(), ReturnCode.RECORDING_REFUSED),
        (NotReached(cause=HangupCause.BUSY), ReturnCode.BUSY),
        (ChannelEnded(), ReturnCode.DONE),
    ],
)
async def test_what_an_application_returns_or_raises_is_its_code(tmp_path: Path, returned, code):
    async def ends(_: CallControl) -> object:
        if isinstance(returned, Exception):
            raise returned
        return returned

    async with open_house(tmp_path, application=lambda: Script(ends)) as house:
        await Caller(house.plan(seconds_max=4)).run()
        assert (await house.keeper.next_run()).return_code == code


@asynccontextmanager
async def asked_from_outside(house: House, folder: Path) -> AsyncIterator[SwitchboardClient]:
    handlers = SwitchboardHandlers(house.switchboard, sounds=None, messages=None)  # type: ignore[arg-type]
    server = await wire.serve(folder / "s.sock", handlers.handlers())
    client = SwitchboardClient(folder / "s.sock")
    try:
        yield client
    finally:
        await client.close()
        server.close()


async def test_a_call_is_started_seen_acted_upon_and_ended_from_another_process(tmp_path: Path):
    outcomes: list[object] = []

    async def plays_for_long(call: CallControl) -> int:
        while call.primary.state is ChannelState.UP:
            outcomes.append(await call.primary.play(SPEECH * 5))
        return 0

    async with two_houses(tmp_path, plays_for_long, takes) as (here, _), asked_from_outside(here, tmp_path) as client:
        started = await client.start_call(ACCOUNT, GREETING.service, FAR)
        call = CallId.parse(started["call"])
        async with asyncio.timeout(5):
            while (await client.call_status(ACCOUNT, call))["channels"][0]["doing"] != "playing":
                await asyncio.sleep(0.05)
        status = await client.call_status(ACCOUNT, call)
        assert (status["application"], status["direction"]) == (started["application"], "outbound")
        assert [live["call"] for live in await client.live_calls(ACCOUNT)] == [started["call"]]
        assert FAR.text.removeprefix("+") not in repr(status)
        done = await client.act(ACCOUNT, call, 0, {"action": "send_digits", "digits": "12", "id": "a"})
        assert (done["action"], done["id"]) == ("send_digits", "a")
        assert len(outcomes) == 1
        await client.act(ACCOUNT, call, 0, {"action": "hang_up"})
        assert (await here.keeper.next_run()).return_code == 0


async def test_what_is_unknown_and_what_is_another_accounts_is_refused_alike(tmp_path: Path):
    async with two_houses(tmp_path, waits, takes) as (here, _), asked_from_outside(here, tmp_path) as client:
        started = await client.start_call(ACCOUNT, GREETING.service, FAR)
        call, stranger = CallId.parse(started["call"]), AccountId.new()
        said = set()
        for account, wanted in ((stranger, call), (ACCOUNT, CallId.new())):
            for verb in (client.call_status, client.cancel_call):
                with pytest.raises(CallMissing) as refusal:
                    await verb(account, wanted)
                said.add(str(refusal.value))
            with pytest.raises(CallMissing):
                await client.act(account, wanted, 0, {"action": "hang_up"})
            with pytest.raises(CallMissing):
                await client.interrupt(account, wanted, "redirect", {"page": "https://example.org"})
        assert len(said) == 1
        assert await client.live_calls(stranger) == []
        with pytest.raises(Malformed):
            await client.act(ACCOUNT, call, 0, {"action": "explode"})
        with pytest.raises(Missing):
            await client.act(ACCOUNT, call, 2, {"action": "hang_up"})
        await client.cancel_call(ACCOUNT, call)
        await here.keeper.next_run()
        with pytest.raises(CallMissing):
            await client.call_status(ACCOUNT, call)


async def test_a_redirect_reaches_the_application(tmp_path: Path):
    seen: list[object] = []

    async def looks_around(call: CallControl) -> int:
        seen.append(await call.next_interruption())
        return 0

    async with two_houses(tmp_path, looks_around, takes) as (here, _), asked_from_outside(here, tmp_path) as client:
        call = CallId.parse((await client.start_call(ACCOUNT, GREETING.service, FAR))["call"])
        await client.interrupt(ACCOUNT, call, "redirect", {"page": "https://example.org/other"})
        await here.keeper.next_run()
    assert [(each.kind, each.body) for each in seen] == [("redirect", {"page": "https://example.org/other"})]


async def test_too_many_verbs_end_the_call_and_are_the_code(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("sealwire.communications.calls.live.VERBS_MAX", 20)

    async def never_stops(call: CallControl) -> int:
        while True:
            try:
                await call.primary.collect(count_max=1, first_seconds=0.0)
            except Exception:
                await asyncio.sleep(0)

    async with open_house(tmp_path, application=lambda: Script(never_stops)) as house:
        await Caller(house.plan(digits="", end_digit="", seconds_max=6)).run()
        assert (await house.keeper.next_run()).return_code == ReturnCode.TOO_MANY_ACTIONS


async def test_set_ups_beyond_the_pace_wait_a_little_and_then_are_refused() -> None:
    pace = Pace(a_second=50, waiting_seconds_max=0.1)
    began = time.monotonic()
    turns = await asyncio.gather(*(pace.turn(AccountId.new()) for _ in range(40)), return_exceptions=True)
    refused = [turn for turn in turns if isinstance(turn, TooFast)]
    assert 0 < len(refused) < 30
    assert time.monotonic() - began >= 0.08


async def test_three_legs_may_be_up_beside_the_first_and_a_fourth_is_refused_until_one_has_ended(tmp_path: Path):
    async def dials(call: CallControl) -> int:
        await call.primary.answer()
        others = [await call.dial(FAR) for _ in range(3)]
        with pytest.raises(WrongMoment):
            await call.dial(FAR)
        await others[1].hang_up()
        again = await call.dial(FAR)
        assert [other.number for other in others] == [1, 2, 3]
        assert again.number == 2
        await call.primary.hang_up()
        assert all(other.state is ChannelState.UP for other in (others[0], others[2], again))
        return 4

    async with two_houses(tmp_path, dials, takes) as (here, _):
        await Caller(here.plan(digits="", end_digit="", seconds_max=15)).run()
        run = await here.keeper.next_run()
        legs = [await here.keeper.next_call() for _ in range(5)]
    assert (run.return_code, run.extra_legs) == (4, 4)
    assert sorted(leg.leg for leg in legs) == [0, 1, 2, 3, 4]
    assert {leg.application_id for leg in legs} == {run.application_id}
    assert (here.purse.open, here.keeper.up) == (0, set())


async def test_an_application_that_starts_early_waits_for_the_answer_itself(tmp_path: Path):
    early = msgspec.structs.replace(GREETING, early_media=True)
    states: list[ChannelState] = []

    async def early_bird(call: CallControl) -> int:
        states.append(call.primary.state)
        await call.primary.answer()
        states.append(call.primary.state)
        return 0

    async with two_houses(tmp_path, early_bird, takes, service=early) as (here, _):
        await here.switchboard.start_call(ACCOUNT, GREETING.service, FAR)
        assert (await here.keeper.next_run()).return_code == 0
    assert states == [ChannelState.RINGING, ChannelState.UP]
