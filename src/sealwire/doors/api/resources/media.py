"""Media files: uploaded, listed without their names, opened, downloaded, erased."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from weakref import WeakValueDictionary

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import HeaderParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_202_ACCEPTED
from msgspec import Meta

from sealwire.communications.media.names import MediaNameWrong
from sealwire.communications.media.riff import NotAWav, SoundEmpty, SoundTooLong, WavLies, WavUnsupported
from sealwire.communications.media.store import (
    MEDIA,
    MediaFull,
    NotAesCbc,
    NotAnAgeFile,
    add_media,
    record_of,
)
from sealwire.custody import erasure as erasing
from sealwire.custody.categories import MediaFile
from sealwire.custody.erasure import ErasedMeanwhile, Ground
from sealwire.custody.holds import RecordsHeld
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    Commitment,
    DueOn,
    ErasureIdText,
    IdempotencyKey,
    IsRestricted,
    MediaPath,
    Moment,
    NextCursor,
    PurposeHeader,
    PurposeText,
    Sha256Hex,
    base64_text,
    id_in_address,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import (
    BodyCutOff,
    BodyTooLarge,
    BodyTooSlow,
    ContentTypeWrong,
    CursorMalformed,
    IdMalformed,
    TooBusy,
)
from sealwire.doors.api.records import OPENING, find_one, open_one, page_of
from sealwire.doors.api.wav import audio_bytes
from sealwire.errors import Malformed, Unavailable
from sealwire.governance.agreements import NoAgreement
from sealwire.governance.principals import Scope
from sealwire.vocabulary import AccountId, MediaId

UPLOADS_MAX, UPLOADS_OF_ACCOUNT_MAX = 16, 2
_uploading: Counter[AccountId] = Counter()
_keeping = asyncio.Semaphore(3)  # each takes two connections of the pool at once
_one_at_a_time: WeakValueDictionary[AccountId, asyncio.Lock] = WeakValueDictionary()
_FORMS = {"audio/wav": "none", "application/age": "age", "application/octet-stream": "aes-cbc"}
_CONTENT_TYPES = {"none": "audio/wav", "age": "application/age", "aes-cbc": "application/octet-stream"}
_ENCRYPTED_EXAMPLE = "sixteen bytes..."  # a whole block, as AES-CBC has it
MediaIdText = Annotated[
    str, Meta(description="The media file's id; play it by this or by its name.", examples=[f"med_{'5f0c1e2d' * 4}"])
]
Encryption = Annotated[
    str,
    Meta(
        description="How you encrypted it before upload: none, age or aes-cbc. It is then checked when played.",
        examples=["none"],
    ),
]
DurationMs = Annotated[int | None, Meta(description="Null for what was encrypted before upload.", examples=[4980])]
NameText = Annotated[str, Meta(description="Its name.", examples=["welcome.wav"])]
NameHeader = Annotated[
    str,
    HeaderParameter(
        name="Sealwire-Media-Name",
        description="What your applications call it: 1 to 200 of A-Z a-z 0-9 . _ @ - and /.",
        schema_extra={"examples": ["welcome.wav"], "pattern": "^[A-Za-z0-9._@/-]{1,200}$"},
        min_length=1,
        max_length=1000,
    ),
]


class MediaSeen(msgspec.Struct, kw_only=True):
    """A media file without its content; its name is content."""

    id: MediaIdText
    uploaded_at: Moment
    encryption: Encryption
    duration_ms: DurationMs
    bytes: Annotated[int, Meta(description="Size of the file as it was uploaded.", examples=[79724])]
    due_on: DueOn
    commitment: Commitment
    restricted: IsRestricted = False


class MediaPage(msgspec.Struct, kw_only=True):
    """A page of media files, newest first."""

    items: list[MediaSeen]
    next_cursor: NextCursor


class MediaContent(msgspec.Struct, kw_only=True):
    """What was sealed beside the sound."""

    name: NameText
    sha256: Sha256Hex


class OpenedMedia(msgspec.Struct, kw_only=True):
    """An opened media file, without its sound."""

    id: MediaIdText
    purpose: PurposeText
    content: MediaContent


class MediaErasure(msgspec.Struct, kw_only=True):
    """The erasure of a media file; follow it at /v1/erasures."""

    erasure: ErasureIdText


@post(
    "/v1/media",
    **operation(
        "upload-media", "Media", Scope.CONFIGURE, summary="Upload a media file",
        raises=(
            MediaNameWrong, NotAWav, WavUnsupported, WavLies, SoundEmpty, SoundTooLong, NotAnAgeFile, NotAesCbc,
            MediaFull, NoAgreement, TooBusy, ContentTypeWrong, BodyTooLarge, BodyTooSlow, BodyCutOff, Malformed,
            IdempotencyConflict, IdempotencyKeyMalformed, Unavailable,
        ),
    ),
)  # fmt: skip
async def upload_media(
    here: Here, request: Request[Any, Any, Any], name: NameHeader, idempotency_key: IdempotencyKey = None
) -> Response[MediaSeen]:
    """The file itself is the body: a wav (PCM of 8 or 16 bit or G.711, up to 20 MiB and 30 minutes), which is decoded
    before it is taken; or one you encrypted before: `application/age`, or `application/octet-stream` for AES-CBC. Its
    name goes in a header, never in an address. Of two files with one name the newer is played.
    """
    parts, account = here.parts, here.account
    with _upload_slot(account):
        data = await request.body()
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encryption = _FORMS.get(form, "none")
    asked = b"\n".join((name.encode(), encryption.encode(), data))
    once = Once(here, idempotency_key, method="POST", path="/v1/media", body=asked)
    async with parts.database.account(account) as connection:
        seen = await once.seen(connection, account)
    if seen is None:
        lock = _one_at_a_time.setdefault(account, asyncio.Lock())
        async with lock, _keeping, parts.database.account(account) as connection:
            await parts.custody.remove_abandoned_media(
                account, MediaFile
            )  # what a crash cut off: no other is under way

            async def remember(media: MediaId) -> None:
                await once.remember(connection, account, str(media))

            kept = await add_media(
                parts.custody, account, name=name, data=data, encryption=encryption, meanwhile=remember
            )
    record = record_of(MediaId.parse(seen)) if seen is not None else kept.record
    (stored,) = await parts.custody.find(account, [record], category=MEDIA)
    return Response(_seen(stored), headers=REPLAYED if seen is not None else {})


upload_media.opt["raw_body"] = {
    "required": True,
    "content": {
        "audio/wav": {"schema": {"type": "string", "format": "binary"}},
        "application/age": {"schema": {"type": "string", "format": "binary"}},
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": _ENCRYPTED_EXAMPLE},
    },
}


@get(
    "/v1/media",
    **operation("list-media", "Media", Scope.READ, summary="List media files", raises=(CursorMalformed,)),
)
async def list_media(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> MediaPage:
    """Newest first, and without names: a name may name somebody, so it is sealed, and a list opens nothing."""
    page, next_cursor = await page_of(here, MEDIA, kind="media", cursor=cursor, limit=limit)
    return MediaPage(items=[_seen(row) for row in page], next_cursor=next_cursor)


@get(
    "/v1/media/{media_id:str}",
    **operation(
        "get-media", "Media", Scope.READ, summary="Look at a media file",
        raises=(RecordMissing, RecordErased, IdMalformed),
    ),
)  # fmt: skip
async def get_media(here: Here, media_id: MediaPath) -> MediaSeen:
    """Without content. Once erased it answers 410 with the address of its certificate."""
    return _seen(await _find(here, media_id))


@get(
    "/v1/media/{media_id:str}/content",
    **operation("open-media", "Media", Scope.OPEN, summary="Open a media file's name", raises=OPENING),
)
async def open_media(here: Here, media_id: MediaPath, purpose: PurposeHeader = None) -> OpenedMedia:
    """Its name, and the hash of the file as it was uploaded. One leaf in the log."""
    stated = here.principal.purpose(purpose)
    record = record_of(id_in_address(MediaId, media_id))
    opened = await open_one(here, await find_one(here, MEDIA, record), purpose=stated)
    content = opened.content.reveal()
    return OpenedMedia(
        id=str(MediaId(record.value)), purpose=stated.value,
        content=MediaContent(name=content["name"], sha256=content["sha256"].hex()),
    )  # fmt: skip


@get(
    "/v1/media/{media_id:str}/audio",
    media_type="application/octet-stream",
    **operation("download-media", "Media", Scope.OPEN, summary="Download a media file", raises=OPENING),
)
async def download_media(here: Here, media_id: MediaPath, purpose: PurposeHeader = None) -> Stream:
    """The file as it was uploaded: what you encrypted comes back encrypted."""
    stated = here.principal.purpose(purpose)
    stored = await _find(here, media_id)
    stored, pieces = await here.parts.custody.open_media(here.principal, stored.record, purpose=stated)
    first = await anext(pieces, b"")
    headers = {
        "Content-Length": str(audio_bytes(stored.media_bytes)),
        "Content-Type": _CONTENT_TYPES[stored.plain["encryption"]],
        "Content-Disposition": f'attachment; filename="{MediaId(stored.record.value)}"',
        "Cache-Control": "no-store",
    }
    return Stream(_chained(first, pieces), headers=headers)


download_media.opt["also_answers"] = ("audio/wav", "application/age")


@delete(
    "/v1/media/{media_id:str}",
    status_code=HTTP_202_ACCEPTED,
    **operation(
        "erase-media", "Media", Scope.CONFIGURE, summary="Erase a media file",
        raises=(RecordMissing, RecordErased, RecordsHeld, ErasedMeanwhile, IdMalformed),
    ),
)  # fmt: skip
async def erase_media(here: Here, media_id: MediaPath) -> Response[MediaErasure]:
    """From this answer on it is not played any more; unreadable within seconds, with a certificate that says so. What
    is being played is played to its end.
    """
    parts, stored = here.parts, await _find(here, media_id)
    async with parts.database.account(here.account) as connection:
        erasure = await erasing.request_records(
            connection, here.account, [stored], ground=Ground.INSTRUCTION,
            requested_by=str(here.principal.credential), backup_cycle_days=parts.settings.backup_cycle_days,
            clock=parts.clock,
        )  # fmt: skip
    location = {"Location": f"/v1/erasures/{erasure}"}
    return Response(MediaErasure(erasure=str(erasure)), status_code=HTTP_202_ACCEPTED, headers=location)


@contextmanager
def _upload_slot(account: AccountId) -> Iterator[None]:
    """Bounds what uploads may take of our memory, and how much of that one account may."""
    if _uploading.total() >= UPLOADS_MAX or _uploading[account] >= UPLOADS_OF_ACCOUNT_MAX:
        raise TooBusy("as many media files as are taken at once are being uploaded; send it again in a moment")
    _uploading[account] += 1
    try:
        yield
    finally:
        _uploading[account] -= 1
        if not _uploading[account]:
            del _uploading[account]


async def _find(here: Here, media_id: str) -> StoredRecord:
    return await find_one(here, MEDIA, record_of(id_in_address(MediaId, media_id)))


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _seen(row: StoredRecord) -> MediaSeen:
    return MediaSeen(
        id=str(MediaId(row.record.value)), uploaded_at=row.plain["uploaded_at"], encryption=row.plain["encryption"],
        duration_ms=row.plain["duration_ms"], bytes=audio_bytes(row.media_bytes), due_on=row.due_day.date,
        commitment=base64_text(row.commitment), restricted=row.restricted,
    )  # fmt: skip
