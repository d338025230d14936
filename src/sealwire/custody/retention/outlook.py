"""What is going to go: by a change that is only thought of, and day by day. Counts alone; nothing is opened."""

from __future__ import annotations

from dataclasses import dataclass

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.retention.periods import Wanted, queries
from sealwire.custody.storage import statements
from sealwire.ground.clock import Clock, today
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import AccountId, Day


@dataclass(frozen=True, slots=True)
class WouldGo:
    """What one setting would do to what is kept: how many records go now, and how many of these are held."""

    wanted: Wanted
    days_before: int
    erased_now: int
    held: int


@dataclass(frozen=True, slots=True)
class Expiring:
    """How many records of a category and class have this as their last day, and how many of these are held."""

    last_day: Day
    category: Category
    retention_class: int
    records: int
    held: int


async def preview(connection: Connection, account: AccountId, settings: list[Wanted], *, clock: Clock) -> list[WouldGo]:
    """What each of these settings would take at once; nothing is changed by asking."""
    rows = await connection.fetch(queries.periods, account.value)
    before = {(row["category"], row["retention_class"]): row["days"] for row in rows}
    found = []
    for each in settings:
        first_kept = max(int(today(clock)) - each.days, 0)
        row = await connection.fetchrow(
            statements(each.category).would_go, account.value, each.retention_class, first_kept
        )
        assert row is not None
        days = before.get((each.category.code, each.retention_class), each.category.retention.days_default)
        found.append(WouldGo(each, days, row["erased"], row["held"]))
    return found


async def calendar(connection: Connection, account: AccountId, *, until: Day) -> list[Expiring]:
    """What expires up to and with this day, the next first. What is past due and not gone yet stands first of all."""
    found: list[Expiring] = []
    for category in CATALOGUE:
        rows = await connection.fetch(statements(category).expiring, account.value, int(until))
        found += [
            Expiring(Day(row["due_day"]), category, row["retention_class"], row["records"], row["held"]) for row in rows
        ]
    return sorted(found, key=lambda each: (each.last_day, each.category.code, each.retention_class))
