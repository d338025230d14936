"""Brings sound of any usual rate to 8 kHz: one windowed-sinc low-pass per output phase (polyphase). Pure."""

from __future__ import annotations

from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from sealwire.communications.switches.port import SAMPLE_RATE

_REACH = 24
"""Zero crossings of the sinc on each side: 0.1 dB flat to 3.4 kHz, images 60 dB down from 4.4 kHz."""
_BLOCK = 8000
Wave = NDArray[np.float32]


def to_8k(wave: Wave, *, rate: int) -> Wave:
    """One channel at `rate` as one channel at 8 kHz."""
    if rate == SAMPLE_RATE:
        return wave
    divisor = gcd(rate, SAMPLE_RATE)
    step, phases = rate // divisor, SAMPLE_RATE // divisor
    bank = _bank(step, phases)
    half = bank.shape[1] // 2
    padded = np.concatenate([np.zeros(half, np.float32), wave, np.zeros(half + step, np.float32)])
    count = len(wave) * phases // step
    out = np.empty(count, dtype=np.float32)
    taps = np.arange(bank.shape[1])
    for begin in range(0, count, _BLOCK):
        places = np.arange(begin, min(begin + _BLOCK, count), dtype=np.int64) * step
        gathered = padded[(places // phases)[:, None] + taps]
        out[begin : begin + len(places)] = np.einsum("ij,ij->i", gathered, bank[places % phases])
    return out


@cache
def _bank(step: int, phases: int) -> NDArray[np.float32]:
    """The filter of each output phase: cut off a little below 4 kHz."""
    cutoff = 0.95 * min(1.0, phases / step)
    half = int(np.ceil(_REACH / cutoff))
    distance = np.arange(-half, half + 1)[None, :] - np.arange(phases)[:, None] / phases
    window = 0.5 + 0.5 * np.cos(np.pi * np.clip(distance / (half + 1), -1, 1))
    taps = cutoff * np.sinc(cutoff * distance) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), dtype=np.float32)
