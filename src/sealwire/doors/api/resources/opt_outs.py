"""Opt-outs: who wants no more messages. Listed without content, opened for a purpose, added, erased."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.custody.categories import OptOut, category_of
from sealwire.custody.erasure import ErasedMeanwhile, Ground, request_records
from sealwire.custody.holds import RecordsHeld
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    DueOn,
    IdempotencyKey,
    IsRestricted,
    Moment,
    NextCursor,
    NumberText,
    PurposeHeader,
    PurposeText,
    RecordIdText,
    RecordPath,
    id_in_address,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.records import OPENING, find_one, open_one, page_of
from sealwire.errors import Malformed, Unavailable
from sealwire.governance.agreements import NoAgreement
from sealwire.governance.principals import Scope
from sealwire.vocabulary import E164, Party, RecordId

OPT_OUTS = category_of(OptOut)
SenderText = Annotated[
    str,
    Meta(
        description="Whose messages: one of the account's numbers or names.", examples=["+441632960100"], max_length=40
    ),
]
Wanted = Annotated[bool, Meta(description="False: no more messages. True: wanted again.", examples=[False])]


class NewOptOut(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What somebody said in another way than by a message."""

    sender: SenderText
    person: NumberText
    wanted: Wanted = False


class OptOutSeen(msgspec.Struct, kw_only=True):
    """An opt-out without the numbers. The last one of a pair counts."""

    id: RecordIdText
    said_at: Moment
    wanted: Wanted
    due_on: DueOn
    restricted: IsRestricted = False


class OptOutPage(msgspec.Struct, kw_only=True):
    """A page of opt-outs, newest first."""

    items: list[OptOutSeen]
    next_cursor: NextCursor


class OpenedOptOut(msgspec.Struct, kw_only=True):
    """An opened opt-out."""

    id: RecordIdText
    purpose: PurposeText
    sender: SenderText
    person: NumberText
    wanted: Wanted


@get(
    "/v1/opt-outs",
    **operation("list-opt-outs", "Messages", Scope.READ, summary="List opt-outs", raises=(CursorMalformed,)),
)
async def list_opt_outs(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> OptOutPage:
    """Newest first, and without numbers."""
    page, next_cursor = await page_of(here, OPT_OUTS, kind="opt-outs", cursor=cursor, limit=limit)
    return OptOutPage(items=[_seen(row) for row in page], next_cursor=next_cursor)


@post(
    "/v1/opt-outs",
    **operation(
        "add-opt-out", "Messages", Scope.MESSAGES, summary="Note an opt-out",
        raises=(IdempotencyConflict, IdempotencyKeyMalformed, NoAgreement, Malformed, Unavailable),
        body={"sender": "+441632960100", "person": "+441632960123", "wanted": False},
    ),
)  # fmt: skip
async def add_opt_out(
    here: Here, data: JSONBody[NewOptOut], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[OptOutSeen]:
    """For what somebody said by telephone or letter; what they say by message is noted by itself."""
    account, once = here.account, await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(account) as connection:
        before = await once.seen(connection, account)
    if before is not None:
        return Response(_seen(await find_one(here, OPT_OUTS, RecordId.parse(before))), headers=REPLAYED)
    sender = data.sender if any(character.isalpha() for character in data.sender) else E164.parse(data.sender).text
    person = E164.parse(data.person)
    kept = await here.parts.opt_outs.note(
        account, sender=Party(sender), recipient=Party(person.text), wanted=data.wanted
    )
    async with here.parts.database.account(account) as connection:
        await once.remember(connection, account, str(kept.record))
    return Response(_seen(await find_one(here, OPT_OUTS, kept.record)))


@get(
    "/v1/opt-outs/{record_id:str}/content",
    **operation(
        "open-opt-out", "Messages", Scope.OPEN, summary="Open an opt-out",
        raises=OPENING,
    ),
)  # fmt: skip
async def open_opt_out(here: Here, record_id: RecordPath, purpose: PurposeHeader = None) -> OpenedOptOut:
    """Who wants no messages from whom; written into the account's log first."""
    stated = here.principal.purpose(purpose)
    stored = await find_one(here, OPT_OUTS, id_in_address(RecordId, record_id))
    opened = (await open_one(here, stored, purpose=stated)).content.reveal()
    return OpenedOptOut(
        id=str(stored.record), purpose=stated.value, sender=str(opened["sender"]), person=str(opened["recipient"]),
        wanted=stored.plain["wanted"],
    )  # fmt: skip


@delete(
    "/v1/opt-outs/{record_id:str}",
    **operation(
        "erase-opt-out", "Messages", Scope.ERASE, summary="Erase an opt-out",
        raises=(RecordMissing, RecordErased, RecordsHeld, ErasedMeanwhile, IdMalformed),
    ),
)  # fmt: skip
async def erase_opt_out(here: Here, record_id: RecordPath) -> None:
    """As if it had not been said, by a real erasure (`/v1/erasures` shows it). To note a new wish, add one instead."""
    stored = await find_one(here, OPT_OUTS, id_in_address(RecordId, record_id))
    parts, account = here.parts, here.account
    async with parts.database.account(account) as connection:
        await request_records(
            connection, account, [stored], ground=Ground.INSTRUCTION, requested_by=str(here.principal.credential),
            backup_cycle_days=parts.settings.backup_cycle_days, clock=parts.clock,
        )  # fmt: skip
    await parts.opt_outs.changed(account)


def _seen(row: StoredRecord) -> OptOutSeen:
    return OptOutSeen(
        id=str(row.record),
        said_at=row.plain["said_at"],
        wanted=row.plain["wanted"],
        due_on=row.due_day.date,
        restricted=row.restricted,
    )
