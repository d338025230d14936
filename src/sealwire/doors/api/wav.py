"""How long a recording's audio is, told from its sealed size."""

from __future__ import annotations

from sealwire.errors import Broken

_SEALED_HEADER = 56  # C2SP chunked-encryption, Cobblestone-256: one header,
_CHUNK = 16384  # then chunks of this much audio, the last one shorter (empty at worst),
_TAG = 16  # each with its tag


class MediaSizeWrong(Broken):
    """The stored size of this recording is not one that a sealed stream can have; its row was changed."""


def audio_bytes(sealed_bytes: int) -> int:
    """How much lies in a sealed stream of this size."""
    chunks = sealed_bytes - _SEALED_HEADER
    full, last = divmod(chunks, _CHUNK + _TAG)
    if chunks < 0 or last < _TAG:
        raise MediaSizeWrong
    return full * _CHUNK + last - _TAG
