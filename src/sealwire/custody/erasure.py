"""Asking for an erasure, and what is known of one. The steps themselves are taken by `eraser`.

An erasure has four levels, each with its own time: hidden (in the transaction of the request), unreadable (keys
destroyed, so every copy and every backup is noise), removed (ciphertext gone and stores compacted), gone from
backups (the last backup that held the ciphertext has been destroyed).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from sealwire.custody.categories import BY_CODE, CATALOGUE, Category
from sealwire.custody.holds.book import held_among, require_day_not_held, require_not_held
from sealwire.custody.resealing import Resealed, put_resealed
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord, queries
from sealwire.errors import Gone, Malformed, Missing
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.vocabulary import AccountId, CallId, Day, ErasureId, RecordId

RECORDS_PER_ERASURE_MAX = 10_000
BACKUP_MARGIN_DAYS = 7


class Ground(StrEnum):
    """Why something is erased."""

    SUBJECT_REQUEST = "subject-request"
    RETENTION = "retention"
    INSTRUCTION = "instruction"


class ErasureMissing(Missing):
    """Nothing is known under this id."""


class ErasedMeanwhile(Gone):
    """Another request erased one of these records a moment ago; look again and erase what is left."""


class TooManyRecords(Malformed):
    """One erasure takes at most 10,000 records; send several, or erase by day."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure and how far it has come."""

    account: AccountId
    erasure: ErasureId
    ground: Ground
    requested_by: str
    requested_at: dt.datetime
    state: str
    receipts: list[dict[str, Any]]
    unreadable_at: dt.datetime | None
    removed_at: dt.datetime | None
    gone_from_backups_by: dt.date
    certificate: str | None
    counts: dict[str, dict[str, int]] | None = None
    """Of an erasure by number: what became of what named it."""

    @classmethod
    def from_row(cls, row: Any) -> Erasure:
        return cls(
            AccountId(row["account_id"]), ErasureId(row["erasure_id"]), Ground(row["ground"]), row["requested_by"],
            row["requested_at"], row["state"], json.loads(row["receipts"]), row["unreadable_at"], row["removed_at"],
            row["gone_from_backups_by"], row["certificate"],
            json.loads(row["counts"]) if row["counts"] else None,
        )  # fmt: skip


async def request_records(
    connection: Connection,
    account: AccountId,
    records: list[StoredRecord],
    *,
    ground: Ground,
    requested_by: str,
    backup_cycle_days: int,
    clock: Clock,
    resealed: Sequence[Resealed] = (),
) -> ErasureId:
    """Hide these records in the caller's transaction and hand them to the eraser; `resealed` stay, in new slots."""
    if not records and not resealed:
        raise Missing("nothing living matches, so there is nothing to erase")
    if len(records) + len(resealed) > RECORDS_PER_ERASURE_MAX:
        raise TooManyRecords
    request = _Request(ErasureId.new(), ground, requested_by, backup_cycle_days, clock)
    erasure = request.erasure
    await connection.execute(queries.wait_for_keeps, account.value)
    await require_not_held(connection, account, [*records, *(one.before for one in resealed)])
    records = await _where_they_are_now(connection, account, records)
    await _open_erasure(connection, account, request)
    anew = await put_resealed(connection, account, erasure, resealed)
    detached = await _detach(connection, account, erasure, records)
    records = [row for row in records if not row.category.is_detachable]
    hidden = await connection.fetch(
        queries.insert_gone, account.value, erasure.value,
        [row.record.value for row in records], [row.category.code for row in records],
        [row.retention_class for row in records], [int(row.day) for row in records],
        [row.slot for row in records], [row.commitment for row in records], [_call_of(row) for row in records],
    )  # fmt: skip
    if len(hidden) < len(records):
        raise ErasedMeanwhile
    mentions = [row.record for row in records] + await _hide_rest_of_calls(connection, account, erasure, records)
    mentions += await _hide_runs(connection, account, erasure, records)
    mentions += await _hide_contents(connection, account, erasure, records)
    mentions += anew + detached + await _hide_extracts(connection, account, erasure)
    await _announce(connection, account, request, mentions=mentions)
    return erasure


async def _where_they_are_now(
    connection: Connection, account: AccountId, records: list[StoredRecord]
) -> list[StoredRecord]:
    """The same records in the slots in which they are under the lock: one may have been sealed anew since."""
    places: dict[UUID, Any] = {}
    for category in {row.category for row in records if row.category.is_resealable}:
        wanted = [row.record.value for row in records if row.category is category]
        rows = await connection.fetch(statements(category).places, account.value, wanted)
        places |= {row["record_id"]: row for row in rows}
    return [
        replace(row, slot=place["slot"], commitment=place["commitment"])
        if (place := places.get(row.record.value)) is not None
        else row
        for row in records
    ]


async def request_day(
    connection: Connection,
    account: AccountId,
    category: Category,
    day: Day,
    *,
    retention_class: int,
    ground: Ground,
    requested_by: str,
    backup_cycle_days: int,
    clock: Clock,
) -> ErasureId | None:
    """Hide a whole day of a category with one row; None when that day was hidden before.

    Reports made with content go too, as each may hold that day; what expires leaves them: they
    are due themselves when the first of their records is.
    """
    request = _Request(ErasureId.new(), ground, requested_by, backup_cycle_days, clock)
    erasure = request.erasure
    await connection.execute(queries.wait_for_keeps, account.value)
    await require_day_not_held(
        connection, account, category=category.code, retention_class=retention_class, day=int(day)
    )
    row = await connection.fetchrow(
        queries.insert_gone_day, account.value, category.code, retention_class, int(day), erasure.value
    )
    if row is None:
        return None
    for passing in CATALOGUE if category.identified_by == "call_id" else ():
        if passing.passing:  # the same calls while they were up
            await connection.execute(
                queries.insert_gone_day, account.value, passing.code, retention_class, int(day), erasure.value
            )
    await _open_erasure(connection, account, request)
    takes_reports = ground is not Ground.RETENTION and not category.is_extract
    mentions = await _hide_extracts(connection, account, erasure) if takes_reports else []
    await _announce(connection, account, request, mentions=mentions)
    return erasure


async def request_owed(
    connection: Connection,
    account: AccountId,
    rows: Mapping[int, list[Any]],
    *,
    ground: Ground,
    requested_by: str,
    backup_cycle_days: int,
    clock: Clock,
) -> ErasureId:
    """Hide what outlived its day because it was held, now that nothing holds it; rows by category code."""
    request = _Request(ErasureId.new(), ground, requested_by, backup_cycle_days, clock)
    await _open_erasure(connection, account, request)
    mentions: list[RecordId] = []
    for code, of_one in rows.items():
        mentions += await _insert_gone(connection, account, request.erasure, BY_CODE[code], of_one)
    await _announce(connection, account, request, mentions=mentions)
    return request.erasure


async def _detach(
    connection: Connection, account: AccountId, erasure: ErasureId, records: list[StoredRecord]
) -> list[RecordId]:
    """What stays without its person: the bills of calls and messages that go whole, and of a number by themselves."""
    calls = [call for row in records if _is_whole_call(row) and (call := _call_of(row))]
    messages = [row.record.value for row in records if row.category.identified_by == "message_id"]
    named = [row.record.value for row in records if row.category.is_detachable]
    detached: list[RecordId] = []
    for category in CATALOGUE:
        if not category.is_detachable:
            continue
        rows = await connection.fetch(statements(category).linked, account.value, calls, messages, named)
        rows = await _not_held(connection, account, category, rows)
        put = await connection.fetch(
            queries.insert_detached, account.value, erasure.value, category.code, [row["record_id"] for row in rows],
            [row["retention_class"] for row in rows], [row["day"] for row in rows], [row["slot"] for row in rows],
            [row["commitment"] for row in rows],
        )  # fmt: skip
        detached += [RecordId(row["record_id"]) for row in put]
    if len(detached) < len(named):
        raise ErasedMeanwhile
    return detached


async def _hide_extracts(connection: Connection, account: AccountId, erasure: ErasureId) -> list[RecordId]:
    """Reports that were made with content: each may hold what is erased now, and none can be searched."""
    hidden: list[RecordId] = []
    for category in CATALOGUE:
        rows = await connection.fetch(statements(category).extracts, account.value) if category.is_extract else []
        hidden += await _insert_gone(connection, account, erasure, category, rows)
    return hidden


async def _insert_gone(
    connection: Connection, account: AccountId, erasure: ErasureId, category: Category, rows: list[Any]
) -> list[RecordId]:
    rows = await _not_held(connection, account, category, rows)
    hidden = await connection.fetch(
        queries.insert_gone, account.value, erasure.value, [row["record_id"] for row in rows],
        [category.code] * len(rows), [row["retention_class"] for row in rows], [row["day"] for row in rows],
        [row["slot"] for row in rows], [row["commitment"] for row in rows], [row.get("call_id") for row in rows],
    )  # fmt: skip
    return [RecordId(row["record_id"]) for row in hidden]


async def _not_held(connection: Connection, account: AccountId, category: Category, rows: list[Any]) -> list[Any]:
    """What goes along with something else goes only when no hold keeps it; who asks for it by name is refused."""
    places: Any = [_Place(RecordId(row["record_id"]), category, row["retention_class"], row["day"]) for row in rows]
    held = await held_among(connection, account, places) if places else set()
    return [row for row in rows if RecordId(row["record_id"]) not in held]


@dataclass(frozen=True, slots=True)
class _Place:
    """As much of a record as a hold asks about."""

    record: RecordId
    category: Category
    retention_class: int
    day: int


async def _hide_rest_of_calls(
    connection: Connection, account: AccountId, erasure: ErasureId, records: list[StoredRecord]
) -> list[RecordId]:
    """Where a whole call goes: its live record (still there, or let go), and audio of it that is being spoken."""
    calls = list({call for row in records if _is_whole_call(row) and (call := _call_of(row)) is not None})
    rows = await connection.fetch(queries.insert_gone_of_calls, account.value, erasure.value, calls)
    hidden = [RecordId(row["record_id"]) for row in rows]
    for category in CATALOGUE:
        if not category.passing:
            continue
        rows = await connection.fetch(statements(category).by_calls, account.value, calls)
        hidden += await _insert_gone(connection, account, erasure, category, rows)
    return hidden


async def _hide_runs(
    connection: Connection, account: AccountId, erasure: ErasureId, records: list[StoredRecord]
) -> list[RecordId]:
    """Where a leg goes whole: what the application that drove it was told and noted, which may name its party."""
    wanted = (row.plain.get("application_id") for row in records if _is_whole_call(row))
    runs = list({run.value for run in wanted if run is not None})
    hidden: list[RecordId] = []
    for category in CATALOGUE:
        if category.identified_by == "application_id" and runs:
            rows = await connection.fetch(statements(category).by_ids, account.value, runs)
            # without its call: that may have other legs, which stay
            hidden += await _insert_gone(
                connection, account, erasure, category, [{**row, "call_id": None} for row in rows]
            )
    return hidden


async def _hide_contents(
    connection: Connection, account: AccountId, erasure: ErasureId, records: list[StoredRecord]
) -> list[RecordId]:
    """Where a message goes by its record: what was written in it, which is a record of its own."""
    messages = [row.record.value for row in records if row.category.identified_by == "message_id"]
    hidden: list[RecordId] = []
    for category in CATALOGUE:
        if category.is_of_messages and not category.is_detachable and messages:
            rows = await connection.fetch(statements(category).linked, account.value, [], messages, [])
            hidden += await _insert_gone(connection, account, erasure, category, rows)
    return hidden


def _is_whole_call(row: StoredRecord) -> bool:
    """Whether the whole call goes with this record."""
    return row.category.is_whole_call


def _call_of(row: StoredRecord) -> UUID | None:
    call = row.plain.get("call_id")
    return call.value if isinstance(call, CallId) else None


async def find(connection: Connection, account: AccountId, erasure: ErasureId) -> Erasure:
    """One erasure of this account."""
    row = await connection.fetchrow(queries.find_erasure, account.value, erasure.value)
    if row is None:
        raise ErasureMissing
    return Erasure.from_row(row)


async def page(
    database: Database, account: AccountId, *, before: tuple[dt.datetime, Any] | None, limit: int
) -> list[Erasure]:
    """The account's erasures, newest first."""
    moment, erasure = before or (None, None)
    async with database.account(account) as connection:
        rows = await connection.fetch(queries.page_of_erasures, account.value, moment, erasure, limit)
    return [Erasure.from_row(row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Request:
    """Who asked for what erasure, and on which ground."""

    erasure: ErasureId
    ground: Ground
    requested_by: str
    backup_cycle_days: int
    clock: Clock


async def _open_erasure(connection: Connection, account: AccountId, request: _Request) -> None:
    now = request.clock.now()
    last_backup_ends = now.date() + dt.timedelta(days=request.backup_cycle_days + BACKUP_MARGIN_DAYS)
    await connection.execute(
        queries.insert_erasure, account.value, request.erasure.value, request.ground.value, request.requested_by,
        now, last_backup_ends,
    )  # fmt: skip


async def _announce(connection: Connection, account: AccountId, request: _Request, *, mentions: list[RecordId]) -> None:
    payload: dict[str, object] = {
        "erasure": str(request.erasure),
        "ground": request.ground.value,
        "records": len(mentions),
        "requested_by": request.requested_by,
        "at": rfc3339(request.clock.now()),
    }
    await post_event(connection, account, LeafClass.ERASURE_REQUESTED, payload, mentions=mentions)
    await connection.execute(queries.wake_worker)
