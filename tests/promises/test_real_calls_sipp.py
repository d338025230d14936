"""The same contract with SIPp, a third code base: its SIP, its RTP clock, and a capture we wrote for it."""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
from pathlib import Path

import pytest
from aiortp.codecs.g711 import PcmaCodec

from sealwire.communications.recordings.likeness import likeness
from sealwire.doors.caller import free_port
from sealwire.vocabulary import HangupCause
from tests.telephony_house import GREETED, SPEECH, House, open_house

pytestmark = [
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is not installed (Debian: sip-tester)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="SIPp plays captures through a raw socket, which needs root"),
]
SCENARIO = Path(__file__).parent / "sipp_greeting.xml"
SAID = SPEECH[:32_000]


class Capture:
    """A pcap file of one RTP stream: A-law and RFC 4733 events on one SSRC, 20 ms apart."""

    def __init__(self) -> None:
        self._packets = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        self._sequence = self._ticks = 0

    def audio(self, pcm: bytes) -> None:
        flipped = bytes(byte ^ 0x80 for byte in range(256))  # see doors/caller.py
        for start in range(0, len(pcm) - 319, 320):
            self._add(8, self._ticks * 160, PcmaCodec().encode(pcm[start : start + 320]).translate(flipped))
            self._ticks += 1

    def digit(self, event: int) -> None:
        began = self._ticks * 160
        for duration, end in [(160 * n, 0) for n in range(1, 8)] + [(1280, 0x80)] * 3:
            self._add(101, began, struct.pack(">BBH", event, end | 10, duration))
            self._ticks += 1

    def _add(self, payload_type: int, timestamp: int, payload: bytes) -> None:
        rtp = struct.pack(">BBHII", 0x80, payload_type, self._sequence, timestamp, 0x5EA1) + payload
        udp = struct.pack(">HHHH", 6000, 6002, 8 + len(rtp), 0) + rtp
        address = bytes([127, 0, 0, 1])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + address + address + udp
        frame = bytes(12) + b"\x08\x00" + ip
        seconds, micros = divmod(self._ticks * 20_000, 1_000_000)
        self._packets += struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame
        self._sequence += 1

    def write(self, file: Path) -> None:
        file.write_bytes(self._packets)


async def sipp(house: House, folder: Path, *arguments: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *("sipp", "-sf", str(SCENARIO), "-s", GREETED, "-i", "127.0.0.1", "-mi", "127.0.0.1", "-nostdin"),
        *("-p", str(free_port("127.0.0.1")), "-mp", str(free_port("127.0.0.1", pair=True)), *arguments, house.address),
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
