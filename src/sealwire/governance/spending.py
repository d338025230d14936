"""An account's money rules as they are stored: caps, allowed destinations, suspension, card policy. Millicents."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sealwire.errors import Refused
from sealwire.governance.destinations import Destination
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CallId, Party

queries = load_queries(__package__, "spending.sql")
LAPSE_BATCH = 500
LAPSED_KEPT = dt.timedelta(days=2)


class CapAboveMaximum(Refused):
    """A cap cannot be set above the operator's maximum; choose a lower one, or ask the operator to raise it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorLimits:
    """What the operator allows at most, and from when on use is suspicious."""

    day_cap: int
    month_cap: int
    calls: int
    setups_per_second: int
    refused_per_minute: int
    premium_per_minute: int
    short_per_minute: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerLimits:
    """What the owner sets, None where the operator's maximum is enough."""

    day_cap: int | None
    month_cap: int | None
    calls: int | None
    card_policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingNow:
    """Limits and counts of an account at one moment."""

    operator: OperatorLimits
    owner: OwnerLimits
    day_spent: int
    month_spent: int
    reserved: int
    calls_up: int
    suspended_at: dt.datetime | None
    suspended_for: str | None

    @classmethod
    def from_row(cls, row: Any) -> SpendingNow:
        return cls(
            operator=OperatorLimits(
                day_cap=row["day_cap_max"], month_cap=row["month_cap_max"], calls=row["calls_max"],
                setups_per_second=row["setups_per_second_max"], refused_per_minute=row["refused_per_minute_max"],
                premium_per_minute=row["premium_per_minute_max"], short_per_minute=row["short_per_minute_max"],
            ),
            owner=OwnerLimits(
                day_cap=row["owner_day_cap"], month_cap=row["owner_month_cap"], calls=row["owner_calls"],
                card_policy=row["card_policy"],
            ),
            day_spent=row["day_spent"], month_spent=row["month_spent"], reserved=row["reserved"],
            calls_up=row["calls_up"], suspended_at=row["suspended_at"], suspended_for=row["suspended_for"],
        )  # fmt: skip


async def spending_now(connection: Connection, account: AccountId, clock: Clock) -> SpendingNow:
    """The account's limits and counts; made with the defaults when it has none yet."""
    return SpendingNow.from_row(await connection.fetchrow(queries.spending_at, account.value, clock.now()))


async def allowed_destinations(connection: Connection, account: AccountId) -> list[Destination]:
    """What the owner has allowed; nothing at first."""
    rows = await connection.fetch(queries.allowed_destinations, account.value)
    return [Destination(row["destination"], row["premium"]) for row in rows]


async def allow_destinations(
    connection: Connection, account: AccountId, destinations: list[Destination], clock: Clock
) -> None:
    """Put this list in place of the one there was."""
    unique = {destination.text: destination for destination in destinations}
    await connection.execute(queries.drop_destinations, account.value)
    for destination in unique.values():
        await connection.execute(
            queries.insert_destination, account.value, destination.text, destination.premium, clock.now()
        )


async def set_owner_limits(connection: Connection, account: AccountId, limits: OwnerLimits, clock: Clock) -> None:
    """CapAboveMaximum when one is above what the operator allows."""
    now = await spending_now(connection, account, clock)
    pairs = (
        (limits.day_cap, now.operator.day_cap),
        (limits.month_cap, now.operator.month_cap),
        (limits.calls, now.operator.calls),
    )
    if any(wanted is not None and wanted > maximum for wanted, maximum in pairs):
        raise CapAboveMaximum
    await connection.execute(
        queries.set_owner_limits, account.value, limits.day_cap, limits.month_cap, limits.calls, limits.card_policy
    )


async def set_operator_limits(connection: Connection, account: AccountId, limits: OperatorLimits, clock: Clock) -> None:
    """Raise or lower what the account may have at most."""
    await spending_now(connection, account, clock)
    await connection.execute(
        queries.set_operator_limits, account.value, limits.day_cap, limits.month_cap, limits.calls,
        limits.setups_per_second, limits.refused_per_minute, limits.premium_per_minute, limits.short_per_minute,
    )  # fmt: skip


async def suspend(connection: Connection, account: AccountId, clock: Clock) -> None:
    """By the operator, at once; legs that are up end within a minute."""
    await spending_now(connection, account, clock)
    await connection.execute(queries.suspend, account.value, clock.now())


async def lift_suspension(connection: Connection, account: AccountId, clock: Clock) -> None:
    """By the operator, after somebody has looked."""
    await spending_now(connection, account, clock)
    await connection.execute(queries.lift_suspension, account.value)


async def rules_for(database: Database, account: AccountId, party: Party) -> tuple[bool, list[Destination]]:
    """Whether this number is answered by the same account (another's are strangers'), and what the owner allows."""
    found = json.loads(await database.call(queries.destination_rules, account.value, party.text))
    return found["is_own"], [Destination(text, premium) for text, premium in found["allowed"]]


async def card_policy(connection: Connection, account: AccountId) -> str:
    """off, mask or refuse; mask until the owner has chosen."""
    return str(await connection.fetchval(queries.card_policy, account.value) or "mask")


@dataclass(frozen=True, slots=True)
class Unbilled:
    """A leg whose money was reserved, or settled, and of which no billing record is kept yet."""

    reservation: UUID
    call: CallId | None
    is_settled: bool
    amount: int
    terms: str
    used_s: float
    made_at: dt.datetime
    settled_at: dt.datetime | None


async def unbilled_of_call(connection: Connection, account: AccountId, call: CallId) -> list[Unbilled]:
    """What is left of one leg."""
    return [_unbilled(row) for row in await connection.fetch(queries.unbilled_of_call, account.value, call.value)]


async def unbilled_calls(
    connection: Connection, account: AccountId, *, settled_before: dt.datetime, with_unsettled: bool
) -> list[Unbilled]:
    """What is left of all legs; with those that are not settled only when no call of the account can be up."""
    rows = await connection.fetch(queries.unbilled_calls, account.value, settled_before, with_unsettled)
    return [_unbilled(row) for row in rows]


async def forget_billed(connection: Connection, account: AccountId, reservations: Iterable[UUID]) -> None:
    """Their billing records are kept."""
    await connection.execute(queries.forget_billed, account.value, list(reservations))


def _unbilled(row: Any) -> Unbilled:
    return Unbilled(
        reservation=row["reservation_id"], call=CallId(row["call_id"]) if row["call_id"] else None,
        is_settled=row["state"] == "settled", amount=row["amount"], terms=row["terms"], used_s=row["used_s"],
        made_at=row["made_at"], settled_at=row["settled_at"],
    )  # fmt: skip


async def let_lapse(database: Database, clock: Clock) -> int:
    """End reservations whose process died; how many. For the worker, on its own role."""
    lapsed: int = 0
    while True:
        async with database.system() as connection:
            count = int(await connection.fetchval(queries.lapse, clock.now(), LAPSE_BATCH))
        lapsed += count
        if count < LAPSE_BATCH:
            break
    async with database.system() as connection:
        await connection.execute(queries.drop_lapsed, clock.now() - LAPSED_KEPT)
    return lapsed
