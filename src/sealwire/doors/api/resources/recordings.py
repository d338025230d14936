"""Recordings: listed without content, opened for a purpose, streamed as WAV."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from litestar import Request, get
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Meta

from sealwire.communications.recordings.wav import wav_header
from sealwire.custody.categories import Recording, category_of
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    CallIdText,
    Commitment,
    DueOn,
    IsRestricted,
    Moment,
    NextCursor,
    NumberText,
    PurposeHeader,
    PurposeText,
    RecordIdText,
    RecordPath,
    Sha256Hex,
    base64_text,
    id_in_address,
    id_pattern,
)
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.records import OPENING, find_one, open_one, page_of
from sealwire.doors.api.wav import audio_bytes
from sealwire.errors import Refused
from sealwire.governance.principals import Scope
from sealwire.vocabulary import CallId, RecordId

RECORDINGS = category_of(Recording)
CallFilter = Annotated[
    str | None,
    QueryParameter(
        description="Only the recordings of this call (`call_...`); then all on one page.",
        max_length=100,
        schema_extra=id_pattern("call"),
    ),
]


class RecordingSealedToCustomer(Refused):
    """Only the customer can open this recording: accept application/age, and open the download with `age -d -i KEY`."""


class RecordingEncryptedForCall(Refused):
    """Only who gave the call its cipher can open this: accept application/octet-stream, then `openssl enc -d`."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How a recording leaves the house."""

    media_type: str
    suffix: str
    otherwise: type[Refused] | None


_FORMS = {
    "provider": _Form("audio/wav", ".wav", None),
    "age": _Form("application/age", ".wav.age", RecordingSealedToCustomer),
    "aes-cbc": _Form("application/octet-stream", ".wav.aes", RecordingEncryptedForCall),
}


class RecordingSeen(msgspec.Struct, kw_only=True):
    """A recording without its content."""

    id: RecordIdText
    call_id: CallIdText
    started_at: Moment
    duration_ms: Annotated[int, Meta(examples=[4980])]
    audio_bytes: Annotated[
        int, Meta(description="Size of the audio without the WAV header, or of the encrypted file.", examples=[79680])
    ]
    channels: Annotated[int, Meta(description="1 mixed, or 2: the caller left, the others right.", examples=[1])]
    encryption: Annotated[
        str,
        Meta(
            description="provider: opened for whoever may. age: sealed to your public keys, nobody here can open it. "
            "aes-cbc: encrypted with the cipher the call was given.",
            examples=["provider"],
        ),
    ]
    key_id: Annotated[
        str | None,
        Meta(description="The recipients that can open it, separated by commas; null unless age.", examples=[None]),
    ]
    due_on: DueOn
    commitment: Commitment
    restricted: IsRestricted = False


class RecordingPage(msgspec.Struct, kw_only=True):
    """A page of recordings, newest first."""

    items: list[RecordingSeen]
    next_cursor: NextCursor


class RecordingContent(msgspec.Struct, kw_only=True):
    """What was sealed beside the audio."""

    caller: NumberText
    callee: NumberText
    audio_sha256: Sha256Hex


class OpenedRecording(msgspec.Struct, kw_only=True):
    """An opened recording, without its audio."""

    id: RecordIdText
    call_id: CallIdText
    purpose: PurposeText
    content: RecordingContent


@get(
    "/v1/recordings",
    **operation(
        "list-recordings", "Recordings", Scope.READ, summary="List recordings", raises=(CursorMalformed, IdMalformed)
    ),
)
async def list_recordings(
    here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT, call_id: CallFilter = None
) -> RecordingPage:
    """Newest first, and without content."""
    if call_id is not None:
        of_call = await here.parts.custody.of_call(here.account, id_in_address(CallId, call_id))
        return RecordingPage(items=[_seen(row) for row in of_call if row.category is RECORDINGS], next_cursor=None)
    page, next_cursor = await page_of(here, RECORDINGS, kind="recordings", cursor=cursor, limit=limit)
    return RecordingPage(items=[_seen(row) for row in page], next_cursor=next_cursor)


@get(
    "/v1/recordings/{record_id:str}",
    **operation(
        "get-recording", "Recordings", Scope.READ, summary="Look at a recording",
        raises=(RecordMissing, RecordErased, IdMalformed),
    ),
)  # fmt: skip
async def get_recording(here: Here, record_id: RecordPath) -> RecordingSeen:
    """Without content. Once erased it answers 410 with the address of its certificate."""
    return _seen(await find_one(here, RECORDINGS, id_in_address(RecordId, record_id)))


@get(
    "/v1/recordings/{record_id:str}/content",
    **operation(
        "open-recording", "Recordings", Scope.OPEN, summary="Open what is sealed beside the audio", raises=OPENING
    ),
)
async def open_recording(here: Here, record_id: RecordPath, purpose: PurposeHeader = None) -> OpenedRecording:
    """Who spoke with whom, and the hash of the audio as it was recorded. One leaf in the log, as for a call record."""
    stated = here.principal.purpose(purpose)
    record = id_in_address(RecordId, record_id)
    opened = await open_one(here, await find_one(here, RECORDINGS, record), purpose=stated)
    content = opened.content.reveal()
    return OpenedRecording(
        id=str(record), call_id=str(opened.stored.plain["call_id"]), purpose=stated.value,
        content=RecordingContent(
            caller=str(content["caller"]), callee=str(content["callee"]), audio_sha256=content["audio_sha256"].hex()
        ),
    )  # fmt: skip


@get(
    "/v1/recordings/{record_id:str}/audio",
    media_type="audio/wav",
    **operation(
        "play-recording", "Recordings", Scope.OPEN, summary="Download the audio",
        raises=(*OPENING, RecordingSealedToCustomer, RecordingEncryptedForCall),
    ),
)  # fmt: skip
async def play_recording(
    here: Here, request: Request[Any, Any, Any], record_id: RecordPath, purpose: PurposeHeader = None
) -> Stream:
    """A WAV file (8 kHz, 16 bit), opened inside the keeper and streamed; the key never leaves the keeper. What is
    sealed to your public keys comes as the age file it is: only you can open it.

    If the stored audio was tampered with or is erased while it streams, the connection ends before the announced
    length.
    """
    stated = here.principal.purpose(purpose)
    record = id_in_address(RecordId, record_id)
    found = await find_one(here, RECORDINGS, record)
    form = _FORMS[found.plain["encryption"] or "provider"]
    if form.otherwise is not None and not _accepts(request.headers.get("accept", "*/*"), form.media_type):
        raise form.otherwise
    stored, audio = await here.parts.custody.open_media(here.principal, record, purpose=stated)
    size = audio_bytes(stored.media_bytes)
    first = await anext(audio, b"")
    header = wav_header(size, channels=stored.plain["channels"] or 1) if form.otherwise is None else b""
    headers = {
        "Content-Length": str(len(header) + size),
        "Content-Type": form.media_type,
        "Content-Disposition": f'attachment; filename="{record}{form.suffix}"',
        "Cache-Control": "no-store",
    }
    return Stream(_headed(header + first, audio), headers=headers)


play_recording.opt["also_answers"] = ("application/age", "application/octet-stream")


async def _headed(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _accepts(header: str, media_type: str) -> bool:
    """Whether an Accept header (RFC 9110 12.5.1) takes this type."""
    ranges = {each.partition(";")[0].strip().lower() for each in header.split(",")}
    return not ranges.isdisjoint({"*/*", f"{media_type.partition('/')[0]}/*", media_type, ""})


def _seen(row: StoredRecord) -> RecordingSeen:
    return RecordingSeen(
        id=str(row.record), call_id=str(row.plain["call_id"]), started_at=row.plain["started_at"],
        duration_ms=row.plain["duration_ms"], audio_bytes=audio_bytes(row.media_bytes), due_on=row.due_day.date,
        commitment=base64_text(row.commitment), restricted=row.restricted, channels=row.plain["channels"] or 1,
        encryption=row.plain["encryption"] or "provider", key_id=row.plain["key_id"],
    )  # fmt: skip
