"""Recordings: listed without content, opened for a purpose, streamed as WAV."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Meta

from sealwire.custody.categories import Recording, category_of
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    CallIdText,
    Commitment,
    DueOn,
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
)
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, cut_page, read_cursor
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.resources.calls import ContentGone, only_one
from sealwire.doors.api.wav import audio_bytes, wav_header
from sealwire.errors import Malformed, Unavailable
from sealwire.governance.principals import PurposeMissing, Scope
from sealwire.vocabulary import CallId, RecordId

RECORDINGS = category_of(Recording)
OPENING = (RecordMissing, RecordErased, ContentGone, IdMalformed, PurposeMissing, Malformed, Unavailable)
CallFilter = Annotated[
    str | None,
    QueryParameter(description="Only the recordings of this call (`call_...`); then all on one page.", max_length=100),
]


class RecordingSeen(msgspec.Struct, kw_only=True):
    """A recording without its content."""

    id: RecordIdText
    call_id: CallIdText
    started_at: Moment
    duration_ms: Annotated[int, Meta(examples=[4980])]
    audio_bytes: Annotated[int, Meta(description="Size of the audio without the WAV header.", examples=[79680])]
    due_on: DueOn
    commitment: Commitment


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
    custody = here.parts.custody
    if call_id is not None:
        of_call = await custody.of_call(here.account, id_in_address(CallId, call_id))
        return RecordingPage(items=[_seen(row) for row in of_call if row.category is RECORDINGS], next_cursor=None)
    before = read_cursor("recordings", cursor)
    rows = await custody.page(here.account, RECORDINGS, before=before, limit=limit + 1)
    page, next_cursor = cut_page("recordings", rows, limit=limit, position=_position)
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
    (stored,) = await here.parts.custody.find(here.account, [id_in_address(RecordId, record_id)], category=RECORDINGS)
    return _seen(stored)


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
    opened = only_one(await here.parts.custody.open(here.principal, [record], purpose=stated, category=RECORDINGS))
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
    **operation("play-recording", "Recordings", Scope.OPEN, summary="Download the audio", raises=OPENING),
)
async def play_recording(here: Here, record_id: RecordPath, purpose: PurposeHeader = None) -> Stream:
    """A WAV file (8 kHz, 16 bit, mono), opened inside the keeper and streamed; the key never leaves the keeper.

    If the stored audio was tampered with or is erased while it streams, the connection ends before the announced
    length.
    """
    stated = here.principal.purpose(purpose)
    record = id_in_address(RecordId, record_id)
    await here.parts.custody.find(here.account, [record], category=RECORDINGS)
    stored, audio = await here.parts.custody.open_media(here.principal, record, purpose=stated)
    size = audio_bytes(stored.media_bytes)
    first = await anext(audio, b"")
    headers = {
        "Content-Length": str(44 + size),
        "Content-Disposition": f'attachment; filename="{record}.wav"',
        "Cache-Control": "no-store",
    }
    return Stream(_wav(size, first, audio), media_type="audio/wav", headers=headers)


async def _wav(size: int, first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield wav_header(size)
    yield first
    async for piece in rest:
        yield piece


def _position(row: StoredRecord) -> Position:
    return row.plain[RECORDINGS.retention.starts], row.record.value


def _seen(row: StoredRecord) -> RecordingSeen:
    return RecordingSeen(
        id=str(row.record), call_id=str(row.plain["call_id"]), started_at=row.plain["started_at"],
        duration_ms=row.plain["duration_ms"], audio_bytes=audio_bytes(row.media_bytes), due_on=row.due_day.date,
        commitment=base64_text(row.commitment),
    )  # fmt: skip
