"""Erasures: asked for here, taken by the worker, followed level by level."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED
from msgspec import Meta

from sealwire.custody import erasure as erasing
from sealwire.custody.backups.presence import is_gone_from, oldest_begun
from sealwire.custody.categories import BY_NAME
from sealwire.custody.erasure import ErasedMeanwhile, Erasure, ErasureMissing, Ground, TooManyRecords
from sealwire.custody.holds import RecordsHeld, Restricted
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.requests import IndexRebuilding
from sealwire.custody.requests.by_number import TooManyAboutNumber, erase_number, preview_number
from sealwire.custody.requests.sorting import NothingHeld
from sealwire.custody.resealing import ChangedMeanwhile
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.confirming import MuchAtOnce, require_confirmation
from sealwire.doors.api.fields import (
    CallIdText,
    ErasureIdText,
    ErasurePath,
    IdempotencyKey,
    Moment,
    NextCursor,
    NumberText,
    RecordIdText,
    id_in_address,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, cut_page, read_cursor
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.previews import ErasurePreview, preview_of
from sealwire.doors.api.problems import CursorMalformed, IdMalformed, certificate_address
from sealwire.errors import Malformed, Refused, Unavailable
from sealwire.governance.principals import Scope
from sealwire.ground.clock import today
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import E164, CallId, Day, ErasureId, Party, RecordId

GroundText = Annotated[
    Literal["subject-request", "instruction"],
    Meta(
        description="A data subject asked (Art. 17), or the controller instructs (Art. 28(3)(a)).",
        examples=["subject-request"],
    ),
]
RecordIds = Annotated[list[RecordIdText], Meta(description="Record ids, 1 to 10,000.", min_length=1, max_length=10_000)]

ConfirmationText = Annotated[
    str,
    Meta(
        description="The word from a `much-at-once` answer to the same request.",
        examples=["1795489200-5f0c1e2d9a7b4c6e8f10213243546576"],
        max_length=60,
    ),
]


class EraseOneThing(Malformed):
    """Say what to erase in exactly one way: `call`, `records`, `number` or `day`."""


class CategoryUnknown(Malformed):
    """There is no such category; GET /v1/inventory lists them."""


class StatutoryRecord(Refused):
    """A statute obliges the operator to keep these records until they are due, so they are not erased before."""


class DayNotOver(Refused):
    """This day is not over, and erasing it would stop the service until midnight UTC; erase its records or wait."""


class DayAlreadyErased(Refused):
    """This day of this category was erased before; nothing new was asked for."""


class DayOfCategory(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A whole UTC day of one category."""

    category: Annotated[str, Meta(description="As in the inventory.", examples=["recording"], max_length=40)]
    day: Annotated[dt.date, Meta(description="The day their retention clock started.", examples=["2026-11-23"])]


class NumberToErase(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A number, and why it would be erased."""

    ground: GroundText
    number: NumberText


class NewErasure(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to erase (one of `call`, `records`, `number`, `day`) and why."""

    ground: GroundText
    call: CallIdText | None = None
    records: RecordIds | None = None
    number: NumberText | None = None
    day: DayOfCategory | None = None
    confirmation: ConfirmationText | None = None


class Level(msgspec.Struct, kw_only=True):
    """One level of an erasure."""

    reached: bool
    at: Annotated[
        dt.datetime | None, Meta(description="When it was reached.", examples=["2026-11-23T11:30:00.412Z"])
    ] = None
    by: Annotated[dt.date | None, Meta(description="By when it will be, at the latest.", examples=[None])] = None


class Levels(msgspec.Struct, kw_only=True):
    """How far the erasure has come; each level stronger than the one before."""

    hidden: Annotated[Level, Meta(description="The API answers 410.")]
    unreadable: Annotated[
        Level, Meta(description="The keys are destroyed: the content of every copy, backups included, is noise.")
    ]
    removed: Annotated[Level, Meta(description="The ciphertext is gone and the stores are compacted.")]
    gone_from_backups: Annotated[
        Level,
        Meta(
            description="No backup in the backups folder was begun before the ciphertext was removed. Copies elsewhere "
            "are the operator's to destroy by the day that is named."
        ),
    ]


class ErasureSeen(msgspec.Struct, kw_only=True):
    """One erasure and how far it has come."""

    id: ErasureIdText
    ground: Annotated[str, Meta(description="subject-request, instruction or retention.", examples=["subject-request"])]
    requested_by: Annotated[
        str, Meta(description="The credential, or the timetable.", examples=["cred_5f0c1e2d9a7b4c6e8f10213243546576"])
    ]
    requested_at: Moment
    state: Annotated[str, Meta(description="hidden, unreadable or removed.", examples=["unreadable"])]
    levels: Levels
    waits_for: Annotated[
        str | None,
        Meta(
            description="Which of the key holders have signed, while not all have: until then nothing is certified.",
            examples=["pending (2/3 holders)"],
        ),
    ] = None
    counts: Annotated[
        dict[str, dict[str, int]] | None,
        Meta(
            description="Of an erasure by number, by category: what went whole (`erased`), stays for another party "
            "without it (`without_the_person`), is held, or is kept by law without it (`kept_by_law`).",
            examples=[{"erased": {"call-record": 2}, "without_the_person": {}, "held": {}, "kept_by_law": {}}],
        ),
    ] = None  # fmt: skip
    certificate: Annotated[
        str | None,
        Meta(
            description="Where the certificate is; null until the records are unreadable.",
            examples=["/v1/certificates/ers_5f0c1e2d9a7b4c6e8f10213243546576"],
        ),
    ]


class ErasurePage(msgspec.Struct, kw_only=True):
    """A page of erasures, newest first."""

    items: list[ErasureSeen]
    next_cursor: NextCursor


@post(
    "/v1/erasures",
    status_code=HTTP_202_ACCEPTED,
    **operation(
        "create-erasure", "Erasures", Scope.ERASE, summary="Erase records",
        body={"ground": "subject-request", "call": "call_5f0c1e2d9a7b4c6e8f10213243546576"},
        raises=(
            EraseOneThing, CategoryUnknown, StatutoryRecord, DayNotOver, DayAlreadyErased, TooManyRecords,
            RecordMissing, RecordErased, RecordsHeld, ErasedMeanwhile, ChangedMeanwhile, NothingHeld,
            Restricted, TooManyAboutNumber, MuchAtOnce, IndexRebuilding, IdempotencyConflict, IdempotencyKeyMalformed,
            Malformed, Unavailable,
        ),
    ),
)  # fmt: skip
async def create_erasure(
    here: Here, data: JSONBody[NewErasure], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[ErasureSeen]:
    """Hidden when this answers, unreadable within seconds, removed within a day, gone from backups at the end of
    their cycle. Named records go whole, a call with its recordings; naming one that a statute protects is refused. By
    number it is as for an erasure request of its subject: what is theirs goes, what another party has too is sealed
    anew without the number, what a statute protects loses it, what is held stays; `counts` says how much of each.
    More than a thousand records at once (the operator's setting) are asked about: 409 `much-at-once` with a word, and
    the same again with that word, after a minute and within an hour, is carried out.
    """
    named = [name for name in ("call", "records", "number", "day") if getattr(data, name) is not None]
    if len(named) != 1:
        raise EraseOneThing
    once = await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(here.account) as connection:
        if (seen := await once.seen(connection, here.account)) is not None:
            found = await erasing.find(connection, here.account, ErasureId.parse(seen))
            return _accepted(found, await _oldest_backup(here), REPLAYED)
    if data.number is not None:
        erasure = await _erase_number(here, data, data.number, once)
    else:
        records = await _records(here, data)
        _require_agreed(here, data, len(records))
        async with here.parts.database.account(here.account) as connection:
            erasure = await _request(here, connection, data, records)
            await once.remember(connection, here.account, str(erasure))
    async with here.parts.database.account(here.account) as connection:
        found = await erasing.find(connection, here.account, erasure)
    return _accepted(found, await _oldest_backup(here), {})


@post(
    "/v1/erasures/preview",
    status_code=HTTP_200_OK,
    **operation(
        "preview-erasure", "Erasures", Scope.ERASE, summary="See what erasing a number would do",
        body={"ground": "subject-request", "number": "+441632960123"},
        raises=(NothingHeld, Restricted, IndexRebuilding, Malformed, Unavailable),
    ),
)  # fmt: skip
async def preview_erasure(here: Here, data: JSONBody[NumberToErase]) -> ErasurePreview:
    """What would go, what would stay without the number, what is held, and what a law keeps. Changes nothing; what is
    looked at stands in the log.
    """
    number, ground = Party(E164.parse(data.number).text), Ground(data.ground)
    return preview_of(await preview_number(here.parts.custody, here.principal, number, ground=ground))


@get(
    "/v1/erasures",
    **operation("list-erasures", "Erasures", Scope.READ, summary="List erasures", raises=(CursorMalformed,)),
)
async def list_erasures(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> ErasurePage:
    """Newest first, those of the timetable (expired days) included."""
    before = read_cursor("erasures", cursor)
    rows = await erasing.page(here.parts.database, here.account, before=before, limit=limit + 1)
    page, next_cursor = cut_page(
        "erasures", rows, limit=limit, position=lambda row: (row.requested_at, row.erasure.value)
    )
    oldest = await _oldest_backup(here)
    return ErasurePage(items=[_seen(row, oldest) for row in page], next_cursor=next_cursor)


@get(
    "/v1/erasures/{erasure_id:str}",
    **operation(
        "get-erasure", "Erasures", Scope.READ, summary="Follow an erasure", raises=(ErasureMissing, IdMalformed)
    ),
)
async def get_erasure(here: Here, erasure_id: ErasurePath) -> ErasureSeen:
    """How far it has come, level by level, each with its own time."""
    wanted = id_in_address(ErasureId, erasure_id)
    async with here.parts.database.account(here.account) as connection:
        found = await erasing.find(connection, here.account, wanted)
    waits_for = await _pending(here, found) if found.unreadable_at is None else None
    return msgspec.structs.replace(_seen(found, await _oldest_backup(here)), waits_for=waits_for)


async def _pending(here: Visit, found: Erasure) -> str | None:
    """What the keeper says of it; nothing when the keeper does not answer: the erasure's own row stands."""
    try:
        return await here.parts.custody.keeper.pending(str(found.erasure))
    except Unavailable:
        return None


async def _records(here: Visit, data: NewErasure) -> list[StoredRecord]:
    """The living records that are meant, without those a statute protects; none for a day."""
    custody = here.parts.custody
    if data.records is not None:
        wanted = list(dict.fromkeys(RecordId.parse(text) for text in data.records))
        named = await custody.find(here.account, wanted)
        if any(row.category.survives_closure for row in named):
            raise StatutoryRecord
        return named
    if data.call is not None:
        found = await custody.of_call(here.account, CallId.parse(data.call))
    else:
        return []
    return [row for row in found if row.category.is_detachable or not row.category.survives_closure]


def _require_agreed(here: Visit, data: NewErasure, records: int) -> None:
    require_confirmation(here, msgspec.structs.replace(data, confirmation=None), data.confirmation, records)


async def _erase_number(here: Visit, data: NewErasure, number: str, once: Once) -> ErasureId:
    async def remember(connection: Connection, erasure: ErasureId) -> None:
        await once.remember(connection, here.account, str(erasure))

    return await erase_number(
        here.parts.custody, here.principal, Party(E164.parse(number).text), ground=Ground(data.ground),
        backup_cycle_days=here.parts.settings.backup_cycle_days, with_row=remember,
        agreed=lambda records: _require_agreed(here, data, records),
    )  # fmt: skip


async def _request(here: Visit, connection: Connection, data: NewErasure, records: list[StoredRecord]) -> ErasureId:
    by, ground = str(here.principal.credential), Ground(data.ground)
    cycle, clock = here.parts.settings.backup_cycle_days, here.parts.clock
    if data.day is None:
        return await erasing.request_records(
            connection, here.account, records, ground=ground, requested_by=by, backup_cycle_days=cycle, clock=clock
        )
    category = BY_NAME.get(data.day.category)
    if category is None:
        raise CategoryUnknown
    if category.survives_closure:
        raise StatutoryRecord
    day = Day.of(dt.datetime.combine(data.day.day, dt.time(), dt.UTC))
    if day >= today(clock):
        raise DayNotOver
    there = await connection.fetchval(statements(category).records_of_day, here.account.value, 0, int(day))
    _require_agreed(here, data, there)
    asked = await erasing.request_day(
        connection, here.account, category, day, retention_class=0, ground=ground, requested_by=by,
        backup_cycle_days=cycle, clock=clock,
    )  # fmt: skip
    if asked is None:
        raise DayAlreadyErased
    return asked


async def _oldest_backup(here: Visit) -> dt.datetime | None:
    return await asyncio.to_thread(oldest_begun, here.parts.settings.backups_dir)


def _accepted(found: Erasure, oldest_backup: dt.datetime | None, headers: dict[str, str]) -> Response[ErasureSeen]:
    return Response(
        _seen(found, oldest_backup),
        status_code=HTTP_202_ACCEPTED,
        headers=headers | {"Location": f"/v1/erasures/{found.erasure}"},
    )


def _seen(row: Erasure, oldest_backup: dt.datetime | None) -> ErasureSeen:
    levels = Levels(
        hidden=Level(reached=True, at=row.requested_at),
        unreadable=Level(reached=row.unreadable_at is not None, at=row.unreadable_at),
        removed=Level(reached=row.removed_at is not None, at=row.removed_at),
        gone_from_backups=Level(reached=is_gone_from(oldest_backup, row.removed_at), by=row.gone_from_backups_by),
    )
    return ErasureSeen(
        id=str(row.erasure), ground=row.ground.value, requested_by=row.requested_by, requested_at=row.requested_at,
        state=row.state, levels=levels, counts=row.counts,
        certificate=certificate_address(str(row.erasure)) if row.certificate is not None else None,
    )  # fmt: skip
