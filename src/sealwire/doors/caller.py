"""A telephone for demonstrations and tests: one SIP call, of another code base than the switch it calls.

    python -m sealwire.doors.caller --to sip:+441632960999@127.0.0.1:5060 --from +441632960123 \
        --digit 5 --speech caller.wav --json

It calls, hears the prompt, types a digit (RFC 4733), hears the tone, speaks in real time, waits to be hung
up, and prints what it saw. It keeps no sound unless `--heard FILE` asks for it. Loopback-grade: UDP, G.711,
no TLS; see docs for calling with a real softphone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import re
import socket
import sys
import time
import wave
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import aiortp
from aiortp.codecs.g711 import PcmaCodec, PcmuCodec
from aiosipua import SipUAC, SipUAS, UdpSipTransport, build_sdp

RATE = 8000
FRAME_SAMPLES = 160
FRAME_BYTES = 2 * FRAME_SAMPLES
FRAME_SECONDS = 0.02
LOUD_PEAK = 500
DIGIT_MS = 160
_SILENCE = bytes(FRAME_BYTES)
_WARNING = re.compile(rb'^Warning: *\d{3} \S+ "(.*)"', re.MULTILINE)
_FLIPPED_SIGN = bytes(byte ^ 0x80 for byte in range(256))
_given: deque[int] = deque(maxlen=1000)
_URI = re.compile(r"sip:([^@]+)@([^:;>]+)(?::(\d+))?")


@dataclass(kw_only=True)
class CallPlan:
    """What to do in one call."""

    to: str
    caller: str
    digits: str = "5"
    speech: bytes = b""
    codec: str = "pcma"
    host: str = "127.0.0.1"
    end_digit: str = "#"
    """What to type after speaking; empty to stay silent until hung up."""
    interrupt_after: float = float("inf")
    """Type over the prompt after hearing so many seconds of it, instead of waiting for its end."""
    hang_up_after: float = float("inf")
    """Hang up this long after the answer, instead of waiting to be hung up."""
    gaps: tuple[tuple[float, float], ...] = ()
    """Send nothing at all between these seconds of the speech, as a lossy network would."""
    seconds_max: float = 60.0
    keep_heard: bool = False


@dataclass(kw_only=True)
class CallReport:
    """What was seen in one call. `status` is the SIP answer; 0 when there was none."""

    status: int = 0
    reason: str = ""
    warning: str = ""
    """The sentence in the Warning header of a refusal (RFC 3261 §20.43)."""
    setup_ms: float = 0.0
    answered: bool = False
    hung_up_by: str = ""
    seconds: float = 0.0
    heard_frames: int = 0
    heard_loud_seconds: float = 0.0
    heard_lost_packets: int = 0
    sent_frames: int = 0
    sent_speech_seconds: float = 0.0
    digits_sent: str = ""
    tone_heard: bool = False
    error: str = ""
    answered_at_s: float = field(default=0.0, repr=False)
    """On this machine's monotonic clock, as `ended_at_s`: so that calls that were up together can be counted."""
    ended_at_s: float = field(default=0.0, repr=False)
    speech_started_s: float = field(default=0.0, repr=False)
    heard: bytearray = field(default_factory=bytearray, repr=False)

    def as_json(self) -> dict[str, Any]:
        """Everything but the sound."""
        return {key: value for key, value in asdict(self).items() if key != "heard"}

    def write_heard(self, file: Path | None) -> None:
        """The sound as a wav file, where one is wanted."""
        if file is None:
            return
        with wave.open(str(file), "wb") as wav:
            wav.setparams((1, 2, RATE, 0, "NONE", ""))
            wav.writeframes(bytes(self.heard))


class _ALaw(PcmaCodec):
    """The library's A-law has its sign bit the wrong way round (ITU-T G.711 sets it for positive samples)."""

    def encode(self, pcm: bytes) -> bytes:
        return super().encode(pcm).translate(_FLIPPED_SIGN)

    def decode(self, payload: bytes) -> bytes:
        return super().decode(payload.translate(_FLIPPED_SIGN))


CODECS: dict[str, tuple[int, PcmaCodec | PcmuCodec]] = {"pcma": (8, _ALaw()), "pcmu": (0, PcmuCodec())}


class UdpTelephone(UdpSipTransport):
    """The library's UDP transport on a socket of our own; its protocol class trips over CPython 3.11."""

    warning = ""

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        owner = self

        class Protocol(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
                owner.receive(data, address)

        self._udp_transport, _ = await loop.create_datagram_endpoint(Protocol, local_addr=self.local_addr)

    def receive(self, data: bytes, address: tuple[str, int]) -> None:
        if found := _WARNING.search(data):
            self.warning = found.group(1).decode("utf-8", "replace")
        self._dispatch(data, (str(address[0]), int(address[1])))


class Caller:
    """One call from its INVITE to its BYE."""

    def __init__(self, plan: CallPlan) -> None:
        self.plan = plan
        self.report = CallReport()
        self._over = asyncio.Event()
        self._loud_at = 0.0
        self._rtp: Any = None
        self._timestamp = 0
        self._due = 0.0
        self._leave_at = float("inf")

    @property
    def _is_over(self) -> bool:
        return self._over.is_set() or time.monotonic() >= self._leave_at

    async def run(self) -> CallReport:
        """Make the call; errors stand in the report."""
        match = _URI.search(self.plan.to)
        if match is None:
            self.report.error = "write --to as sip:NUMBER@ADDRESS:PORT"
            return self.report
        remote = (match.group(2), int(match.group(3) or 5060))
        telephone = UdpTelephone(local_addr=(self.plan.host, free_port(self.plan.host)))
        uac = SipUAC(telephone)
        uas = SipUAS(telephone, uac=uac)
        uas.on_bye = lambda *_: self._hung_up("far end")
        await uas.start()
        try:
            async with asyncio.timeout(self.plan.seconds_max):
                await self._call(uac, remote)
        except TimeoutError:
            self.report.error = self.report.error or "the call did not end in time"
        finally:
            self.report.warning = telephone.warning
            if self._rtp is not None:
                self.report.heard_lost_packets = int(self._rtp.stats.get("packets_lost", 0))
                await self._rtp.close()
            await uas.stop()
        return self.report

    async def _call(self, uac: Any, remote: tuple[str, int]) -> None:
        payload_type, codec = CODECS[self.plan.codec]
        port = self._rtp_port()
        offer = build_sdp(self.plan.host, port, payload_type, codec.name)
        began = time.monotonic()
        call = uac.send_invite(f"sip:{self.plan.caller}@{self.plan.host}", self.plan.to, remote, offer)
        call.on_rejected = self._rejected
        try:
            await call.wait_answered(timeout=20)
        except RuntimeError:
            return
        except TimeoutError:
            self.report.error = "the call was not answered in time"
            return
        self.report.setup_ms = round((time.monotonic() - began) * 1000, 1)
        self.report.status, self.report.reason, self.report.answered = 200, "OK", True
        await self._open_rtp(port, call.sdp_answer.rtp_address)
        answered = time.monotonic()
        await self._talk(answered)
        if not self._over.is_set():
            call.hangup(uac)
            self._hung_up("caller")
        self.report.answered_at_s, self.report.ended_at_s = answered, time.monotonic()
        self.report.seconds = round(self.report.ended_at_s - answered, 2)

    def _rtp_port(self) -> int:
        return free_port(self.plan.host, pair=True)

    async def _open_rtp(self, port: int, remote: tuple[str, int]) -> None:
        payload_type, codec = CODECS[self.plan.codec]
        self._rtp = await aiortp.RTPSession.create(
            local_addr=(self.plan.host, port), remote_addr=remote, payload_type=payload_type, codec=codec
        )
        self._rtp.on_audio = self._heard

    async def _talk(self, answered: float) -> None:
        """Listen, type, wait for the tone, speak, then be silent; a frame every 20 ms all the while."""
        self._due, self._leave_at = answered, answered + self.plan.hang_up_after
        await self._silent_until(lambda: self._prompt_is_over(answered), 20)
        for digit in self.plan.digits:
            await self._type(digit)
        typed = time.monotonic()
        await self._silent_until(lambda: self._loud_at > typed + 0.05, 5)
        self.report.tone_heard = self._loud_at > typed
        await self._silent_until(lambda: time.monotonic() - self._loud_at > 0.3, 3)
        await self._speak()
        if self.plan.end_digit:
            await self._silent_until(lambda: False, 0.2)
            await self._type(self.plan.end_digit)
        await self._silent_until(lambda: False, float("inf"))

    def _prompt_is_over(self, answered: float) -> bool:
        """Over half a second of quiet after something was heard, or three seconds of nothing."""
        now = time.monotonic()
        if self.report.heard_loud_seconds >= self.plan.interrupt_after:
            return True
        return now - self._loud_at > 0.6 if self._loud_at else now - answered > 3

    async def _silent_until(self, done: Callable[[], bool], seconds_max: float) -> None:
        until = time.monotonic() + seconds_max
        while not (self._is_over or done()) and time.monotonic() < until:
            await self._send(_SILENCE)

    async def _type(self, digit: str) -> None:
        """The events replace the audio while the key is down, as RFC 4733 §2.5.1.2 has it."""
        if self._is_over:
            return
        self._rtp.send_dtmf(digit, DIGIT_MS, self._timestamp)
        self.report.digits_sent += digit
        for _ in range(DIGIT_MS // 20):
            await self._pace()
        for _ in range(5):
            await self._send(_SILENCE)

    async def _speak(self) -> None:
        speech = self.plan.speech
        self.report.speech_started_s = time.monotonic()
        for start in range(0, len(speech), FRAME_BYTES):
            if self._is_over:
                return
            at = start / (2 * RATE)
            if any(first <= at < last for first, last in self.plan.gaps):
                await self._pace()
                continue
            await self._send(speech[start : start + FRAME_BYTES].ljust(FRAME_BYTES, b"\0"))
            self.report.sent_speech_seconds = round(at + FRAME_SECONDS, 2)

    async def _send(self, pcm: bytes) -> None:
        self._rtp.send_audio_pcm(pcm, self._timestamp)
        self.report.sent_frames += 1
        await self._pace()

    async def _pace(self) -> None:
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        self._due += FRAME_SECONDS
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))

    def _heard(self, pcm: bytes, _: int) -> None:
        self.report.heard_frames += 1
        if self.plan.keep_heard:
            self.report.heard += pcm
        samples = array("h", pcm)
        if samples and max(samples) > LOUD_PEAK:
            self._loud_at = time.monotonic()
            self.report.heard_loud_seconds = round(self.report.heard_loud_seconds + len(samples) / RATE, 3)

    def _rejected(self, _: Any, status: int, reason: str) -> None:
        self.report.status, self.report.reason = status, reason
        self._over.set()

    def _hung_up(self, by: str) -> None:
        self.report.hung_up_by = self.report.hung_up_by or by
        self._over.set()


def free_port(host: str, *, pair: bool = False) -> int:
    """A UDP port nobody uses now; even, with its neighbour free too, when RTP and RTCP need a `pair`.

    One that was given lately is not given again: whoever has it may not have bound it yet.
    """
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
            first.bind((host, 0))
            port = int(first.getsockname()[1])
            wanted = {port, port + 1} if pair else {port}
            if wanted & set(_given) or (pair and port % 2):
                continue
            if pair:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
                    try:
                        second.bind((host, port + 1))
                    except OSError:
                        continue
            _given.extend(wanted)
            return port
    raise OSError("no free pair of UDP ports")


def demo_speech(name: str) -> bytes:
    """One of the committed speech samples, `caller-one` or `caller-two`, as 8 kHz 16-bit PCM."""
    return read_pcm(files("sealwire.doors").joinpath("demo_assets", f"{name}.wav"))


def read_pcm(file: Any) -> bytes:
    """The PCM of an 8 kHz mono 16-bit wav file."""
    with file.open("rb") as stream, wave.open(stream) as wav:
        if (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) != (RATE, 1, 2):
            raise ValueError("the speech must be a wav file of 8 kHz, mono, 16 bit")
        return bytes(wav.readframes(wav.getnframes()))


def main(arguments: list[str] | None = None) -> int:
    """Exit 0: the call was answered and ended; 1: it was not; 2: it cannot be understood."""
    parser = argparse.ArgumentParser(prog="sealwire-caller", description="make one telephone call")
    parser.add_argument("--to", required=True, help="sip:NUMBER@ADDRESS:PORT")
    parser.add_argument("--from", dest="caller", required=True, help="the number to call from")
    parser.add_argument("--digit", default="5", help="what to type after the prompt")
    parser.add_argument("--speech", help="a wav file, or caller-one / caller-two", default="caller-one")
    parser.add_argument("--codec", choices=sorted(CODECS), default="pcma")
    parser.add_argument("--bind", default="127.0.0.1", help="own address")
    parser.add_argument("--end-digit", default="#", help="what to type after speaking; empty for nothing")
    parser.add_argument("--interrupt-after", type=float, default=float("inf"), help="seconds of prompt to hear")
    parser.add_argument("--hang-up-after", type=float, default=float("inf"), help="seconds after the answer")
    parser.add_argument("--seconds-max", type=float, default=90.0)
    parser.add_argument("--heard", type=Path, help="write what was heard to this wav file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the library's logs hold numbers
    try:
        is_file = given.speech.endswith(".wav")
        speech = read_pcm(Path(given.speech)) if is_file else demo_speech(given.speech)
    except (OSError, ValueError, wave.Error) as error:
        print(f"the speech cannot be read: {error}", file=sys.stderr)
        return 2
    plan = CallPlan(
        to=given.to,
        caller=given.caller,
        digits=given.digit,
        speech=speech,
        codec=given.codec,
        host=given.bind,
        end_digit=given.end_digit,
        interrupt_after=given.interrupt_after,
        hang_up_after=given.hang_up_after,
        seconds_max=given.seconds_max,
        keep_heard=given.heard is not None,
    )
    report = asyncio.run(Caller(plan).run())
    report.write_heard(given.heard)
    if given.json:
        print(json.dumps(report.as_json()))
    else:
        print(f"status {report.status}, heard {report.heard_loud_seconds} s, spoke {report.sent_speech_seconds} s")
    return 0 if report.answered and not report.error else 1


if __name__ == "__main__":
    sys.exit(main())
