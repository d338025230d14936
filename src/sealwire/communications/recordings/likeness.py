"""Says how much a recording contains of what was said: the normalised cross-correlation at the best offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sealwire.communications.switches.port import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Likeness:
    """1.0 is the same wave form (up to loudness), 0.0 has nothing in common."""

    correlation: float
    offset_s: float


def likeness(said: bytes, recorded: bytes) -> Likeness:
    """Find `said` inside `recorded` (both 8 kHz 16-bit PCM) and compare it with what stands there."""
    needle = np.frombuffer(said[: len(said) & ~1], dtype="<i2").astype(np.float64)
    hay = np.frombuffer(recorded[: len(recorded) & ~1], dtype="<i2").astype(np.float64)
    if not needle.any() or not hay.any():
        return Likeness(0.0, 0.0)
    hay = np.concatenate([hay, np.zeros(max(0, len(needle) - len(hay)))])
    size = 1 << (len(needle) + len(hay) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(hay, size) * np.conj(np.fft.rfft(needle, size)), size)
    lags = len(hay) - len(needle) + 1
    energy = np.cumsum(np.concatenate([[0.0], hay * hay]))
    there = np.sqrt(np.maximum(energy[len(needle) :] - energy[:lags], 1.0))
    scores = product[:lags] / (there * np.linalg.norm(needle))
    best = int(np.argmax(scores))
    return Likeness(round(float(scores[best]), 4), best / SAMPLE_RATE)
