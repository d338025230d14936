"""The sounds the service makes, spoken once by make_prompts.py and shipped as small wav files."""

from __future__ import annotations

import io
import wave
from functools import cache
from importlib.resources import files

from sealwire.errors import Missing


class SoundUnknown(Missing):
    """There is no sound of this name; the names are those of the wav files in communications/prompts."""


@cache
def sound(name: str) -> bytes:
    """The PCM of one sound: 8 kHz, mono, signed 16-bit little-endian."""
    try:
        data = files(__package__).joinpath(f"{name}.wav").read_bytes()
    except OSError:
        raise SoundUnknown from None
    return read_wav(data)


def read_wav(data: bytes) -> bytes:
    """The PCM inside a wav file of the one shape used here."""
    with wave.open(io.BytesIO(data)) as wav:
        if (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) != (8000, 1, 2):
            raise SoundUnknown("a sound must be 8 kHz, mono, 16 bit")
        return bytes(wav.readframes(wav.getnframes()))
