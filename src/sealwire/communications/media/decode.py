"""A wav file as the telephone plays it: 8 kHz, mono, 16 bit. Decoded by libsndfile, from a container of our making."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from sealwire.communications.media.resample import to_8k
from sealwire.communications.media.riff import NotAWav, Wav, read_wav


def decode(data: bytes) -> bytes:
    """PCM of a wav file; refuses with a sentence what is not one. The decoder never sees the file's own headers."""
    return pcm_of(read_wav(data))


def pcm_of(wav: Wav) -> bytes:
    """PCM of a wav whose container was read."""
    try:
        samples, _ = soundfile.read(io.BytesIO(wav.plain_file()), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        raise NotAWav from None
    mono = to_8k(samples.mean(axis=1, dtype=np.float32), rate=wav.rate)
    return bytes(np.clip(np.rint(mono * 32768), -32768, 32767).astype("<i2").tobytes())
