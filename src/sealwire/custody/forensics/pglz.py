"""Values that PostgreSQL compresses in place, with its own pglz or with lz4: found only by unpacking them.

Seen are values inside a row and those that fill one TOAST chunk (up to 1,996 bytes compressed); of a longer one
the first chunk is unpacked, the rest is not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sealwire.custody.forensics.lz4 import repeat, unpack_block

_TOAST_CHUNK_BYTES = 1996
_INLINE_BYTES_MAX = 8160
_RAW_BYTES_MIN = 256
_RAW_BYTES_MAX = 1 << 24
_BLOCK_BYTES = 1 << 18
_METHOD_AT_BIT = 30  # of the word with the raw size: 0 is pglz, 1 is lz4
_RAW_BYTES = (1 << _METHOD_AT_BIT) - 1


def carved_values(view: memoryview) -> Iterator[tuple[str, int, bytes]]:
    """Everything that has the head of a compressed value and unpacks: (method, offset, content)."""
    for at, length in _heads(view):
        packed = bytes(view[at + 8 : at + 4 + length])
        if _raw_word(view, at) >> _METHOD_AT_BIT:
            name, unpacked = "lz4 value", unpack_block(packed, raw_bytes=_raw_bytes(view, at))
        else:
            name, unpacked = "pglz", pglz_unpack(packed, _raw_bytes(view, at))
        if unpacked:
            yield name, at, unpacked


def pglz_unpack(packed: bytes, raw_bytes: int) -> bytes:
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
                repeat(out, offset, length)
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
    """Where length and raw size go together, and what follows may be the beginning of its method."""
    sizes = words[2:-1] & _RAW_BYTES
    at = np.flatnonzero((words[1:-2] < 4 * _INLINE_BYTES_MAX) & (sizes - _RAW_BYTES_MIN < _RAW_BYTES_MAX)) + 1
    head, raw, before, packed = words[at], words[at + 1], words[at - 1], words[at + 2]
    length, method, raw_bytes = head >> 2, raw >> _METHOD_AT_BIT, raw & _RAW_BYTES
    inline = head & 3 == 2
    first_chunk = (head & 3 == 0) & (before == 0) & (length <= _TOAST_CHUNK_BYTES + 4)
    # Nothing is kept compressed that does not shrink by a quarter (pglz), or at all (lz4).
    pglz = (method == 0) & (raw_bytes > length // 3 * 4) & (packed & 1 == 0) & (packed & 0xFF00 != 0)
    lz4 = (method == 1) & (raw_bytes > length) & (packed & 0xF0 != 0)
    places: list[int] = at[(inline | first_chunk) & (length > 12) & (pglz | lz4)].tolist()
    return places


def _raw_word(view: memoryview, at: int) -> int:
    return int.from_bytes(view[at + 4 : at + 8], "little")


def _raw_bytes(view: memoryview, at: int) -> int:
    return _raw_word(view, at) & _RAW_BYTES
