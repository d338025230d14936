"""Placing, extending and releasing a hold. Each step can be repeated; whatever died on the way, the worker goes on.

To place:
(1) rows `placing` commit, in one order with keeps and erasures: what is hidden already is not held;
(2) the keeper is told, which from now on spares these places whatever it is asked for;
(3) what the keeper had destroyed before is struck out, state `in-force`, leaf hold.placed: one transaction.
Until (3) no erasure of the account goes to the keeper (`require_none_placing`), so none overtakes (2).
To extend: the later day and state `placing`, then (2) and (3).

To release, or when the last day is past:
(4) state `releasing`, with who, when and why;
(5) the keeper lets go, and destroys what was to go meanwhile and nothing else holds;
(6) the places go, what was owed is hidden by an erasure of its own, leaf hold.released, state `released`: one
    transaction. That erasure goes the way of all others, with its own certificate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sealwire.custody.categories import BY_CODE
from sealwire.custody.erasure import Ground, request_owed
from sealwire.custody.holds.book import REASONS_OF, Because, Hold, Kind, Reason, find, queries
from sealwire.custody.holds.refusals import HoldEndsTooSoon, HoldReleased, NothingToHold, ReasonOfOtherKind, TooMuchHeld
from sealwire.custody.keys.client import KeeperClient
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord
from sealwire.custody.store import queries as store_queries
from sealwire.errors import Unavailable
from sealwire.evidence.crash import crash_point
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339, today
from sealwire.ground.postgres.database import Connection, Database
from sealwire.vocabulary import AccountId, Day, HoldId, RecordId

RECORDS_MAX = 10_000
DAYS_MAX = 4_000
MENTIONS_MAX = 500
PER_RUN_MAX = 64
CHANNEL = "sealwire_holds"


@dataclass(frozen=True, slots=True)
class NewHold:
    """What a hold says of itself: kind, reason, a case's own reference, and its last day."""

    kind: Kind
    reason: Reason
    until: Day
    reference: str | None = None

    def require_sound(self, clock: Clock) -> None:
        if self.reason not in REASONS_OF[self.kind]:
            raise ReasonOfOtherKind
        if self.until < today(clock):
            raise HoldEndsTooSoon


class HoldRitual:
    """Takes the steps: in the API as far as it comes at once, in the worker for all that is left."""

    def __init__(self, *, database: Database, keeper: KeeperClient, clock: Clock, backup_cycle_days: int) -> None:
        self._database, self._keeper, self._clock = database, keeper, clock
        self._backup_cycle_days = backup_cycle_days

    async def begin(
        self,
        connection: Connection,
        account: AccountId,
        new: NewHold,
        *,
        records: Sequence[StoredRecord],
        days: Sequence[DayPath],
        by: str,
    ) -> HoldId:
        """Step (1), in the caller's transaction. What is not holdable, or gone, is left out; NothingToHold: all is."""
        new.require_sound(self._clock)
        if len(records) > RECORDS_MAX or len(days) > DAYS_MAX:
            raise TooMuchHeld
        hold, where = HoldId.new(), (account.value,)
        await connection.execute(store_queries.wait_for_keeps, *where)
        if await connection.fetchval(queries.is_closed, *where):
            raise NothingToHold
        living = await _living(connection, account, records)
        await connection.execute(
            queries.insert_hold, *where, hold.value, new.kind.value, new.reason.value, new.reference, int(new.until),
            by, self._clock.now(), len(living), 0,
        )  # fmt: skip
        restricts = new.kind is Kind.RESTRICTION
        await connection.execute(
            queries.insert_held_records, *where, hold.value, restricts, [row.category.code for row in living],
            [row.retention_class for row in living], [int(row.day) for row in living], [row.slot for row in living],
            [row.record.value for row in living],
        )  # fmt: skip
        held = await connection.fetch(
            queries.insert_held_days, *where, hold.value, restricts, [day.category for day in days],
            [day.retention_class for day in days], [int(day.day) for day in days],
        )  # fmt: skip
        if not living and not held:
            raise NothingToHold
        await connection.execute(queries.count_days, *where, hold.value, len(held))
        return hold

    async def begin_extending(self, connection: Connection, account: AccountId, hold: HoldId, until: Day) -> Hold:
        """The later day and state `placing`; never an earlier one, and never of what was released."""
        row = await connection.fetchrow(queries.lock_hold, account.value, hold.value)
        found = await find(connection, account, hold) if row is None else Hold.from_row(row)
        if found.state in ("releasing", "released"):
            raise HoldReleased
        if until < max(found.until, today(self._clock)):
            raise HoldEndsTooSoon
        await connection.execute(queries.mark_extended, account.value, hold.value, int(until))
        return await find(connection, account, hold)

    async def begin_releasing(
        self, connection: Connection, account: AccountId, hold: HoldId, *, because: Because, by: str
    ) -> None:
        """Step (4); harmless again."""
        await find(connection, account, hold)
        await connection.execute(
            queries.mark_releasing, account.value, hold.value, by, self._clock.now(), because.value
        )

    async def go_on(self, account: AccountId, hold: HoldId) -> Hold:
        """The steps that are left; what cannot be done now is the worker's, and the state says so."""
        try:
            await self._take(account, hold)
        except Unavailable as error:
            diagnostics.failure("hold.waits", error, hold=hold)
            async with self._database.account(account) as connection:
                await connection.execute(queries.wake_holds)
        async with self._database.account(account) as connection:
            return await find(connection, account, hold)

    async def run(self) -> bool:
        """One round over all accounts: what was cut off, and what ends by itself; whether something must wait."""
        now = today(self._clock)
        async with self._database.system() as connection:
            rows = await connection.fetch(queries.to_move, int(now), PER_RUN_MAX)
        waits = False
        for row in rows:
            account, hold = AccountId(row["account_id"]), HoldId(row["hold_id"])
            try:
                if row["state"] == "in-force":
                    async with self._database.account(account) as connection:
                        await self.begin_releasing(connection, account, hold, because=Because.ENDED, by="timetable")
                await self._take(account, hold)
            except Exception as error:
                waits = True
                diagnostics.failure("hold.step-failed", error, hold=hold)
        return waits or len(rows) == PER_RUN_MAX

    async def _take(self, account: AccountId, hold: HoldId) -> None:
        async with self._database.account(account) as connection:
            found = await find(connection, account, hold)
            places = await connection.fetch(queries.places, account.value, hold.value)
        if found.state == "placing":
            if found.until < today(self._clock):  # it ended before the keeper was told
                await self._end(account, hold)
            else:
                await self._place(found, places)
        elif found.state == "releasing":
            await self._release(found)

    async def _place(self, found: Hold, places: Sequence[Any]) -> None:
        crash_point("hold-rows-committed")
        missing = await self._keeper.hold(
            found.account, hold=str(found.hold), until=found.until, restricts=found.restricts,
            leaves=[LeafPath(*_place_of(row), row["slot"]) for row in places if row["slot"] is not None],
            days=[DayPath(*_place_of(row)) for row in places if row["slot"] is None],
        )  # (2)  # fmt: skip
        crash_point("hold-kept")
        lost = [(*place[:3], place.slot if isinstance(place, LeafPath) else None) for place in missing]
        async with self._database.account(found.account) as connection:  # (3)
            where = (found.account.value, found.hold.value)
            await connection.execute(queries.drop_places, *where, *([place[at] for place in lost] for at in range(4)))
            row = await connection.fetchrow(queries.mark_in_force, *where)
            if row is None:
                return  # somebody else took this step, or it is being released
            await self._tell(
                connection, found, LeafClass.HOLD_PLACED, places, records=row["records"], days=row["days"],
                reason=found.reason.value, until=found.until.date.isoformat(), placed_by=found.placed_by,
            )  # fmt: skip
            if not row["records"] and not row["days"]:
                await self.begin_releasing(
                    connection, found.account, found.hold, because=Because.NOTHING_LEFT, by="timetable"
                )
        crash_point("hold-in-force")

    async def _end(self, account: AccountId, hold: HoldId) -> None:
        async with self._database.account(account) as connection:
            await self.begin_releasing(connection, account, hold, because=Because.ENDED, by="timetable")

    async def _release(self, found: Hold) -> None:
        crash_point("hold-releasing")
        ended_only = found.released_because is Because.ENDED  # by the keeper's calendar too
        await self._keeper.release(found.account, hold=str(found.hold), ended_only=ended_only)  # (5)
        crash_point("hold-let-go")
        async with self._database.account(found.account) as connection:  # (6)
            account, where = found.account, (found.account.value, found.hold.value)
            await connection.execute(store_queries.wait_for_keeps, account.value)
            if await connection.fetchval(queries.mark_released, *where) is None:
                return
            places = await connection.fetch(queries.release_places, *where)
            await self._hide_owed(connection, found, places)
            await self._tell(
                connection,
                found,
                LeafClass.HOLD_RELEASED,
                places,
                released_by=found.released_by or "",
                because=(found.released_because or Because.ENDED).value,
            )
        crash_point("hold-released")

    async def _hide_owed(self, connection: Connection, found: Hold, places: Sequence[Any]) -> None:
        """What lived on because it was held goes by an erasure of its own, on the ground on which its day went."""
        owed: dict[Ground, dict[int, list[Any]]] = {}
        for code, records in _by_category(places).items():
            for row in await connection.fetch(statements(BY_CODE[code]).owed, found.account.value, records):
                owed.setdefault(Ground(row["ground"]), {}).setdefault(code, []).append(row)
        for ground, rows in owed.items():
            await request_owed(
                connection, found.account, rows, ground=ground, requested_by=str(found.hold),
                backup_cycle_days=self._backup_cycle_days, clock=self._clock,
            )  # fmt: skip

    async def _tell(
        self, connection: Connection, found: Hold, leaf_class: LeafClass, places: Sequence[Any], **more: object
    ) -> None:
        """The log says who held what kind of thing and why: ids and counts; it names up to 500 records."""
        mentions = [RecordId(row["record_id"]) for row in places if row["record_id"] is not None]
        payload = {"hold": str(found.hold), "kind": found.kind.value, "at": rfc3339(self._clock.now()), **more}
        await post_event(connection, found.account, leaf_class, payload, mentions=mentions[:MENTIONS_MAX])


def _place_of(row: Any) -> tuple[int, int, int]:
    return row["category"], row["retention_class"], row["day"]


def _by_category(places: Sequence[Any]) -> dict[int, list[UUID]]:
    records: dict[int, list[UUID]] = {}
    for row in places:
        if row["record_id"] is not None:
            records.setdefault(row["category"], []).append(row["record_id"])
    return records


async def _living(connection: Connection, account: AccountId, records: Sequence[StoredRecord]) -> list[StoredRecord]:
    """The same records where they are now, under the lock; without what is gone, and calls that are still up."""
    found: list[StoredRecord] = []
    for category in {row.category for row in records if not row.category.passing}:
        wanted = [row.record.value for row in records if row.category is category]
        rows = await connection.fetch(statements(category).by_ids, account.value, wanted)
        found += [StoredRecord.from_row(account, category, row) for row in rows]
    return found
