"""What is known of holds, and who must ask: erasures before they hide, searches for what no index finds any more."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sealwire.custody.store import StoredRecord
from sealwire.errors import Missing, Refused, Unavailable
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, Day, HoldId, RecordId

queries = load_queries(__package__)
NAMED_MAX = 5


class Kind(StrEnum):
    """A legal hold keeps; a restriction (GDPR Art. 18) also refuses to open."""

    LEGAL_HOLD = "legal-hold"
    RESTRICTION = "restriction"


class Reason(StrEnum):
    """Why something is held: a closed list. A case's own reference stands beside it."""

    LITIGATION = "litigation"
    AUTHORITY_ORDER = "authority-order"
    EVIDENCE_PRESERVATION = "evidence-preservation"
    ACCURACY_CONTESTED = "accuracy-contested"
    PROCESSING_UNLAWFUL = "processing-unlawful"
    SUBJECT_NEEDS_IT = "subject-needs-it"
    OBJECTION_PENDING = "objection-pending"
    RESTORED = "restored"
    """Nobody chooses it: the keeper held, and the rows that said why were lost with the database."""


REASONS_OF: dict[Kind, frozenset[Reason]] = {
    Kind.LEGAL_HOLD: frozenset({Reason.LITIGATION, Reason.AUTHORITY_ORDER, Reason.EVIDENCE_PRESERVATION}),
    Kind.RESTRICTION: frozenset(
        {
            Reason.ACCURACY_CONTESTED,
            Reason.PROCESSING_UNLAWFUL,
            Reason.SUBJECT_NEEDS_IT,
            Reason.OBJECTION_PENDING,
        }
    ),
}
"""Evidence preservation: an order under Regulation (EU) 2023/1543. Restriction: the four letters of Art. 18(1)."""


class Because(StrEnum):
    """Why a hold was released."""

    ENDED = "ended"
    WITHDRAWN = "withdrawn"
    ORDERED = "ordered"
    SETTLED = "settled"
    NOTHING_LEFT = "nothing-left"


class HoldMissing(Missing):
    """No hold is known under this id."""


class RecordsHeld(Refused):
    """Some of this is held (legal hold or restriction) and so is not erased; release the hold first."""


class HoldBeingPlaced(Unavailable):
    """A hold of this account is on its way to the keeper; what was to be erased waits for it, a moment only."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold: who, why, until when, how much, and how far it has come."""

    account: AccountId
    hold: HoldId
    kind: Kind
    reason: Reason
    reference: str | None
    until: Day
    placed_by: str
    placed_at: dt.datetime
    state: str
    records: int
    days: int
    released_by: str | None
    released_at: dt.datetime | None
    released_because: Because | None

    @classmethod
    def from_row(cls, row: Any) -> Hold:
        because = row["released_because"]
        return cls(
            AccountId(row["account_id"]), HoldId(row["hold_id"]), Kind(row["kind"]), Reason(row["reason"]),
            row["reference"], Day(row["until_day"]), row["placed_by"], row["placed_at"], row["state"], row["records"],
            row["days"], row["released_by"], row["released_at"], None if because is None else Because(because),
        )  # fmt: skip

    @property
    def restricts(self) -> bool:
        return self.kind is Kind.RESTRICTION


@dataclass(frozen=True, slots=True)
class HoldCounts:
    """How much of an account is held; what two holds hold counts twice."""

    holds: int
    records: int
    days: int


async def find(connection: Connection, account: AccountId, hold: HoldId) -> Hold:
    """One hold of this account."""
    row = await connection.fetchrow(queries.find_hold, account.value, hold.value)
    if row is None:
        raise HoldMissing
    return Hold.from_row(row)


async def page(
    database: Database, account: AccountId, *, before: tuple[dt.datetime, Any] | None, limit: int
) -> list[Hold]:
    """The account's holds, newest first, those that were released included."""
    moment, hold = before or (None, None)
    async with database.account(account) as connection:
        rows = await connection.fetch(queries.page_of_holds, account.value, moment, hold, limit)
    return [Hold.from_row(row) for row in rows]


async def counts(database: Database, account: AccountId) -> HoldCounts:
    """How much is held now."""
    async with database.account(account) as connection:
        row = await connection.fetchrow(queries.counts_in_force, account.value)
    assert row is not None
    return HoldCounts(row["holds"], row["records"], row["days"])


async def held_among(connection: Connection, account: AccountId, records: Sequence[StoredRecord]) -> set[RecordId]:
    """Which of these records are held, by themselves or with their day. Ask under `wait_for_keeps`."""
    return set(await _holds_of(connection, account, records))


async def require_not_held(connection: Connection, account: AccountId, records: Sequence[StoredRecord]) -> None:
    """RecordsHeld, with the holds by name, when one of these records is held."""
    holds = {hold for of_one in (await _holds_of(connection, account, records)).values() for hold in of_one}
    if holds:
        raise _named(holds)


async def require_day_not_held(
    connection: Connection, account: AccountId, *, category: int, retention_class: int, day: int
) -> None:
    """RecordsHeld when a whole day is held; of a day in which single records are, those stay and the rest may go."""
    rows = await connection.fetch(queries.holds_on_days, account.value, [category], [retention_class], [int(day)])
    if rows:
        raise _named({HoldId(row["hold_id"]) for row in rows})


async def require_none_placing(connection: Connection, account: AccountId) -> None:
    """HoldBeingPlaced while the keeper may not know yet what must be spared. Ask before it destroys.

    A hold that is committed after an erasure holds nothing of it, so one look is enough.
    """
    if await connection.fetchval(queries.is_being_placed, account.value) is not None:
        raise HoldBeingPlaced


async def left_of_gone_days(connection: Connection, account: AccountId) -> dict[int, list[RecordId]]:
    """By category, records that are held while their day is gone: its index went with it, so no search finds them."""
    found: dict[int, list[RecordId]] = {}
    for row in await connection.fetch(queries.left_of_gone_days, account.value):
        found.setdefault(row["category"], []).append(RecordId(row["record_id"]))
    return found


async def _holds_of(
    connection: Connection, account: AccountId, records: Sequence[StoredRecord]
) -> dict[RecordId, set[HoldId]]:
    found: dict[RecordId, set[HoldId]] = {}
    ids = [row.record.value for row in records]
    for row in await connection.fetch(queries.holds_on_records, account.value, ids):
        found.setdefault(RecordId(row["record_id"]), set()).add(HoldId(row["hold_id"]))
    places = sorted({(row.category.code, row.retention_class, int(row.day)) for row in records})
    columns = [[place[at] for place in places] for at in range(3)]
    days: dict[tuple[int, int, int], set[HoldId]] = {}
    for row in await connection.fetch(queries.holds_on_days, account.value, *columns):
        days.setdefault((row["category"], row["retention_class"], row["day"]), set()).add(HoldId(row["hold_id"]))
    for record in records if days else ():
        if held := days.get((record.category.code, record.retention_class, int(record.day))):
            found.setdefault(record.record, set()).update(held)
    return found


def _named(holds: Iterable[HoldId]) -> RecordsHeld:
    names = sorted(map(str, holds))
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    listed = ", ".join(names[:NAMED_MAX])
    return RecordsHeld(f"some of this is held by {listed}{more}, so nothing was erased; release the hold first")
