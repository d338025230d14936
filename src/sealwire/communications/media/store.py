"""Media files in custody: taken in after a check, found by id or name, opened whole for whoever may.

A name may name somebody, so it is sealed; to find a file by its name the names are opened, a few hundred under one
leaf, and held in memory for a minute at most after they were last needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256

from sealwire.communications.media.decode import pcm_of
from sealwire.communications.media.names import checked_name
from sealwire.communications.media.riff import read_wav
from sealwire.custody.categories import MediaFile, category_of
from sealwire.custody.lifecycle import Custody, Kept
from sealwire.custody.sealing.sealer import SlotRecalled
from sealwire.custody.store import StoredRecord
from sealwire.errors import Gone, Malformed, Refused
from sealwire.vocabulary import AccountId, Day, MediaId, RecordId

MEDIA = category_of(MediaFile)
BYTES_MAX = 20 << 20
FILES_MAX = 1000
_AGE_MAGIC = b"age-encryption.org/v1\n"
_PIECE = 1 << 18


class MediaTooLarge(Malformed):
    """A media file has at most 20 MiB."""


class MediaFull(Refused):
    """The account has 1000 media files already; erase some before you add another."""


class NotAnAgeFile(Malformed):
    """This is not an age file: encrypt the wav with the age program (binary, not armored) and send it again."""


class NotAesCbc(Malformed):
    """This cannot be an AES-CBC file: it would be a whole number of blocks of 16 bytes, one at least."""


async def add_media(
    custody: Custody,
    account: AccountId,
    *,
    name: str,
    data: bytes,
    encryption: str,
    meanwhile: Callable[[MediaId], Awaitable[None]],
) -> Kept:
    """Check a file and keep it. `meanwhile` is done just before, with its id; when that fails, nothing is kept."""
    checked_name(name)
    duration_ms = await asyncio.to_thread(check_upload, data, encryption=encryption)
    rows = await custody.page(account, MEDIA, before=None, limit=FILES_MAX)
    if len(rows) >= FILES_MAX:
        raise MediaFull
    uploaded_at = custody.clock.now()
    media = await custody.begin_media(account, MediaFile, starts_at_day=Day.of(uploaded_at))
    media_id = MediaId(media.record.value)
    try:
        for at in range(0, len(data), _PIECE):
            await media.write(data[at : at + _PIECE])
        await media.finish()
        await meanwhile(media_id)
    except BaseException:
        await media.abort()
        raise
    record = MediaFile(
        media_id=media_id, uploaded_at=uploaded_at, encryption=encryption, duration_ms=duration_ms, name=name,
        sha256=sha256(data).digest(),
    )  # fmt: skip
    try:
        return await custody.keep(account, record, media=media)
    except (Refused, Gone, SlotRecalled):  # on anything else it may be kept: what is not is removed at the next start
        await media.abort()
        raise


def check_upload(data: bytes, *, encryption: str) -> int | None:
    """Its duration in milliseconds, after decoding it; None for what only its owner can open."""
    if len(data) > BYTES_MAX:
        raise MediaTooLarge
    if encryption == "age":
        if not data.startswith(_AGE_MAGIC):
            raise NotAnAgeFile
        return None
    if encryption == "aes-cbc":
        if not data or len(data) % 16:
            raise NotAesCbc
        return None
    wav = read_wav(data)
    pcm_of(wav)
    return round(wav.seconds * 1000)


async def whole(pieces: AsyncIterator[bytes]) -> bytes:
    """All of a stream, in memory; MediaTooLarge when that is more than a media file has."""
    data = bytearray()
    async for piece in pieces:
        data += piece
        if len(data) > BYTES_MAX:
            raise MediaTooLarge
    return bytes(data)


async def living(custody: Custody, account: AccountId) -> list[StoredRecord]:
    """Every media file of the account that was not erased, newest first; nothing is opened."""
    return await custody.page(account, MEDIA, before=None, limit=FILES_MAX)


def record_of(media: MediaId) -> RecordId:
    """The record a media file is kept as: the same number."""
    return RecordId(media.value)
