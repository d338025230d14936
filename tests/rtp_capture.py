"""Captures for SIPp to replay: one RTP stream of speech and keys, made here."""

from __future__ import annotations

import struct
from pathlib import Path

from aiortp.codecs.g711 import PcmaCodec

FLIPPED = bytes(byte ^ 0x80 for byte in range(256))
"""See doors/caller.py: how the sign bit of that library's A-law must be turned."""


class Capture:
    """A pcap file of one RTP stream: A-law and RFC 4733 events on one SSRC, 20 ms apart."""

    def __init__(self) -> None:
        self._packets = bytearray(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        self._sequence = self._ticks = 0

    @property
    def seconds(self) -> float:
        return self._ticks * 0.02

    def audio(self, pcm: bytes) -> None:
        for start in range(0, len(pcm) - 319, 320):
            self._add(8, self._ticks * 160, PcmaCodec().encode(pcm[start : start + 320]).translate(FLIPPED))
            self._ticks += 1

    def wait(self, seconds: float) -> None:
        """Nothing is sent this long, while the stream's clock goes on."""
        self._ticks += round(seconds * 50)

    def digit(self, event: int, *, frames: int = 7) -> None:
        began, last = self._ticks * 160, (frames + 1) * 160
        for duration, end in [(160 * n, 0) for n in range(1, frames + 1)] + [(last, 0x80)] * 3:
            self._add(101, began, struct.pack(">BBH", event, end | 10, duration))
            self._ticks += 1

    def _add(self, payload_type: int, timestamp: int, payload: bytes) -> None:
        rtp = struct.pack(">BBHII", 0x80, payload_type, self._sequence & 0xFFFF, timestamp, 0x5EA1) + payload
        udp = struct.pack(">HHHH", 6000, 6002, 8 + len(rtp), 0) + rtp
        address = bytes([127, 0, 0, 1])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + address + address + udp
        frame = bytes(12) + b"\x08\x00" + ip
        seconds, micros = divmod(self._ticks * 20_000, 1_000_000)
        self._packets += struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame
        self._sequence += 1

    def write(self, file: Path) -> None:
        file.write_bytes(self._packets)
