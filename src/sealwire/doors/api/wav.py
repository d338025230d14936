"""The WAV header before a recording's audio, and how long that audio is, told from its sealed size."""

from __future__ import annotations

import struct

from sealwire.errors import Broken

SAMPLES_PER_SECOND = 8000
BYTES_PER_SAMPLE = 2
_SEALED_HEADER = 56  # C2SP chunked-encryption, Cobblestone-256: one header,
_CHUNK = 16384  # then chunks of this much audio, the last one shorter (empty at worst),
_TAG = 16  # each with its tag


class MediaSizeWrong(Broken):
    """The stored size of this recording is not one that a sealed stream can have; its row was changed."""


def audio_bytes(sealed_bytes: int) -> int:
    """How much audio lies in a sealed stream of this size."""
    chunks = sealed_bytes - _SEALED_HEADER
    full, last = divmod(chunks, _CHUNK + _TAG)
    if chunks < 0 or last < _TAG:
        raise MediaSizeWrong
    return full * _CHUNK + last - _TAG


def wav_header(pcm_bytes: int) -> bytes:
    """44 bytes for 8 kHz, 16 bit, one channel (RIFF WAVE, PCM)."""
    rate = SAMPLES_PER_SECOND * BYTES_PER_SAMPLE
    form = struct.pack("<HHIIHH", 1, 1, SAMPLES_PER_SECOND, rate, BYTES_PER_SAMPLE, 8 * BYTES_PER_SAMPLE)
    head = b"RIFF" + struct.pack("<I", 36 + pcm_bytes) + b"WAVE"
    return head + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", pcm_bytes)
