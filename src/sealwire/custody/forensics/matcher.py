"""Finding tens of thousands of needles in one pass over the bytes.

Every 6 bytes are looked up in a table that fits into a core's cache, what is left of them in a second one, and what is
left then is compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sealwire.custody.forensics.patterns import NEEDLE_BYTES_MIN, Pattern

_BLOCK_BYTES = 1 << 18
_FIRST_BITS_MIN, _FIRST_BITS_MAX = 18, 21
_FIRST_PLACES_A_PATTERN = 32
_SECOND_BITS = 22
_SECOND_SHIFT = np.uint64(64 - _SECOND_BITS)
_KEY_BYTES = NEEDLE_BYTES_MIN
# The product of a little-endian 8-byte word with this depends on its first 6 bytes only; its top bits are the hash.
_FIRST = np.uint64((0x9E3779B97F4B << 16) & (1 << 64) - 1)
_SECOND = np.uint64((0xC2B2AE3D27D5 << 16) & (1 << 64) - 1)


class Matcher:
    """Looks for all patterns at once."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self.patterns = list(patterns)
        self.longest = max((len(pattern.needle) for pattern in patterns), default=0)
        self._by_key: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
        for at, pattern in enumerate(self.patterns):
            offset = _rarest_offset(pattern.needle)
            self._by_key[pattern.needle[offset : offset + _KEY_BYTES]].append((at, offset))
        bits = (len(self._by_key) * _FIRST_PLACES_A_PATTERN).bit_length()
        bits = min(max(bits, _FIRST_BITS_MIN), _FIRST_BITS_MAX)
        self._first, self._shift = np.zeros(1 << bits, np.bool_), np.uint64(64 - bits)
        self._second = np.zeros(1 << _SECOND_BITS, np.bool_)
        words = np.frombuffer(b"".join(key + bytes(8 - _KEY_BYTES) for key in self._by_key), "<u8")
        self._first[_places(words, _FIRST, self._shift)] = True
        self._second[_places(words, _SECOND, _SECOND_SHIFT)] = True

    def find(self, data: Any) -> Iterator[tuple[int, Pattern]]:
        """Every place in a bytes-like where a pattern stands: (offset, pattern)."""
        view = memoryview(data)
        for start in range(0, len(view), _BLOCK_BYTES):
            # A block sees eight bytes of the next one, so that a key across the border is found once.
            block = np.frombuffer(view[start : start + _BLOCK_BYTES + 8], np.uint8)
            if block.any():
                for place in self._candidates(block, min(_BLOCK_BYTES, len(view) - start)):
                    yield from self._confirmed(view, start + place)

    def _candidates(self, block: NDArray[np.uint8], length: int) -> list[int]:
        padded = block if len(block) == _BLOCK_BYTES + 8 else np.concatenate([block, np.zeros(16, np.uint8)])
        places: list[int] = []
        for phase in range(8):
            count = (length - phase + 7) // 8
            if count > 0:
                words = padded[phase : phase + 8 * count].view("<u8")
                at = np.flatnonzero(self._first.take(_places(words, _FIRST, self._shift), mode="clip"))
                at = at[self._second[_places(words[at], _SECOND, _SECOND_SHIFT)]]
                places.extend((at * 8 + phase).tolist())
        return places

    def _confirmed(self, view: memoryview, place: int) -> Iterator[tuple[int, Pattern]]:
        for at, offset in self._by_key.get(bytes(view[place : place + _KEY_BYTES]), ()):
            pattern, start = self.patterns[at], place - offset
            if start >= 0 and view[start : start + len(pattern.needle)] == pattern.needle:
                yield start, pattern


def _places(words: NDArray[Any], multiplier: np.uint64, shift: np.uint64) -> NDArray[np.int64]:
    product: NDArray[np.uint64] = words * multiplier
    return np.right_shift(product, shift, out=product).view(np.int64)


def _rarest_offset(needle: bytes) -> int:
    """Where the six most varied bytes stand: a key of zeros or of one digit repeated would match everywhere."""
    assert len(needle) >= _KEY_BYTES
    best, most = 0, 0
    for at in range(len(needle) - _KEY_BYTES + 1):
        distinct = len(set(needle[at : at + _KEY_BYTES]))
        if distinct > most:
            best, most = at, distinct
            if most == _KEY_BYTES:
                break
    return best
