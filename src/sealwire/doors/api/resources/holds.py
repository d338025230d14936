"""Legal holds and restrictions (GDPR Art. 18): placed, listed, extended and released; enforced by the keeper."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from sealwire.custody.categories import BY_NAME
from sealwire.custody.holds import book
from sealwire.custody.holds.book import Because, Hold, HoldMissing, Kind, Reason
from sealwire.custody.holds.meaning import DayPath, PeriodBackwards, days_of_period, records_to_hold
from sealwire.custody.holds.refusals import HoldEndsTooSoon, HoldReleased, NothingToHold, ReasonOfOtherKind, TooMuchHeld
from sealwire.custody.holds.ritual import HoldRitual, NewHold
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.requests import IndexRebuilding
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    HoldIdText,
    HoldPath,
    IdempotencyKey,
    Moment,
    MomentOrNull,
    NextCursor,
    NumberText,
    RecordIdText,
    id_in_address,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, cut_page, read_cursor
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.resources.erasures import CategoryUnknown
from sealwire.errors import Malformed, Unavailable
from sealwire.governance.principals import Scope
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import E164, Day, HoldId, RecordId

Until = Annotated[
    dt.date, Meta(description="The last day it holds. There is no hold without an end.", examples=["2030-06-30"])
]
HeldRecords = Annotated[
    list[RecordIdText], Meta(description="Record ids, 1 to 10,000.", min_length=1, max_length=10_000)
]
Reference = Annotated[
    str,
    Meta(
        description="Your own reference of the case, no name: it is kept in the clear.", examples=["4 C 17/26"],
        min_length=1, max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9 ./_:-]*$",
    ),
]  # fmt: skip
ReasonText = Literal[
    "litigation", "authority-order", "evidence-preservation", "accuracy-contested", "processing-unlawful",
    "subject-needs-it", "objection-pending",
]  # fmt: skip


class HoldOneThing(Malformed):
    """Say what to hold in exactly one way: `records`, `number` or `period`."""


class HeldPeriod(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whole days of one category, records that are still to come included."""

    category: Annotated[str, Meta(description="As in the inventory.", examples=["recording"], max_length=40)]
    first_day: Annotated[dt.date, Meta(description="The first day, UTC.", examples=["2026-11-01"])]
    last_day: Annotated[dt.date, Meta(description="The last day, UTC.", examples=["2026-11-23"])]


class HoldPlaced(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to hold (one of `records`, `number`, `period`), why, and until when."""

    kind: Annotated[
        Literal["legal-hold", "restriction"],
        Meta(
            description="A legal hold keeps what would go. A restriction (Art. 18) also refuses to open it, but for a "
            "subject request or a legal claim.",
            examples=["legal-hold"],
        ),
    ]
    reason: Annotated[
        ReasonText,
        Meta(
            description="Of a legal hold: litigation, authority-order, evidence-preservation (Regulation (EU) "
            "2023/1543). Of a restriction, as Art. 18(1) has them: accuracy-contested, processing-unlawful, "
            "subject-needs-it, objection-pending.",
            examples=["litigation"],
        ),
    ]
    until: Until
    reference: Reference | None = None
    records: HeldRecords | None = None
    number: NumberText | None = None
    period: HeldPeriod | None = None


class NewEnd(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A later last day."""

    until: Until


class ReleaseBecause(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why a hold is released."""

    because: Annotated[
        Literal["withdrawn", "ordered", "settled"],
        Meta(description="It was withdrawn, somebody ordered it, or the matter is settled.", examples=["settled"]),
    ]


class HoldSeen(msgspec.Struct, kw_only=True):
    """One hold: who, why, until when, how much."""

    id: HoldIdText
    kind: Annotated[str, Meta(examples=["legal-hold"])]
    reason: Annotated[str, Meta(examples=["litigation"])]
    reference: Annotated[str | None, Meta(examples=["4 C 17/26"])]
    until: Until
    state: Annotated[
        str,
        Meta(
            description="placing (a moment only; no erasure overtakes it), in-force, releasing or released.",
            examples=["in-force"],
        ),
    ]
    records: Annotated[int, Meta(description="How many records it holds one by one.", examples=[12])]
    days: Annotated[int, Meta(description="How many whole days of a category and class it holds.", examples=[0])]
    placed_by: Annotated[str, Meta(examples=["cred_5f0c1e2d9a7b4c6e8f10213243546576"])]
    placed_at: Moment
    released_by: Annotated[str | None, Meta(description="A credential, or the timetable.", examples=[None])]
    released_at: MomentOrNull
    released_because: Annotated[
        str | None, Meta(description="ended, withdrawn, ordered, settled or nothing-left.", examples=[None])
    ]


class HoldsInForce(msgspec.Struct, kw_only=True):
    """How much of the account is held now; what two holds hold counts twice."""

    holds: Annotated[int, Meta(examples=[1])]
    records: Annotated[int, Meta(examples=[12])]
    days: Annotated[int, Meta(examples=[0])]


class HoldPage(msgspec.Struct, kw_only=True):
    """A page of holds, newest first, and how much is held in all."""

    items: list[HoldSeen]
    next_cursor: NextCursor
    in_force: HoldsInForce


@post(
    "/v1/holds",
    **operation(
        "place-hold", "Holds", Scope.OWNER, summary="Hold records",
        body={
            "kind": "legal-hold", "reason": "litigation", "until": "2030-06-30",
            "records": ["rec_5f0c1e2d9a7b4c6e8f10213243546576"],
        },
        raises=(
            HoldOneThing, HoldEndsTooSoon, ReasonOfOtherKind, NothingToHold, TooMuchHeld, PeriodBackwards,
            CategoryUnknown, RecordMissing, RecordErased, IndexRebuilding, IdempotencyConflict,
            IdempotencyKeyMalformed, Malformed, Unavailable,
        ),
    ),
)  # fmt: skip
async def place_hold(
    here: Here, data: JSONBody[HoldPlaced], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[HoldSeen]:
    """What is held outlives its period, an erasure of its day and the closing of the account; an erasure that names it
    is refused. By number: every record in which it occurs, on either side. What was due meanwhile goes when it ends.
    """
    named = [name for name in ("records", "number", "period") if getattr(data, name) is not None]
    if len(named) != 1:
        raise HoldOneThing
    once, ritual = await Once.of(request, here, idempotency_key), _ritual(here)
    async with here.parts.database.account(here.account) as connection:
        seen = await once.seen(connection, here.account)
    if seen is not None:
        return Response(_seen(await ritual.go_on(here.account, HoldId.parse(seen))), headers=REPLAYED)
    new = NewHold(Kind(data.kind), Reason(data.reason), _day(data.until), data.reference)
    new.require_sound(here.parts.clock)
    records = await _records(here, data, new.kind)
    async with here.parts.database.account(here.account) as connection:
        days = await _days(here, connection, data)
        hold = await ritual.begin(
            connection, here.account, new, records=records, days=days, by=str(here.principal.credential)
        )
        await once.remember(connection, here.account, str(hold))
    placed = _seen(await ritual.go_on(here.account, hold))
    return Response(placed, headers={"Location": f"/v1/holds/{hold}"})


@get(
    "/v1/holds",
    **operation("list-holds", "Holds", Scope.OWNER, summary="List holds", raises=(CursorMalformed,)),
)
async def list_holds(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> HoldPage:
    """Newest first, those that were released included."""
    before = read_cursor("holds", cursor)
    rows = await book.page(here.parts.database, here.account, before=before, limit=limit + 1)
    page, next_cursor = cut_page("holds", rows, limit=limit, position=lambda row: (row.placed_at, row.hold.value))
    counts = await book.counts(here.parts.database, here.account)
    in_force = HoldsInForce(holds=counts.holds, records=counts.records, days=counts.days)
    return HoldPage(items=[_seen(row) for row in page], next_cursor=next_cursor, in_force=in_force)


@get(
    "/v1/holds/{hold_id:str}",
    **operation("get-hold", "Holds", Scope.OWNER, summary="Look at a hold", raises=(HoldMissing, IdMalformed)),
)
async def get_hold(here: Here, hold_id: HoldPath) -> HoldSeen:
    """Who placed it, why, until when, and what became of it."""
    wanted = id_in_address(HoldId, hold_id)
    async with here.parts.database.account(here.account) as connection:
        return _seen(await book.find(connection, here.account, wanted))


@post(
    "/v1/holds/{hold_id:str}/extend",
    status_code=HTTP_200_OK,
    **operation(
        "extend-hold", "Holds", Scope.OWNER, summary="Extend a hold", body={"until": "2031-06-30"},
        raises=(HoldMissing, HoldEndsTooSoon, HoldReleased, IdMalformed, Malformed, Unavailable),
    ),
)  # fmt: skip
async def extend_hold(here: Here, data: JSONBody[NewEnd], hold_id: HoldPath) -> HoldSeen:
    """A later last day, as when a preservation order is prolonged. An earlier one is refused: release it instead."""
    wanted, ritual = id_in_address(HoldId, hold_id), _ritual(here)
    async with here.parts.database.account(here.account) as connection:
        await ritual.begin_extending(connection, here.account, wanted, _day(data.until))
    return _seen(await ritual.go_on(here.account, wanted))


@post(
    "/v1/holds/{hold_id:str}/release",
    status_code=HTTP_200_OK,
    **operation(
        "release-hold", "Holds", Scope.OWNER, summary="Release a hold", body={"because": "settled"},
        raises=(HoldMissing, IdMalformed, Malformed, Unavailable),
    ),
)  # fmt: skip
async def release_hold(here: Here, data: JSONBody[ReleaseBecause], hold_id: HoldPath) -> HoldSeen:
    """What was due meanwhile, and no other hold holds, goes now: by an erasure of its own, with its own certificate."""
    wanted, ritual = id_in_address(HoldId, hold_id), _ritual(here)
    async with here.parts.database.account(here.account) as connection:
        await ritual.begin_releasing(
            connection, here.account, wanted, because=Because(data.because), by=str(here.principal.credential)
        )
    return _seen(await ritual.go_on(here.account, wanted))


async def _records(here: Visit, data: HoldPlaced, kind: Kind) -> list[StoredRecord]:
    custody = here.parts.custody
    if data.records is not None:
        return await custody.find(here.account, list(dict.fromkeys(RecordId.parse(text) for text in data.records)))
    if data.number is not None:
        return await records_to_hold(custody, here.principal, E164.parse(data.number), kind)
    return []


async def _days(here: Visit, connection: Connection, data: HoldPlaced) -> list[DayPath]:
    if data.period is None:
        return []
    category = BY_NAME.get(data.period.category)
    if category is None:
        raise CategoryUnknown
    return await days_of_period(connection, here.account, category, data.period.first_day, data.period.last_day)


def _day(date: dt.date) -> Day:
    return Day.of(dt.datetime.combine(date, dt.time(), dt.UTC))


def _ritual(here: Visit) -> HoldRitual:
    parts = here.parts
    return HoldRitual(
        database=parts.database, keeper=parts.custody.keeper, clock=parts.clock,
        backup_cycle_days=parts.settings.backup_cycle_days,
    )  # fmt: skip


def _seen(row: Hold) -> HoldSeen:
    because = row.released_because
    return HoldSeen(
        id=str(row.hold), kind=row.kind.value, reason=row.reason.value, reference=row.reference,
        until=row.until.date, state=row.state, records=row.records, days=row.days, placed_by=row.placed_by,
        placed_at=row.placed_at, released_by=row.released_by, released_at=row.released_at,
        released_because=None if because is None else because.value,
    )  # fmt: skip
