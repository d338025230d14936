"""Holds that the ledger tells of since the backup, placed and released again, in its order among the erasures.

The keeper spared what was held whatever it destroyed around it, so the restored database must know of a hold before a
day is erased again. Who placed it and why stood in rows that are lost: such a hold says `restored`. What the keeper
let go is left to the worker (holds/ritual.py), which hides what is owed by an erasure of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sealwire.custody.categories import BY_CODE
from sealwire.custody.holds.book import Because, Kind, Reason
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.storage import statements
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, HoldId

BY = "restore"
_queries = load_queries(__package__)


@dataclass(frozen=True, slots=True)
class PlacedAgain:
    """A hold as it was when the ledger's line was written: all that it names, also from before."""

    hold: HoldId
    until: int
    restricts: bool
    leaves: list[LeafPath]
    days: list[DayPath]

    async def replay(self, owner: Any, account: AccountId, at: dt.datetime) -> None:
        """The hold and its places; one that the database knows better is only ever extended."""
        kind, where = Kind.RESTRICTION if self.restricts else Kind.LEGAL_HOLD, (account.value, self.hold.value)
        async with owner.transaction():
            state = await owner.fetchval(
                _queries.place_again, *where, kind.value, Reason.RESTORED.value, self.until, BY, at
            )
            if state is None:
                return  # released already, by the backup or before a crash of the gate
            rows = [
                row
                for code in {leaf.category for leaf in self.leaves}
                for row in await self._rows(owner, account, code)
            ]
            places = [(*row, None, None) for row in self.days] + rows
            await owner.execute(
                _queries.hold_again, *where, self.restricts, *([place[at] for place in places] for at in range(5))
            )
            await owner.execute(_queries.count_again, *where)

    async def _rows(self, owner: Any, account: AccountId, code: int) -> list[tuple[Any, ...]]:
        if code not in BY_CODE:
            return []
        wanted = [leaf for leaf in self.leaves if leaf.category == code]
        rows = await owner.fetch(
            statements(BY_CODE[code]).by_slots, account.value, [leaf.retention_class for leaf in wanted],
            [leaf.day for leaf in wanted], [leaf.slot for leaf in wanted],
        )  # fmt: skip
        return [(code, row["retention_class"], row["day"], row["slot"], row["record_id"]) for row in rows]


@dataclass(frozen=True, slots=True)
class ReleasedAgain:
    """Holds that the keeper let go: by name, or of these names those that had ended before `today`."""

    holds: list[HoldId]
    today: int | None

    async def replay(self, owner: Any, account: AccountId, at: dt.datetime) -> None:
        """What is owed stays until the worker hides it; what is not is free for what the ledger tells next."""
        holds = [hold.value for hold in self.holds]
        async with owner.transaction():
            await owner.execute(_queries.release_again, account.value, holds, BY, at, Because.ENDED.value, self.today)
            await owner.execute(_queries.let_go_again, account.value, holds)


def hold_told(told: dict[str, Any]) -> PlacedAgain | ReleasedAgain | None:
    """What an act of the ledger says of holds; None when it is about something else."""
    if told["act"] == "hold.placed":
        leaves, days = places_told(told["paths"])
        return PlacedAgain(HoldId.parse(told["hold"]), int(told["until"]), bool(told["restricts"]), leaves, days)
    if told["act"] == "hold.released":
        return ReleasedAgain([HoldId.parse(hold) for hold in told["holds"]], told.get("today"))
    return None


def places_told(paths: Iterable[str]) -> tuple[list[LeafPath], list[DayPath]]:
    """`category/class/day/slot` and `category/class/day`, apart."""
    split = [tuple(map(int, path.split("/"))) for path in paths]
    return [LeafPath(*one) for one in split if len(one) == 4], [DayPath(*one) for one in split if len(one) != 4]


async def free_again(owner: Any, account: AccountId, leaves: list[LeafPath]) -> None:
    """The keeper destroys no leaf by name that is held, so what it destroyed was let go before."""
    await owner.execute(_queries.free_again, account.value, *([leaf[at] for leaf in leaves] for at in range(4)))


async def day_goes(owner: Any, account: AccountId, day: DayPath) -> bool:
    """Whether a destroyed day must be hidden: it has records, if only held ones, which are owed then.

    Of one that is held whole nothing was destroyed.
    """
    held = await owner.fetchrow(_queries.held_of_day, account.value, *day)
    if held["is_whole"] or held["is_to_be_marked"]:
        return not held["is_whole"]
    where = (account.value, day.retention_class, day.day)
    return bool(await owner.fetchval(statements(BY_CODE[day.category]).records_of_day, *where) > held["records"])
