"""How telephony itself writes numbers and speech: semi-octets (3GPP TS 23.040), GSM 7 bit (23.038), G.711."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
_MULAW_BIAS = 33  # of 14-bit samples
_MULAW_MAX = 8191


def semi_octets(digits: str, *, low_nibble_first: bool = True) -> bytes:
    """Digits two to a byte; TS 23.040 puts the first into the low nibble, and 0xF where a digit is missing."""
    nibbles = [int(digit) for digit in digits] + [15] * (len(digits) % 2)
    pairs = zip(nibbles[::2], nibbles[1::2], strict=True)
    return bytes(second << 4 | first if low_nibble_first else first << 4 | second for first, second in pairs)


def gsm7_packed(text: str) -> bytes:
    """Text of the GSM default alphabet's ASCII part as packed septets, first septet in the low bits."""
    stream = sum(ord(character) << 7 * at for at, character in enumerate(text))
    return stream.to_bytes((7 * len(text) + 7) // 8, "little")


def gsm7_inside(text: str, *, phase: int) -> list[bytes]:
    """Packed septets of a text that starts at bit `phase` of a byte, without the byte it shares with what precedes.

    The last byte is shared with what follows, so there is one answer for each value of the bits not known.
    """
    stream = sum(ord(character) << 7 * at for at, character in enumerate(text)) << phase
    whole, rest = divmod(7 * len(text) + phase, 8)
    skipped = 1 if phase else 0
    if not rest:
        return [stream.to_bytes(whole, "little")[skipped:]]
    endings = (stream | unknown << 8 * whole + rest for unknown in range(1 << 8 - rest))
    return [ending.to_bytes(whole + 1, "little")[skipped:] for ending in endings]


def alaw_encode(samples: Samples) -> bytes:
    """Speech as A-law bytes (ITU-T G.711), one a sample."""
    return _alaw_table()[samples.view(np.uint16)].tobytes()


def mulaw_encode(samples: Samples) -> bytes:
    """Speech as mu-law bytes (ITU-T G.711), one a sample."""
    return _mulaw_table()[samples.view(np.uint16)].tobytes()


def alaw_decode(codes: bytes) -> Samples:
    """A-law bytes as 16-bit samples."""
    code = np.frombuffer(codes, np.uint8).astype(np.int32) ^ 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    level = (mantissa << 4) + 8
    level = np.where(exponent == 0, level, (level + 256) << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, level, -level).astype(np.int16)


def mulaw_decode(codes: bytes) -> Samples:
    """Mu-law bytes as 16-bit samples."""
    code = ~np.frombuffer(codes, np.uint8).astype(np.int32) & 0xFF
    level = (((code & 15) << 3) + 4 * _MULAW_BIAS << (code >> 4 & 7)) - 4 * _MULAW_BIAS
    return np.where(code & 0x80, -level, level).astype(np.int16)


@cache
def _alaw_table() -> NDArray[np.uint8]:
    linear = _every_sample()
    magnitude = np.where(linear >= 0, linear, ~linear) >> 4
    exponent = np.maximum(np.frexp(magnitude.astype(np.float64))[1] - 4, 0)
    exponent = np.where(magnitude < 16, 0, exponent)
    mantissa = magnitude >> np.maximum(exponent - 1, 0) & 15
    sign = np.where(linear >= 0, 0x80, 0)
    table: NDArray[np.uint8] = ((sign | exponent << 4 | mantissa) ^ 0x55).astype(np.uint8)
    return table


@cache
def _mulaw_table() -> NDArray[np.uint8]:
    linear = _every_sample()
    magnitude = np.minimum(np.abs(linear >> 2) + _MULAW_BIAS, _MULAW_MAX)
    exponent = np.frexp(magnitude.astype(np.float64))[1] - 6
    mantissa = magnitude >> (exponent + 1) & 15
    sign = np.where(linear < 0, 0x80, 0)
    table: NDArray[np.uint8] = (~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8)
    return table


def _every_sample() -> NDArray[np.int32]:
    """All 65,536 samples, in the order of their unsigned reading."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)
