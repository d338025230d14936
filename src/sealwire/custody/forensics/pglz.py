"""PostgreSQL's pglz: values above 2 KB are compressed in place, so what they hold is found only by unpacking them.

Seen are values inside a row and those that fill one TOAST chunk (up to 1,996 bytes compressed); of a longer one
the first chunk is unpacked, the rest is not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_TOAST_CHUNK_BYTES = 1996
_INLINE_BYTES_MAX = 8160
_RAW_BYTES_MIN = 256
_RAW_BYTES_MAX = 1 << 24
_BLOCK_BYTES = 1 << 18


def carved_pglz(view: memoryview) -> Iterator[tuple[int, bytes]]:
    """Everything that has the head of a pglz value and unpacks: (offset, content)."""
    for at, length in _heads(view):
        if unpacked := pglz_unpack(bytes(view[at + 8 : at + 4 + length]), raw_bytes=_raw_bytes(view, at)):
            yield at, unpacked


def pglz_unpack(packed: bytes, *, raw_bytes: int) -> bytes:
    """Unpack as far as it goes; nothing when a back-reference points before the start (so it is not pglz)."""
    out = bytearray()
    at = 0
    while at < len(packed) and len(out) < raw_bytes:
        control, at = packed[at], at + 1
        for _ in range(8):
            if at >= len(packed) or len(out) >= raw_bytes:
                break
            if control & 1:
                length, offset, at = _reference(packed, at)
                if not 0 < offset <= len(out):
                    return b""
                _repeat(out, offset, length)
            else:
                out.append(packed[at])
                at += 1
            control >>= 1
    return bytes(out[:raw_bytes])


def _reference(packed: bytes, at: int) -> tuple[int, int, int]:
    """(length, offset, next position) of a back-reference; offset 0 when it is cut off."""
    if at + 1 >= len(packed):
        return 0, 0, len(packed)
    length, offset = (packed[at] & 0x0F) + 3, (packed[at] & 0xF0) << 4 | packed[at + 1]
    if length < 18:
        return length, offset, at + 2
    if at + 2 >= len(packed):
        return 0, 0, len(packed)
    return length + packed[at + 2], offset, at + 3


def _repeat(out: bytearray, offset: int, length: int) -> None:
    while length > 0:
        piece = out[len(out) - offset : len(out) - offset + length]
        out += piece
        length -= len(piece)


def _heads(view: memoryview) -> Iterator[tuple[int, int]]:
    """Places with a value's length word (compressed inline, or a first chunk) before a plausible raw size."""
    for block in range(0, len(view), _BLOCK_BYTES):
        for phase in range(block, block + 4):
            count = min(_BLOCK_BYTES + 12, len(view) - phase) // 4
            if count > 3:
                words = np.frombuffer(view[phase : phase + 4 * count], "<u4")
                for place in _plausible(words):
                    yield phase + 4 * place, int(words[place]) >> 2


def _plausible(words: NDArray[np.uint32]) -> list[int]:
    """Where length and raw size go together, and the first item is the literal that it must be."""
    head, raw = words[1:-2], words[2:-1]
    at = np.flatnonzero((head < 4 * _INLINE_BYTES_MAX) & (raw - _RAW_BYTES_MIN < _RAW_BYTES_MAX)) + 1
    head, raw, before, packed = words[at], words[at + 1], words[at - 1], words[at + 2]
    length = head >> 2
    inline = head & 3 == 2
    first_chunk = (head & 3 == 0) & (before == 0) & (length <= _TOAST_CHUNK_BYTES + 4)
    # pglz keeps nothing that does not shrink by a quarter.
    fits = (length > 12) & (raw > length // 3 * 4) & (packed & 1 == 0) & (packed & 0xFF00 != 0)
    places: list[int] = at[(inline | first_chunk) & fits].tolist()
    return places


def _raw_bytes(view: memoryview, at: int) -> int:
    return int.from_bytes(view[at + 4 : at + 8], "little") & 0x3FFFFFFF
