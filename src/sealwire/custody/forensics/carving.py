"""Compressed streams inside other bytes: found by their first bytes and unpacked from there, to a bounded depth."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from backports import zstd

from sealwire.custody.forensics.lz4 import unpack_frame
from sealwire.custody.forensics.pglz import carved_values

_PIECE_IN = 1 << 16
_PIECE_OUT = 1 << 20
_STREAM_BYTES_MAX = 256 << 20
_ZIP_HEADER_BYTES = 30
_ZSTD_WINDOW_LOG_MAX = 27  # what `zstd --long` writes: 128 MiB
_LZ4_FRAME = b"\x04\x22\x4d\x18"
_NOISE = (zlib.error, OSError, EOFError, RuntimeError, lzma.LZMAError, zstd.ZstdError)


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def unpacked_streams(data: Any) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Every stream that unpacks to something: (format, offset, pieces). Most places that look like one are noise.

    gzip and zlib (RFC 1950, 1952), members of zip files, bzip2, xz, zstd (RFC 8878), lz4, and the values that
    PostgreSQL compresses in place with pglz or lz4.
    """
    view = memoryview(data)
    for name, magic, opener in _FORMATS:
        at = data.find(magic)
        while at != -1:
            if (start := opener(view, at)) is not None:
                pieces = _pieces(view, *start)
                if first := next(pieces, b""):
                    yield name, at, _chained(first, pieces)
            at = data.find(magic, at + 1)
    at = data.find(_LZ4_FRAME)
    while at != -1:
        yield "lz4", at, unpack_frame(view, at)
        at = data.find(_LZ4_FRAME, at + 1)
    for name, at, unpacked in carved_values(view):
        yield name, at, iter((unpacked,))


def _pieces(view: memoryview, start: int, unpacker: _Unpacker) -> Iterator[bytes]:
    """What comes out, until the stream ends or turns out to be noise."""
    produced = 0
    try:
        while start < len(view) and not unpacker.eof:
            for piece in _drained(unpacker, bytes(view[start : start + _PIECE_IN])):
                yield piece
                produced += len(piece)
                if produced > _STREAM_BYTES_MAX:
                    return
            start += _PIECE_IN
    except _NOISE:
        return


def _drained(unpacker: _Unpacker, chunk: bytes) -> Iterator[bytes]:
    """All that one chunk gives; zlib hands back what it did not take, bz2 and lzma keep it."""
    while True:
        if piece := unpacker.decompress(chunk, _PIECE_OUT):
            yield piece
        chunk = getattr(unpacker, "unconsumed_tail", b"")
        if unpacker.eof or (not chunk and getattr(unpacker, "needs_input", True)):
            return


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _gzip(_view: memoryview, at: int) -> tuple[int, _Unpacker]:
    return at, zlib.decompressobj(wbits=31)


def _zlib(_view: memoryview, at: int) -> tuple[int, _Unpacker]:
    return at, zlib.decompressobj()


def _zip_member(view: memoryview, at: int) -> tuple[int, _Unpacker] | None:
    header = view[at : at + _ZIP_HEADER_BYTES]
    if len(header) < _ZIP_HEADER_BYTES or int.from_bytes(header[8:10], "little") != 8:
        return None
    names = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    return at + _ZIP_HEADER_BYTES + names, zlib.decompressobj(wbits=-15)


def _bzip2(_view: memoryview, at: int) -> tuple[int, _Unpacker] | None:
    return (at - 4, bz2.BZ2Decompressor()) if at >= 4 else None


def _xz(_view: memoryview, at: int) -> tuple[int, _Unpacker]:
    return at, lzma.LZMADecompressor()


def _zstd(_view: memoryview, at: int) -> tuple[int, _Unpacker]:
    options = {int(zstd.DecompressionParameter.window_log_max): _ZSTD_WINDOW_LOG_MAX}
    return at, zstd.ZstdDecompressor(options=options)


_Opener = Callable[[memoryview, int], "tuple[int, _Unpacker] | None"]
_FORMATS: tuple[tuple[str, bytes, _Opener], ...] = (
    ("gzip", b"\x1f\x8b\x08", _gzip),
    ("zlib", b"\x78\x01", _zlib),
    ("zlib", b"\x78\x5e", _zlib),
    ("zlib", b"\x78\x9c", _zlib),
    ("zlib", b"\x78\xda", _zlib),
    ("zip", b"PK\x03\x04", _zip_member),
    ("bzip2", b"1AY&SY", _bzip2),
    ("xz", b"\xfd7zXZ\x00", _xz),
    ("zstd", b"\x28\xb5\x2f\xfd", _zstd),
)
