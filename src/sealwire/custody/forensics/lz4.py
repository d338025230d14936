"""LZ4, read only: blocks as PostgreSQL keeps them in a row, and frames as files hold them. As far as they unpack.

Written here because it is forty lines, and a library refuses the block that was cut off, which is the one that lies
about on a disk.
"""

from __future__ import annotations

from collections.abc import Iterator

_FRAME_HEADER_BYTES_MIN = 7
_BLOCK_BYTES_MAX = 4 << 20
_WINDOW_BYTES = 64 << 10
_UNCOMPRESSED = 1 << 31


def unpack_block(packed: bytes, *, raw_bytes: int, before: bytes = b"") -> bytes:
    """Unpack a block until it ends, is cut off, gave `raw_bytes`, or refers to what stands before its beginning."""
    out, at = bytearray(before), 0
    end = len(before) + raw_bytes
    while at < len(packed) and len(out) < end:
        token, at = packed[at], at + 1
        literals, at = _length(packed, at, token >> 4)
        out += packed[at : at + literals]
        at += literals
        if len(out) >= end or at + 2 > len(packed):  # a block ends with literals
            break
        offset, at = int.from_bytes(packed[at : at + 2], "little"), at + 2
        if not 0 < offset <= len(out):
            break
        matched, at = _length(packed, at, token & 15)
        repeat(out, offset, min(matched + 4, end - len(out)))
    return bytes(out[len(before) : end])


def repeat(out: bytearray, offset: int, length: int) -> None:
    """Append `length` bytes that stand `offset` bytes back, which may be less than their length."""
    while length > 0:
        piece = out[len(out) - offset : len(out) - offset + length]
        out += piece
        length -= len(piece)


def unpack_frame(view: memoryview, at: int) -> Iterator[bytes]:
    """The blocks of a frame that begins here, one after the other."""
    if len(view) < at + _FRAME_HEADER_BYTES_MIN or view[at + 4] >> 6 != 1:
        return
    flags, at = view[at + 4], at + 6
    at += 8 * (flags >> 3 & 1) + 4 * (flags & 1) + 1  # content size, dictionary, checksum of the header
    is_summed, before = bool(flags & 16), b""
    while at + 4 <= len(view):
        head, at = int.from_bytes(view[at : at + 4], "little"), at + 4
        length = head & _UNCOMPRESSED - 1
        if not 0 < length <= _BLOCK_BYTES_MAX:
            return
        packed, at = bytes(view[at : at + length]), at + length + 4 * is_summed
        raw = packed if head & _UNCOMPRESSED else unpack_block(packed, raw_bytes=_BLOCK_BYTES_MAX, before=before)
        yield raw
        before = (before + raw)[-_WINDOW_BYTES:]


def _length(packed: bytes, at: int, nibble: int) -> tuple[int, int]:
    if nibble == 15:
        while at < len(packed):
            more, at = packed[at], at + 1
            nibble += more
            if more != 255:
                break
    return nibble, at
