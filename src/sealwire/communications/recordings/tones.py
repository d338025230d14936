"""Finds DTMF tones in sound (ITU-T Q.23; limits after Q.24). Pure: samples in, which key each 20 ms window holds out.

A window is 160 samples under a Hann window, one every 80. The eight frequencies are measured at once by one matrix
product. A window holds a key when its strongest low and its strongest high frequency together carry most of the
energy that is there (speech spreads it over many harmonics) and neither is much louder than the other. Two windows of
the same key within 30 ms are a digit: a tone of 40 ms always gives them, one below 23 ms never does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sealwire.communications.recordings.blend import samples
from sealwire.communications.switches.port import SAMPLE_RATE

WINDOW = 160
HOP = 80
LOW = (697, 770, 852, 941)
HIGH = (1209, 1336, 1477, 1633)
KEYS = "123A456B789C*0#D"
NONE = -1

SHARE_MIN = 0.62
"""Of the energy in a window: a clean pair has 1.0, one with 1.8 % frequency error and 8 dB of twist still 0.66."""
TWIST_MAX = 10.0
"""Q.24 wants 4 dB one way and 8 dB the other accepted; up to 10 dB is taken for a tone here."""
LEVEL_MIN = 12.0
"""Root mean square of the quietest window that is looked at (-69 dBov): below it G.711 carries no tones."""

_HANN = np.hanning(WINDOW + 1)[:WINDOW].astype(np.float32)
_AT = np.arange(WINDOW) / SAMPLE_RATE
_TURNS = np.outer(_AT, np.array(LOW + HIGH)) * (2 * np.pi)
_MATRIX = (np.concatenate([np.cos(_TURNS), np.sin(_TURNS)], axis=1) * _HANN[:, None]).astype(np.float32)
_SQUARES = (_HANN * _HANN).astype(np.float32)
_SCALE = np.float32(2 * float(_SQUARES.sum()) / float(_HANN.sum()) ** 2)
_ENERGY_MIN = np.float32(LEVEL_MIN**2 * float(_SQUARES.sum()))


@dataclass(frozen=True, slots=True)
class Digit:
    """One key press: which key, and the samples from its first window to the end of its last."""

    key: str
    begin: int
    end: int


def keys_held(rows: NDArray[np.float32]) -> NDArray[np.int8]:
    """For each row (one party each) the index into KEYS of each window of 160 samples at steps of 80, or NONE."""
    if rows.shape[1] < WINDOW:
        return np.empty((rows.shape[0], 0), dtype=np.int8)
    windows = np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(rows, WINDOW, axis=1)[:, ::HOP])
    energy = (windows * windows) @ _SQUARES
    if not (energy > _ENERGY_MIN).any():
        return np.full(energy.shape, NONE, dtype=np.int8)
    parts = windows @ _MATRIX
    power = parts[..., :8] ** 2 + parts[..., 8:] ** 2
    low, high = power[..., :4], power[..., 4:]
    lowest, highest = low.max(axis=-1), high.max(axis=-1)
    is_key = (lowest + highest) * _SCALE > SHARE_MIN * np.maximum(energy, _ENERGY_MIN)
    is_key &= (lowest < TWIST_MAX * highest) & (highest < TWIST_MAX * lowest)
    key = low.argmax(axis=-1) * 4 + high.argmax(axis=-1)
    return np.where(is_key, key, NONE).astype(np.int8)


def runs(held: list[int]) -> list[tuple[int, int, int]]:
    """(key, first window, last window) of every digit in one row: the same key in two windows at most two apart."""
    found: list[tuple[int, int, int]] = []
    seen: dict[int, tuple[int, int]] = {}
    for at, key in enumerate(held):
        if key == NONE:
            continue
        first, last = seen.get(key, (at, -9))
        if at - last > 2:
            seen[key] = (at, at)
            continue
        seen[key] = (first, at)
        if found and found[-1][0] == key and found[-1][1] == first:
            found[-1] = (key, first, at)
        else:
            found.append((key, first, at))
    return found


def digits(pcm: bytes) -> list[Digit]:
    """Every digit in 8 kHz mono PCM."""
    held = keys_held(samples(pcm[: len(pcm) & ~1]).astype(np.float32)[None, :])[0]
    return [Digit(KEYS[key], first * HOP, last * HOP + WINDOW) for key, first, last in runs(held.tolist())]
