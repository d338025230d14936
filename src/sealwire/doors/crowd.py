"""Many telephones on one socket, for calls that must be up while something else is measured.

Each calls as a `caller` does, with a SIP socket of its own, and sends a packet every 20 ms from its answer to its end;
but one timer paces them all, what they say is encoded once, and nobody listens: what the cloud says stays unread. It
knows by heart when to type. So the cloud has the same work, and the machine has little besides.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import struct
import time
from collections.abc import Iterator
from itertools import chain, cycle, islice, repeat

from sealwire.communications.prompts import sound
from sealwire.doors.caller import (
    CODECS,
    DIGIT_MS,
    FRAME_BYTES,
    FRAME_SAMPLES,
    FRAME_SECONDS,
    RATE,
    Caller,
    CallPlan,
    free_port,
)

_HEADER = struct.Struct("!BBHII")
_EVENT = struct.Struct("!BBH")
_EVENT_PAYLOAD_TYPE = 101
_EVENT_VOLUME = 10
_EVENTS = "0123456789*#ABCD"
_PAUSE_S = 0.7
"""From the end of a prompt or tone to what the caller does next."""
Packet = tuple[int, bool, int, bytes]
"""Payload type, marker, frames that the timestamp lies back, payload."""


class Crowd:
    """The one socket and the one timer. What arrives is never read: the kernel drops it when the buffer is full."""

    def __init__(self, host: str) -> None:
        self.port = free_port(host, pair=True)
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for number, each in enumerate(self._sockets):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            each.bind((host, self.port + number))
        self._voices: list[Voice] = []
        self._pacing = asyncio.ensure_future(self._pace())

    def add(self, voice: Voice) -> None:
        self._voices.append(voice)

    def remove(self, voice: Voice) -> None:
        self._voices.remove(voice)

    def close(self) -> None:
        self._pacing.cancel()
        for each in self._sockets:
            each.close()

    async def _pace(self) -> None:
        due_s = time.monotonic()
        while True:
            for voice in self._voices:
                self._sockets[0].sendto(voice.next_packet(), voice.remote)
            due_s += FRAME_SECONDS
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))


class Voice:
    """The packets of one call (RFC 3550), each where the cloud wants it."""

    def __init__(self, remote: tuple[str, int], packets: Iterator[Packet]) -> None:
        self.remote, self._packets = remote, packets
        self.sent = 0
        self._ssrc, self._sequence = secrets.randbits(32), secrets.randbits(15)

    def next_packet(self) -> bytes:
        kind, marker, back, payload = next(self._packets)
        timestamp = (self.sent - back) * FRAME_SAMPLES
        header = _HEADER.pack(0x80, marker << 7 | kind, (self._sequence + self.sent) & 0xFFFF, timestamp, self._ssrc)
        self.sent += 1
        return header + payload


class CrowdCaller(Caller):
    """One of the crowd: its call ends when the far end hangs up."""

    def __init__(self, plan: CallPlan, crowd: Crowd, speech: list[bytes]) -> None:
        super().__init__(plan)
        self._crowd, self._speech = crowd, speech
        self._voice: Voice | None = None

    def _rtp_port(self) -> int:
        return self._crowd.port

    async def _open_rtp(self, port: int, remote: tuple[str, int]) -> None:
        del port
        self._voice = Voice(remote, self._script())

    async def _talk(self, answered: float) -> None:
        del answered
        assert self._voice is not None
        self._crowd.add(self._voice)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self.plan.hang_up_after):
                await self._over.wait()
        except TimeoutError:
            return
        finally:
            self._crowd.remove(self._voice)
            self.report.sent_frames = self._voice.sent

    def _script(self) -> Iterator[Packet]:
        """Silence through the prompt, a digit, silence through the tone, speech, the end digit, silence."""
        kind, codec = CODECS[self.plan.codec]
        silence: Packet = (kind, False, 0, codec.encode(bytes(FRAME_BYTES)))
        seconds = len(self.plan.speech) / (2 * RATE)
        yield from repeat(silence, _frames(len(sound("welcome")) / (2 * RATE) + _PAUSE_S))
        yield from _typed(self.plan.digits)
        yield from repeat(silence, _frames(len(sound("tone")) / (2 * RATE) + _PAUSE_S))
        self.report.speech_started_s = time.monotonic()
        for payload in islice(cycle(self._speech), _frames(seconds)):
            yield kind, False, 0, payload
        self.report.sent_speech_seconds = seconds
        yield from repeat(silence, _frames(0.2))
        yield from chain(_typed(self.plan.end_digit), repeat(silence))


def encoded(speech: bytes, codec: str) -> list[bytes]:
    """The payload of each 20 ms of speech, the last filled up with silence."""
    frames = [speech[at : at + FRAME_BYTES].ljust(FRAME_BYTES, b"\0") for at in range(0, len(speech), FRAME_BYTES)]
    return [CODECS[codec][1].encode(frame) for frame in frames]


def _typed(digits: str) -> Iterator[Packet]:
    """Events in place of the audio while the key is down; the end is told three times (RFC 4733 §2.5.1)."""
    held = DIGIT_MS // 20
    for digit in digits:
        for packet in range(held + 2):
            length = min(packet + 1, held) * FRAME_SAMPLES
            end = 0x80 if packet >= held - 1 else 0
            yield (
                _EVENT_PAYLOAD_TYPE,
                packet == 0,
                packet,
                _EVENT.pack(_EVENTS.index(digit), end | _EVENT_VOLUME, length),
            )


def _frames(seconds: float) -> int:
    return int(seconds / FRAME_SECONDS)
