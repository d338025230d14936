"""How calls go wrong, played by SIPp against a whole cloud: after each the records say so, and no call is up.

The same scenarios as in test_call_flows_sipp.py, at the real switchboard process, with real custody behind it.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sealwire.communications.recordings.likeness import likeness
from sealwire.doors.caller import demo_speech
from sealwire.vocabulary import HangupCause, ReturnCode
from tests.flow_house import CALLER, SIP_PORT, STAYS, Left, Yard, open_yard
from tests.rtp_capture import Capture

pytestmark = pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed (Debian: sip-tester)")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="SIPp plays captures through a raw socket, which needs root")
SPEECH = demo_speech("caller-one")
ONE, OTHER = SPEECH[:24_000], SPEECH[44_000:68_000]
TYPED = [n * 7 % 12 for n in range(300)]
MESSAGES = sorted((Path(__file__).parents[1] / "vectors" / "sip-torture").glob("*.dat"))
MEDIA_TIMEOUT_S = 30


@pytest.fixture(scope="module")
def yard() -> Iterator[Yard]:
    with open_yard() as running:
        yield running


def seconds_of(call: dict[str, Any]) -> float:
    """From answer to end."""
    return (
        dt.datetime.fromisoformat(call["ended_at"]) - dt.datetime.fromisoformat(call["answered_at"])
    ).total_seconds()


def covers_the_call(left: Left) -> bool:
    """One recording, as long as the call was up, but for what opening and ending it takes."""
    (recording,) = left.recordings
    return -1.5 < recording["duration_ms"] / 1000 - seconds_of(left.call) < 0.5


# --- busy, no answer, cancel -----------------------------------------------------------------------------------


def test_a_busy_callee_stands_in_both_records(yard: Yard, tmp_path: Path):
    service, number = yard.service(*STAYS)
    with yard.far("callee_is_busy", tmp_path) as far:
        yard.start(service, far)
        left = yard.left(service)
        assert far.code() == 0
    assert left.outcome == ("outbound", HangupCause.BUSY, ReturnCode.BUSY)
    assert (left.was_answered, left.recordings) == (False, [])
    assert (left.content["caller"], left.content["callee"]) == (number, far.number)


def test_a_caller_is_told_busy_and_the_records_say_so(yard: Yard, tmp_path: Path):
    service, number = yard.service({"action": "reject", "cause": "busy"})
    with yard.caller("caller_is_refused", number, tmp_path) as caller:
        assert caller.wait(20) == 0
    left = yard.left(service)
    assert left.outcome == ("inbound", HangupCause.BUSY, ReturnCode.DONE)
    assert (left.was_answered, left.content["caller"]) == (False, CALLER)


def test_a_network_that_gives_up_is_no_answer(yard: Yard, tmp_path: Path):
    service, _ = yard.service(*STAYS)
    with yard.far("callee_times_out", tmp_path) as far:
        yard.start(service, far)
        left = yard.left(service)
        assert far.code() == 0
    assert left.outcome == ("outbound", HangupCause.NO_ANSWER, ReturnCode.NO_ANSWER)
    assert not left.was_answered


def test_a_call_that_is_cancelled_while_it_rings_takes_its_invite_back(yard: Yard, tmp_path: Path):
    service, _ = yard.service(*STAYS)
    with yard.far("callee_does_not_answer", tmp_path) as far:
        call = yard.start(service, far)
        yard.until_live(service, lambda leg: bool(leg["state"] == "ringing"))
        yard.ask("POST", f"/v1/calls/{call}/cancel", status=200)
        left = yard.left(service)
        assert far.code() == 0
    assert left.outcome == ("outbound", HangupCause.CANCELLED, ReturnCode.CANCELLED)


@pytest.mark.parametrize(
    ("after_ms", "codes"), [(0, {ReturnCode.ENDED_BEFORE_START, ReturnCode.DONE}), (2_000, {ReturnCode.DONE})]
)
def test_a_caller_who_gives_up_while_it_rings_has_cancelled(
    yard: Yard, tmp_path: Path, after_ms: int, codes: set[ReturnCode]
):
    """At the first ringing, when its application may not have begun, and later, when it has."""
    service, number = yard.service(*STAYS, early_media=True, records=True)
    with yard.caller("caller_cancels", number, tmp_path, "-d", str(after_ms)) as caller:
        assert caller.wait(20) == 0
    left = yard.left(service)
    assert left.outcome[:2] == ("inbound", HangupCause.CANCELLED)
    assert left.outcome[2] in codes
    assert (left.was_answered, left.recordings) == (False, [])


@pytest.mark.slow
def test_a_leg_that_rings_too_long_is_given_up_and_the_call_goes_on(yard: Yard, tmp_path: Path):
    with yard.far("callee_does_not_answer", tmp_path) as far:
        service, number = yard.service({"action": "connect", "to": far.number, "seconds": 2}, {"action": "hang_up"})
        with yard.caller("rtp_never_comes", number, tmp_path) as caller:
            assert caller.wait(30) == 0
        assert far.code() == 0
    left = yard.left(service)
    assert left.outcome == ("inbound", HangupCause.NORMAL, ReturnCode.DONE)
    assert left.run["extra_legs"] == 1
    listed = yard.listed("calls?limit=100")
    opened = [yard.ask("GET", f"/v1/calls/{each['call_id']}/content").json["content"] for each in listed]
    causes = [
        each["hangup_code"] for each, content in zip(listed, opened, strict=True) if content["callee"] == far.number
    ]
    assert causes == [HangupCause.NO_ANSWER]


# --- what cannot be agreed -------------------------------------------------------------------------------------


def test_a_caller_without_a_codec_of_ours_reaches_nobody_and_leaves_nothing(yard: Yard, tmp_path: Path):
    service, number = yard.service(*STAYS, records=True)
    with yard.caller("codec_mismatch", number, tmp_path) as caller:
        assert caller.wait(20) == 0
    assert yard.live(service) == []
    assert yard.listed(f"applications?service_id={service}") == []
    assert all(path != f"/{number[-3:]}" for path, _ in yard.asked)


def test_a_callee_without_a_codec_of_ours_stands_in_both_records(yard: Yard, tmp_path: Path):
    service, _ = yard.service(*STAYS, records=True)
    with yard.far("callee_knows_no_codec", tmp_path) as far:
        yard.start(service, far)
        left = yard.left(service)
        assert far.code() == 0
    assert left.outcome == ("outbound", HangupCause.CODEC_MISMATCH, ReturnCode.ENDED_BEFORE_START)
    assert left.recordings == []


def test_a_trunk_that_does_not_accept_our_password_has_rejected_the_call(yard: Yard, tmp_path: Path):
    service, _ = yard.service(*STAYS, records=True)
    with yard.far("trunk_wants_digest", tmp_path, username="trunk-user", secret="wrong") as far:
        yard.start(service, far)
        left = yard.left(service)
        assert far.code() == 0
    assert left.outcome == ("outbound", HangupCause.REJECTED, ReturnCode.REJECTED)
    assert (left.was_answered, left.recordings) == (False, [])


def test_the_same_trunk_takes_the_call_with_the_right_password(yard: Yard, tmp_path: Path):
    """The control of the one before."""
    service, _ = yard.service({"action": "pause", "seconds": 1}, records=True)
    with yard.far("trunk_wants_digest", tmp_path, username="trunk-user", secret="trunk-secret") as far:
        yard.start(service, far)
        left = yard.left(service)
        assert far.code() == 0
    assert left.outcome == ("outbound", HangupCause.NORMAL, ReturnCode.DONE)
    assert left.was_answered
    assert covers_the_call(left)


# --- on hold ---------------------------------------------------------------------------------------------------


@needs_root
@pytest.mark.slow
def test_a_call_on_hold_is_kept_and_its_recording_keeps_the_time(yard: Yard, tmp_path: Path):
    capture = Capture()
    capture.audio(bytes(24_000))
    capture.audio(ONE)
    capture.wait(2.5)
    capture.audio(OTHER)
    capture.audio(bytes(8_000))
    capture.write(tmp_path / "call.pcap")
    service, number = yard.service(*STAYS, records=True)
    with yard.caller("caller_holds_and_speaks", number, tmp_path) as caller:
        up = yard.until_live(service, lambda leg: bool(leg["held"]))
        again = yard.until_live(service, lambda leg: not leg["held"])
        assert caller.wait(30) == 0
    assert (up["call_id"], up["recording"]) == (again["call_id"], again["recording"]) == (up["call_id"], "on")
    left = yard.left(service)
    assert left.outcome == ("inbound", HangupCause.NORMAL, ReturnCode.DONE)
    assert covers_the_call(left)
    heard = yard.audio(left.recordings[0])
    before, after = likeness(ONE, heard), likeness(OTHER, heard)
    assert min(before.correlation, after.correlation) >= 0.6
    assert after.offset_s - before.offset_s == pytest.approx(4.0, abs=0.25)


# --- silence, and too many keys: at the same time, as each takes half a minute -----------------------------------


@dataclass(frozen=True)
class Long:
    """What the long flows have left, and how their scenarios ended."""

    left: dict[str, Left]
    codes: dict[str, int]
    pages: dict[str, list[Any]]


def storm() -> Capture:
    capture = Capture()
    capture.audio(bytes(16_000))
    for event in TYPED:
        capture.digit(event, frames=2)
        capture.audio(bytes(320))
    capture.audio(bytes(16_000))
    return capture


@pytest.fixture(scope="module")
def long(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Long:
    speech = Capture()
    speech.audio(SPEECH[:32_000])
    collect = {"action": "get_digits", "count_max": 60, "end_digits": "", "seconds": 30, "between_seconds": 30}
    services = {name: yard.service(*STAYS, records=True) for name in ("bye_is_lost", "rtp_stops", "rtp_never_comes")}
    services["dtmf_storm"] = yard.service(*[collect] * 5, records=True)
    page = f"/{services['dtmf_storm'][1][-3:]}"
    yard.answers[page]["next_page"] = f"{page}-typed"
    with ExitStack() as flows:
        callers = {}
        for name, (_, number) in services.items():
            folder = tmp_path_factory.mktemp(name)
            (storm() if name == "dtmf_storm" else speech).write(folder / "call.pcap")
            callers[name] = flows.enter_context(yard.caller(name, number, folder))
        left = {name: yard.left(service, 90) for name, (service, _) in services.items()}
        codes = {name: caller.wait(20) for name, caller in callers.items()}
    pages = {name: [body for path, body in yard.asked if path == f"/{number[-3:]}-typed"]
             for name, (_, number) in services.items()}  # fmt: skip
    return Long(left, codes, pages)


@needs_root
@pytest.mark.slow
@pytest.mark.parametrize("flow", ["bye_is_lost", "rtp_stops"])
def test_a_caller_who_falls_silent_is_hung_up_and_the_recording_ends(long: Long, flow: str):
    left = long.left[flow]
    assert left.outcome == ("inbound", HangupCause.MEDIA_TIMEOUT, ReturnCode.DONE)
    assert MEDIA_TIMEOUT_S < seconds_of(left.call) < MEDIA_TIMEOUT_S + 12
    assert covers_the_call(left)


@needs_root
@pytest.mark.slow
def test_a_caller_who_falls_silent_was_heard_before(yard: Yard, long: Long):
    for flow in ("bye_is_lost", "rtp_stops"):
        heard = yard.audio(long.left[flow].recordings[0])
        assert max(likeness(SPEECH[at : at + 8_000], heard).correlation for at in (0, 8_000, 16_000)) >= 0.6, flow


@needs_root
@pytest.mark.slow
def test_a_caller_who_never_sends_sound_is_hung_up_too(long: Long):
    left = long.left["rtp_never_comes"]
    assert left.outcome == ("inbound", HangupCause.MEDIA_TIMEOUT, ReturnCode.DONE)
    assert covers_the_call(left)


@needs_root
@pytest.mark.slow
def test_three_hundred_digits_without_a_pause_are_recorded_and_told_in_order(long: Long):
    left, typed = long.left["dtmf_storm"], "".join("0123456789*#"[event] for event in TYPED)
    assert left.outcome == ("inbound", HangupCause.NORMAL, ReturnCode.DONE)
    assert left.content["digits"] == typed
    (page,) = long.pages["dtmf_storm"]
    assert "".join(result["digits"] for result in page["results"]) == typed
    assert covers_the_call(left)


@needs_root
@pytest.mark.slow
def test_callers_who_are_there_were_told_goodbye(long: Long):
    assert long.codes == {"bye_is_lost": 0, "rtp_stops": 0, "rtp_never_comes": 0, "dtmf_storm": 0}


# --- torture ---------------------------------------------------------------------------------------------------


def throw(message: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.sendto(message, ("127.0.0.1", SIP_PORT))
    with socket.create_connection(("127.0.0.1", SIP_PORT), 5) as line:
        line.sendall(message[: len(message) // 2])
        line.sendall(message[len(message) // 2 :])


def answer_to(name: str) -> bytes:
    """The status of the answer to this message over TCP."""
    with socket.create_connection(("127.0.0.1", SIP_PORT), 5) as line:
        line.sendall((MESSAGES[0].parent / f"{name}.dat").read_bytes())
        line.settimeout(10)
        return line.recv(4096).split()[1]


@needs_root
@pytest.mark.slow
def test_the_torture_messages_leave_the_switchboard_serving_and_the_call_that_is_up(yard: Yard, tmp_path: Path):
    before, runs, live = yard.pids(), len(yard.listed("applications?limit=100")), len(yard.listed("live-calls"))
    up, _ = yard.service(*STAYS, records=True)
    with yard.far("trunk_wants_digest", tmp_path, username="trunk-user", secret="trunk-secret") as far:
        call = yard.start(up, far)
        yard.until_live(up, lambda leg: bool(leg["state"] == "up"))
        assert [answer_to(name) for name in ("insuf", "wsinv", "regbadct")] == [b"400", b"481", b"501"]
        assert len(MESSAGES) == 36
        for file in MESSAGES:
            throw(file.read_bytes())
        assert answer_to("insuf") == b"400"
        assert len(yard.listed("live-calls")) == live + 1
        yard.ask("POST", f"/v1/calls/{call}/cancel", status=200)
        left = yard.left(up)
        assert far.code() == 0
    assert left.outcome[:2] == ("outbound", HangupCause.NORMAL)
    assert covers_the_call(left)
    assert yard.pids() == before
    is_served_and_kept(yard, tmp_path)
    assert len(yard.listed("applications?limit=100")) == runs + 2


def is_served_and_kept(yard: Yard, folder: Path) -> None:
    """A caller is greeted, types, is recorded and hung up; all of that is kept."""
    capture = Capture()
    capture.audio(bytes(16_000))
    capture.digit(5)
    capture.audio(bytes(16_000))
    capture.audio(SPEECH[:32_000])
    capture.digit(11)
    capture.audio(bytes(16_000))
    capture.write(folder / "call.pcap")
    service, number = yard.service(logic={"kind": "built-in", "name": "greeting"})
    with yard.caller("sipp_greeting", number, folder) as caller:
        assert caller.wait(40) == 0
    left = yard.left(service)
    assert left.outcome == ("inbound", HangupCause.NORMAL, ReturnCode.DONE)
    assert left.content == {"caller": CALLER, "callee": number, "digits": "5"}
    (recording,) = left.recordings
    heard = yard.audio(recording)
    assert max(likeness(SPEECH[at : at + 8_000], heard).correlation for at in (0, 8_000, 16_000)) >= 0.6


def test_z_after_all_of_it_nothing_failed_and_no_call_is_up(yard: Yard):
    assert yard.listed("live-calls") == []
    assert yard.said("call.ended")
    for failure in ("switchboard.call-failed", "call.failed", "call.not-kept", "recording.not-kept-yet"):
        assert not yard.said(failure)
