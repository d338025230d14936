"""The two rings of PCM the engine keeps for each call, read and written without waiting and without fresh memory.

The binding's own reader takes 16 kB anew each time; a hundred calls are read a thousand times a second.
"""

from __future__ import annotations

from baresip import _native

_ffi, _lib = _native.ffi, _native.lib
READ_BYTES = 32_768
"""All a ring can hold: 2 s."""
_buffer = _ffi.new("uint8_t[]", READ_BYTES)
_info = _ffi.new("struct bp_audio_info *")
"""Shared by all calls: one process, one thread, one call at a time."""


class Rings:
    """Of one call. Without media, or while they are renegotiated, they are empty and take nothing."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._epoch: int | None = None

    def read(self) -> bytes:
        """All that was received since the last time."""
        if self._epoch is None and not self._probe():
            return b""
        length = self._checked(_lib.bp_audio_read(self._handle, self._epoch, _buffer, READ_BYTES))
        return bytes(_ffi.buffer(_buffer, length)) if length else b""

    def write(self, pcm: bytes | memoryview) -> int:
        """How much of it will be sent, as soon as what was written before it is."""
        if not pcm or (self._epoch is None and not self._probe()):
            return 0
        return self._checked(
            _lib.bp_audio_write(self._handle, self._epoch, _ffi.from_buffer("uint8_t[]", pcm), len(pcm))
        )

    def flush(self) -> None:
        """Send nothing of what was written."""
        if self._epoch is not None or self._probe():
            self._checked(_lib.bp_audio_flush_tx(self._handle, self._epoch))

    def held(self) -> int:
        """Bytes that were written and are not sent yet."""
        return int(_info.tx_fill) if self._probe() else 0

    def _probe(self) -> bool:
        there = bool(_lib.bp_audio_probe(self._handle, _info) == 0)
        self._epoch = _info.epoch if there else None
        return there

    def _checked(self, length: int) -> int:
        if length < 0:  # renegotiated, or gone: the next use looks again
            self._epoch = None
            return 0
        return length
