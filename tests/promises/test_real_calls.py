"""Real calls go in through a real engine, are recorded as they were spoken, and always leave a record.

The telephones are of another code base than the engine; audio is real RTP over loopback.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
from pathlib import Path

import pytest

from sealwire.communications.calls.ports import CallEnded
from sealwire.communications.control.builtins import Greeting
from sealwire.communications.prompts import sound
from sealwire.communications.recordings.likeness import likeness
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.communications.switches.port import SipAddressTaken
from sealwire.doors.caller import Caller, read_pcm
from sealwire.ground import diagnostics
from sealwire.vocabulary import HangupCause
from tests.telephony_house import (
    ACCOUNT,
    CALLER,
    GREETED,
    REFUSED,
    SPEECH,
    BriskGreeting,
    House,
    Script,
    open_house,
    run_program,
)


def recorded(ended: CallEnded) -> bytes:
    """The one recording of a call."""
    assert len(ended.recordings) == 1
    kept = ended.recordings[0].kept
    assert isinstance(kept, bytes)
    return kept


async def until(true, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


async def test_a_caller_hears_the_prompt_types_a_digit_speaks_and_is_recorded_as_spoken(tmp_path: Path):
    async with open_house(tmp_path, application=Greeting) as house:
        heard = tmp_path / "heard.wav"
        code, out = await run_program(
            *("sealwire.doors.caller", "--to", house.uri(), "--from", CALLER, "--digit", "5", "--json"),
            *("--speech", "caller-one", "--heard", str(heard)),
        )
        report, ended = json.loads(out), await house.keeper.next_call()
    assert code == 0
    assert report["hung_up_by"] == "far end"
    assert likeness(sound("welcome"), read_pcm(heard)).correlation >= 0.9
    assert likeness(sound("goodbye")[:40_000], read_pcm(heard)).correlation >= 0.9
    assert likeness(SPEECH, recorded(ended)).correlation >= 0.9
    assert (ended.caller.text, ended.callee.text, ended.account) == (CALLER, GREETED, ACCOUNT)
    assert (ended.digits, ended.cause, ended.frames_lost) == ("5", HangupCause.NORMAL, 0)
    assert ended.answered_at is not None
    assert ended.started_at <= ended.answered_at < ended.ended_at
    lasted = (ended.ended_at - ended.answered_at).total_seconds()
    assert lasted == pytest.approx(report["seconds"], abs=0.5)
    assert [live.call_id for live in house.keeper.live] == [ended.call_id]


@pytest.mark.slow
async def test_mu_law_is_recorded_as_spoken_too(tmp_path: Path):
    async with open_house(tmp_path) as house:
        await Caller(house.plan(codec="pcmu", digits="7", seconds=2.5)).run()
        ended = await house.keeper.next_call()
    assert ended.digits == "7"
    assert likeness(SPEECH[:24_000], recorded(ended)).correlation >= 0.9


async def test_another_callers_speech_is_not_taken_for_this_ones(tmp_path: Path):
    """The control: the correlation can fail."""
    async with open_house(tmp_path) as house:
        await Caller(house.plan()).run()
        ended = await house.keeper.next_call()
    assert likeness(SPEECH[40_000:64_000], recorded(ended)).correlation < 0.5


@pytest.mark.slow
async def test_what_the_network_loses_is_filled_so_that_the_recording_keeps_the_wall_clock(tmp_path: Path):
    async with open_house(tmp_path) as house:
        await Caller(house.plan(seconds=3, gaps=((0.6, 1.6),))).run()
        ended = await house.keeper.next_call()
    pcm = recorded(ended)
    before, after = likeness(SPEECH[:9_600], pcm), likeness(SPEECH[27_200:48_000], pcm)
    assert min(before.correlation, after.correlation) >= 0.9
    assert after.offset_s - before.offset_s == pytest.approx(1.7, abs=0.15)
    recording = ended.recordings[0]
    assert recording.samples_padded >= 0.9 * 8000
    assert recording.samples / 8000 == pytest.approx(
        (recording.ended_at - recording.started_at).total_seconds(), abs=0.2
    )


@pytest.mark.slow
async def test_a_caller_who_hangs_up_in_mid_recording_leaves_both(tmp_path: Path):
    async with open_house(tmp_path) as house:
        report = await Caller(house.plan(seconds=5, hang_up_after=4.0)).run()
        ended = await house.keeper.next_call()
    assert report.hung_up_by == "caller"
    assert ended.cause is HangupCause.NORMAL
    assert likeness(SPEECH[:16_000], recorded(ended)).correlation >= 0.9


@pytest.mark.slow
async def test_silence_ends_a_recording(tmp_path: Path):
    async with open_house(tmp_path, application=lambda: BriskGreeting(silence_seconds=1.0)) as house:
        report = await Caller(house.plan(end_digit="")).run()
        ended = await house.keeper.next_call()
    assert report.hung_up_by == "far end"
    assert 2.0 < ended.recordings[0].samples / 8000 < 4.0


async def test_an_engine_that_is_killed_in_mid_call_ends_the_call_with_a_true_record(tmp_path: Path):
    async with open_house(tmp_path) as house:
        (pid,) = house.engine.worker_pids
        calling = asyncio.ensure_future(Caller(house.plan(seconds=5, seconds_max=6)).run())
        await until(lambda: house.keeper.sinks and len(house.keeper.sinks[0].pcm) > 40_000, 10)
        killed_at = dt.datetime.now(dt.UTC)
        os.kill(pid, signal.SIGKILL)
        ended = await house.keeper.next_call()
        assert ended.cause is HangupCause.ENGINE_FAILED
        assert abs((ended.ended_at - killed_at).total_seconds()) < 0.5
        assert ended.answered_at is not None
        assert likeness(SPEECH[:12_000], recorded(ended)).correlation >= 0.9
        calling.cancel()

        await until(lambda: house.engine.worker_pids not in ([], [pid]), 10)
        await asyncio.sleep(3)
        again = await Caller(house.plan(seconds=0.5)).run()
        assert again.status == 200
        assert (await house.keeper.next_call()).cause is HangupCause.NORMAL


@pytest.mark.slow
async def test_an_engine_that_hangs_is_replaced_as_one_that_died(tmp_path: Path):
    async with open_house(tmp_path) as house:
        (pid,) = house.engine.worker_pids
        calling = asyncio.ensure_future(Caller(house.plan(seconds=5, seconds_max=40)).run())
        await until(lambda: house.keeper.sinks, 10)
        os.kill(pid, signal.SIGSTOP)
        ended = await house.keeper.next_call()
        assert ended.cause is HangupCause.ENGINE_FAILED
        calling.cancel()
        await until(lambda: house.engine.worker_pids not in ([], [pid]), 20)


async def test_a_call_id_of_a_thousand_bytes_is_refused_too(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("aiosipua.uac.generate_call_id", lambda host: "x" * 1500 + "@" + host)
    async with open_house(tmp_path) as house:
        report = await Caller(house.plan("+441632960998", seconds_max=5)).run()
    assert report.status in (404, 486)


async def test_a_call_that_never_ends_is_ended_at_the_limit(tmp_path: Path):
    async with open_house(tmp_path, call_seconds_max=3) as house:
        report = await Caller(house.plan(digits="", end_digit="", speech=SPEECH * 3)).run()
        ended = await house.keeper.next_call()
    assert report.hung_up_by == "far end"
    assert ended.cause is HangupCause.TOO_LONG
    assert 2.9 < (ended.ended_at - ended.started_at).total_seconds() < 4.5


async def test_a_number_nobody_serves_is_answered_404_and_leaves_no_record(tmp_path: Path):
    async with open_house(tmp_path) as house:
        report = await Caller(house.plan("+441632960998")).run()
        await asyncio.sleep(0.2)
        assert (report.status, report.answered) == (404, False)
        assert (house.keeper.live, house.keeper.calls.qsize(), house.switchboard.live_calls) == ([], 0, 0)


async def test_a_number_without_agreement_is_refused_with_a_sentence_and_leaves_no_record(tmp_path: Path):
    async with open_house(tmp_path) as house:
        report = await Caller(house.plan(REFUSED)).run()
        await asyncio.sleep(0.2)
        assert (report.status, report.warning) == (403, "no agreement is in force for this number")
        assert (house.keeper.live, house.keeper.calls.qsize()) == ([], 0)


async def test_when_nothing_can_be_kept_the_caller_is_told_and_nothing_is_recorded(tmp_path: Path):
    async with open_house(tmp_path) as house:
        house.keeper.is_down = True
        report = await Caller(house.plan(keep_heard=True)).run()
        ended = await house.keeper.next_call()
    assert likeness(sound("not-recorded")[:40_000], bytes(report.heard)).correlation >= 0.9
    assert (ended.recordings, ended.cause) == ([], HangupCause.NORMAL)


async def test_a_call_that_breaks_leaves_the_other_calls_alone(tmp_path: Path):
    made: list[object] = []

    async def breaks(call: object) -> int:
        raise RuntimeError("this application is broken")

    def application():
        made.append(None)
        return BriskGreeting() if len(made) == 1 else Script(breaks)

    async with open_house(tmp_path, application=application) as house:
        good = asyncio.ensure_future(Caller(house.plan()).run())
        await until(lambda: made)
        await Caller(house.plan(seconds_max=5)).run()
        first, second = await house.keeper.next_call(), await house.keeper.next_call()
        assert (await good).hung_up_by == "far end"
    assert {first.cause, second.cause} == {HangupCause.SERVICE_UNAVAILABLE, HangupCause.NORMAL}


async def test_no_number_is_written_by_the_worker_or_left_in_its_folder(tmp_path: Path, capfd, monkeypatch):
    with (tmp_path / "diagnostics").open("w") as ours:
        monkeypatch.setattr(diagnostics, "_out", ours)
        async with open_house(tmp_path) as house:
            await Caller(house.plan(seconds=0.3)).run()
            await Caller(house.plan("+441632960998")).run()
            await house.keeper.next_call()
            written = "".join(file.read_text(errors="replace") for file in tmp_path.rglob("*") if file.is_file())
        monkeypatch.undo()
    written += "".join(capfd.readouterr())
    assert "call.ended" in written  # the controls: both processes were read
    assert "engine.listening" in written
    for number in (CALLER, GREETED, "+441632960998"):
        assert number.removeprefix("+") not in written


async def test_a_taken_port_is_answered_with_one_sentence(tmp_path: Path):
    async with open_house(tmp_path) as house:
        second = BaresipEngine(sip_listen=house.address, rtp_ports="21000-21099", work_dir=tmp_path / "second")
        with pytest.raises(SipAddressTaken, match=r"another program listens at 127\.0\.0\.1:\d+"):
            await second.start(lambda leg: None)  # type: ignore[arg-type,return-value]
        assert second.worker_pids == []


async def test_stopping_ends_live_calls_and_keeps_their_records(tmp_path: Path):
    async with open_house(tmp_path) as house:
        calling = asyncio.ensure_future(Caller(house.plan(seconds=5)).run())
        await until(lambda: house.keeper.sinks and house.keeper.sinks[0].pcm, 10)
        pids = house.engine.worker_pids
        await house.switchboard.stop()
        ended = await house.keeper.next_call()
        assert (await calling).hung_up_by == "far end"
    assert ended.cause is HangupCause.SERVICE_RESTARTED
    assert len(recorded(ended)) > 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


async def load(house: House, *more: str, calls: int, speak_seconds: float) -> dict[str, object]:
    _, out = await run_program(
        *("sealwire.doors.call_load", "--to", house.uri(), "--json", "--pid", str(house.engine.worker_pids[0])),
        *("--calls", str(calls), "--speak-seconds", str(speak_seconds), *more),
    )
    return json.loads(out)


@pytest.mark.slow
async def test_twenty_calls_at_once_lose_no_audio(tmp_path: Path):
    async with open_house(tmp_path) as house:
        report = await load(house, calls=20, speak_seconds=15)
        ended = [await house.keeper.next_call() for _ in range(20)]
        assert house.switchboard.frames_lost == 0
    assert (report["answered"], report["ended_by_far_end"]) == (20, 20)
    assert len({call.caller.text for call in ended}) == 20
    for call in ended:
        assert likeness(SPEECH, recorded(call)).correlation >= 0.9
        assert call.recordings[0].samples_padded < 0.5 * 8000


@pytest.mark.slow
async def test_callers_who_do_not_listen_are_recorded_as_those_who_do(tmp_path: Path):
    async with open_house(tmp_path) as house:
        report = await load(house, "--deaf", calls=3, speak_seconds=8)
        ended = [await house.keeper.next_call() for _ in range(3)]
        assert house.switchboard.frames_lost == 0
    assert (report["answered"], report["ended_by_far_end"], report["concurrent"]) == (3, 3, 3)
    for call in ended:
        assert likeness(SPEECH, recorded(call)).correlation >= 0.9
        assert call.recordings[0].samples > 7.5 * 8000
