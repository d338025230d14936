"""Real calls driven by a customer's program in a process of its own: SIP and RTP at one end, TLS at the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sealwire.communications.control.port import CallControl, ChannelEnded
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.speech import speech_engine
from sealwire.communications.speech.port import SpeechEngine
from sealwire.doors.caller import Caller, CallReport
from sealwire.errors import Missing
from sealwire.vocabulary import AccountId, HangupCause, Party, ReturnCode
from tests.conftest import OpenDatabase
from tests.telephony_house import ACCOUNT, GREETED, GREETING, SPEECH, Script
from tests.telephony_house import House as Telephony
from tests.telephony_house import open_house as open_telephony
from tests.unit.programs.house import ROOT, House, open_house

IVR = ROOT / "examples/ivr_menu/ivr.py"


@dataclass
class Spoken:
    """Texts are really spoken."""

    engine: SpeechEngine = field(default_factory=lambda: speech_engine("espeak-ng"))

    async def say(self, text: str, *, voice: str = "") -> bytes:
        return await self.engine.speak(text, voice=voice)

    async def file(self, account: AccountId, name: str, *, secret: Mapping[str, str] | None = None) -> bytes:
        raise Missing


@asynccontextmanager
async def both(folder: Path, database: OpenDatabase, application: str) -> AsyncIterator[tuple[House, Telephony]]:
    """A gateway for programs, and a switchboard whose calls run this application of theirs."""
    async with (
        open_house(folder, await database(), account=ACCOUNT, sounds=Spoken()) as programs,
        open_telephony(
            folder, application=lambda: programs.directory.application(ACCOUNT, application), sounds=programs.sounds
        ) as telephony,
    ):
        yield programs, telephony


async def called(telephony: Telephony, **changes: object) -> CallReport:
    return await Caller(telephony.plan(**changes)).run()


@pytest.mark.slow
async def test_the_example_menu_takes_a_message_and_its_record_names_the_recording(
    tmp_path: Path, database: OpenDatabase
) -> None:
    async with both(tmp_path, database, "ivr-menu") as (programs, telephony):
        await programs.start(await programs.register(), script=IVR)
        report = await called(telephony, digits="2", seconds=6, seconds_max=40)
        ended, run = await telephony.keeper.next_call(), await telephony.keeper.next_run()
    assert (report.answered, report.hung_up_by, report.error) == (True, "far end", "")
    assert run.return_code == 0
    (recording,) = ended.recordings
    assert run.parameters.startswith("message rec_")
    said = recording.kept[16_000:32_000]  # the telephone begins to speak while it is still being told how
    assert likeness(said, SPEECH).correlation >= 0.9
    assert run.speech_seconds > 3


async def test_a_program_puts_a_caller_through_to_another_leg(tmp_path: Path, database: OpenDatabase) -> None:
    async def desk(call: CallControl) -> int:
        await call.primary.answer()
        await asyncio.sleep(0.5)
        try:
            await call.primary.play(SPEECH)
        except ChannelEnded:
            return 1
        return 0

    (tmp_path / "desk").mkdir()
    async with (
        both(tmp_path, database, "ivr-menu") as (programs, telephony),
        open_telephony(tmp_path / "desk", application=lambda: Script(desk)) as far,
    ):
        telephony.trunk.address = far.address
        await programs.start(await programs.register(), script=IVR, DESK=GREETED)
        report = await called(telephony, digits="0", speech=b"", end_digit="", seconds_max=40, keep_heard=True)
        run = await telephony.keeper.next_run()
        assert (await far.keeper.next_run()).return_code == 0
    assert (run.return_code, run.extra_legs) == (0, 1)
    # How well a bridge sounds is the engine's promise; here it counts that the desk is heard at all.
    pieces = [SPEECH[at : at + 4_000] for at in range(0, len(SPEECH) - 4_000, 4_000)]
    assert max(likeness(piece, bytes(report.heard)).correlation for piece in pieces) >= 0.95


async def test_an_outbound_call_is_driven_by_a_program_and_ends_with_its_code(
    tmp_path: Path, database: OpenDatabase
) -> None:
    async def picks_up(call: CallControl) -> int:
        await call.primary.answer()
        await call.primary.wait_ended()
        return 0

    (tmp_path / "far").mkdir()
    async with (
        both(tmp_path, database, "code") as (programs, telephony),
        open_telephony(tmp_path / "far", application=lambda: Script(picks_up)) as far,
    ):
        telephony.trunk.address = far.address
        await programs.start(await programs.register())
        await telephony.switchboard.start_call(ACCOUNT, GREETING.service, Party(GREETED), arguments="42")
        run = await telephony.keeper.next_run()
    assert (run.return_code, run.direction, run.arguments) == (42, "outbound", "42")


async def test_kill_9_of_the_program_in_mid_call_is_a_bye_within_two_seconds_and_code_minus_10(
    tmp_path: Path, database: OpenDatabase
) -> None:
    async with both(tmp_path, database, "stays") as (programs, telephony):
        program = await programs.start(await programs.register())
        calling = asyncio.ensure_future(called(telephony, digits="", speech=b"", end_digit="", seconds_max=40))
        await program.says("up")
        await asyncio.sleep(2)
        assert not calling.done()
        killed_at = time.monotonic()
        program.process.kill()
        report = await calling
        ended, run = await telephony.keeper.next_call(), await telephony.keeper.next_run()
    assert report.hung_up_by == "far end"
    print(f"BYE after {report.ended_at_s - killed_at:.3f} s")
    assert report.ended_at_s - killed_at < 2
    assert run.return_code == ReturnCode.PROGRAM_LOST == -10
    assert ended.cause is HangupCause.PROGRAM_LOST


async def test_without_a_program_the_caller_is_turned_away_and_the_record_says_why(
    tmp_path: Path, database: OpenDatabase
) -> None:
    async with both(tmp_path, database, "ivr-menu") as (_, telephony):
        report = await called(telephony)
        run = await telephony.keeper.next_run()
    assert (report.answered, report.status) == (False, 480)
    assert run.return_code == ReturnCode.APPLICATION_MISSING


async def test_a_command_of_a_real_call_takes_at_most_50_ms_at_the_99th_percentile(
    tmp_path: Path, database: OpenDatabase
) -> None:
    async with both(tmp_path, database, "rounds") as (programs, telephony):
        program = await programs.start(await programs.register())
        calling = asyncio.ensure_future(called(telephony, digits="", speech=b"", end_digit="", seconds_max=40))
        line = await program.says("rounds p50")
        await calling
    print(line)
    assert float(line.rpartition(" ")[2]) <= 50
