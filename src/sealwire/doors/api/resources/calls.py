"""Call records: listed without content, opened one by one for a purpose."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.categories.codec import as_json
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    CallIdText,
    CallPath,
    Commitment,
    DueOn,
    IsRestricted,
    Moment,
    NextCursor,
    NumberText,
    PurposeHeader,
    PurposeText,
    RecordIdText,
    base64_text,
    id_in_address,
)
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.records import OPENING, find_one, open_one, page_of
from sealwire.governance.principals import Scope
from sealwire.vocabulary import CallId, RecordId

CALLS = category_of(CallRecord)


class CallSeen(msgspec.Struct, kw_only=True):
    """A call record without its content."""

    id: RecordIdText
    call_id: CallIdText
    direction: Annotated[str, Meta(examples=["in"])]
    started_at: Moment
    answered_at: Moment | None
    ended_at: Moment
    hangup_cause: Annotated[str, Meta(description="Why it ended, by name.", examples=["normal"])]
    hangup_code: Annotated[int, Meta(description="The same as ITU-T Q.850 numbers it; ours from 200.", examples=[16])]
    due_on: DueOn
    commitment: Commitment
    restricted: IsRestricted = False


class CallPage(msgspec.Struct, kw_only=True):
    """A page of call records, newest first."""

    items: list[CallSeen]
    next_cursor: NextCursor


class CallContent(msgspec.Struct, kw_only=True):
    """What was sealed in a call record."""

    caller: NumberText
    callee: NumberText
    digits: Annotated[str, Meta(description="The digits pressed (DTMF).", examples=["5"])]


class OpenedCall(msgspec.Struct, kw_only=True):
    """An opened call record."""

    id: RecordIdText
    call_id: CallIdText
    purpose: PurposeText
    content: CallContent


@get("/v1/calls", **operation("list-calls", "Calls", Scope.READ, summary="List calls", raises=(CursorMalformed,)))
async def list_calls(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> CallPage:
    """Newest first, and without content: who called whom is sealed, and a list opens nothing."""
    page, next_cursor = await page_of(here, CALLS, kind="calls", cursor=cursor, limit=limit)
    return CallPage(items=[_seen(row) for row in page], next_cursor=next_cursor)


@get(
    "/v1/calls/{call_id:str}",
    **operation(
        "get-call", "Calls", Scope.READ, summary="Look at a call", raises=(RecordMissing, RecordErased, IdMalformed)
    ),
)
async def get_call(here: Here, call_id: CallPath) -> CallSeen:
    """Without content. Once erased it answers 410 under either id."""
    return _seen(await _find(here, call_id))


@get(
    "/v1/calls/{call_id:str}/content",
    **operation(
        "open-call", "Calls", Scope.OPEN, summary="Open a call record",
        raises=OPENING,
    ),
)  # fmt: skip
async def open_call(here: Here, call_id: CallPath, purpose: PurposeHeader = None) -> OpenedCall:
    """Writes who opens it, and why, into the account's log first; if that cannot be written, nothing is opened."""
    stated = here.principal.purpose(purpose)
    stored = await _find(here, call_id)
    opened = await open_one(here, stored, purpose=stated)
    content = {name: as_json(value) for name, value in opened.content.reveal().items()}
    return OpenedCall(
        id=str(stored.record), call_id=str(stored.plain["call_id"]), purpose=stated.value,
        content=msgspec.convert(content, CallContent),
    )  # fmt: skip


async def _find(here: Visit, address: str) -> StoredRecord:
    is_call = address.startswith(f"{CallId.prefix}_")
    record = RecordId(id_in_address(CallId, address).value) if is_call else id_in_address(RecordId, address)
    return await find_one(here, CALLS, record)


def _seen(row: StoredRecord) -> CallSeen:
    plain = row.plain
    return CallSeen(
        id=str(row.record), call_id=str(plain["call_id"]), direction=plain["direction"], started_at=plain["started_at"],
        answered_at=plain["answered_at"], ended_at=plain["ended_at"], hangup_cause=as_json(plain["hangup_cause"]),
        hangup_code=int(plain["hangup_cause"]), due_on=row.due_day.date, commitment=base64_text(row.commitment),
        restricted=row.restricted,
    )  # fmt: skip
