"""Two parties in one file: mixed into one channel, or one channel each. Pure: samples in, samples out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]


def samples(pcm: bytes) -> Samples:
    """8 kHz mono signed 16-bit little-endian PCM as an array."""
    return np.frombuffer(pcm, dtype="<i2")


def mixed(one: Samples, other: Samples) -> bytes:
    """Both in one channel. Where the sum does not fit 16 bits it stays at the limit and does not wrap."""
    return bytes(np.clip(one.astype(np.int32) + other, -32768, 32767).astype("<i2").tobytes())


def apart(one: Samples, other: Samples) -> bytes:
    """One channel each: the first is left."""
    both = np.empty((len(one), 2), dtype="<i2")
    both[:, 0], both[:, 1] = one, other
    return both.tobytes()


def loudest(pcm: bytes) -> int:
    """The largest magnitude in it."""
    wave = samples(pcm[: len(pcm) & ~1])
    return max(int(wave.max()), -int(wave.min())) if len(wave) else 0
