"""The wav header before recorded audio: RIFF WAVE, PCM, 8 kHz, 16 bit."""

from __future__ import annotations

import struct

from sealwire.communications.switches.port import SAMPLE_BYTES, SAMPLE_RATE

HEADER_BYTES = 44
UNTIL_THE_END = 0x7FFFF000
"""The data length of a wav that is still being written: sox's own mark, which other readers read to the end too."""


def wav_header(pcm_bytes: int = UNTIL_THE_END, *, channels: int = 1) -> bytes:
    """44 bytes; without a length, for audio whose end is not known yet."""
    width = SAMPLE_BYTES * channels
    form = struct.pack("<HHIIHH", 1, channels, SAMPLE_RATE, SAMPLE_RATE * width, width, 8 * SAMPLE_BYTES)
    head = b"RIFF" + struct.pack("<I", 36 + pcm_bytes) + b"WAVE"
    return head + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", pcm_bytes)
