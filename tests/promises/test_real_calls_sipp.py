"""The same contract with SIPp, a third code base: its SIP, its RTP clock, and a capture we wrote for it."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from sealwire.communications.recordings.likeness import likeness
from sealwire.vocabulary import HangupCause
from tests import ports
from tests.rtp_capture import Capture
from tests.telephony_house import GREETED, SPEECH, House, open_house

pytestmark = [
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed (Debian: sip-tester)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="SIPp plays captures through a raw socket, which needs root"),
]
SCENARIO = Path(__file__).parent / "sipp_greeting.xml"
SAID = SPEECH[:32_000]


async def sipp(house: House, folder: Path, *arguments: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(SCENARIO), "-s", GREETED, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin"),
        *("-p", str(ports.take()), "-mp", str(ports.take(4)), *arguments, house.address),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(40):
        return await process.wait()


async def test_sipp_is_greeted_understood_recorded_and_hung_up(tmp_path: Path):
    capture = Capture()
    capture.audio(bytes(16_000))
    capture.digit(5)
    capture.audio(bytes(16_000))
    capture.audio(SAID)
    capture.digit(11)
    capture.audio(bytes(16_000))
    capture.write(tmp_path / "call.pcap")
    async with open_house(tmp_path) as house:
        code = await sipp(house, tmp_path, "-m", "1")
        ended = await house.keeper.next_call()
    assert code == 0
    assert (ended.caller.text, ended.digits, ended.cause) == ("+441632960321", "5", HangupCause.NORMAL)
    (recording,) = ended.recordings
    assert isinstance(recording.kept, bytes)
    assert likeness(SAID, recording.kept).correlation >= 0.9
    assert ended.frames_lost == 0
