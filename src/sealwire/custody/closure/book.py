"""Asking for a closure and calling it off, and what is known of one. The steps themselves are taken by `closer`.

States:  grace ──► hidden ──► unreadable ──► removed
           └─────► cancelled

Each moves in the transaction of what it stands for. During the grace what the account has can be read and opened;
nothing new begins. From `hidden` on every part answers that the account is closed, by the row of the account itself.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from sealwire.errors import Malformed, Missing, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.governance import closing
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, ClosureId, CredentialId, ErasureId

queries = load_queries(__package__)
GRACE_DAYS_MAX = 30
CONFIRMATION = "close this account and destroy its records"
CHANNEL = "sealwire_closure"


class ClosureMissing(Missing):
    """No closure is known under this id."""


class ConfirmationMissing(Malformed):
    """Closing destroys everything but invoices, for good: send the sentence of confirmation, word for word."""


class GraceMalformed(Malformed):
    """The grace is a whole number of days from 0 to 30."""


class GraceIsOver(Refused):
    """The grace has ended and the keys are destroyed, or are being destroyed now: nobody can call this off any more."""


@dataclass(frozen=True, slots=True)
class Closure:
    """One closure and how far it has come."""

    account: AccountId
    closure: ClosureId
    state: str
    requested_by: CredentialId
    grace_days: int
    begun_at: dt.datetime
    ends_at: dt.datetime
    cancelled_at: dt.datetime | None
    hidden_at: dt.datetime | None
    unreadable_at: dt.datetime | None
    removed_at: dt.datetime | None
    gone_from_backups_by: dt.date | None
    receipts: list[dict[str, Any]]
    kept: list[dict[str, Any]]
    certificate: str | None

    @classmethod
    def from_row(cls, row: Any) -> Closure:
        values = dict(row)
        return cls(
            AccountId(values.pop("account_id")), ClosureId(values.pop("closure_id")), values.pop("state"),
            CredentialId(values.pop("requested_by")), receipts=json.loads(values.pop("receipts")),
            kept=json.loads(values.pop("kept")), **values,
        )  # fmt: skip

    @property
    def erasure(self) -> ErasureId:
        """The name under which keeper and log know it: a closure is an erasure, of everything."""
        return ErasureId(self.closure.value)


async def begin(
    connection: Connection,
    account: AccountId,
    *,
    grace_days: int,
    confirmation: str,
    by: CredentialId,
    clock: Clock,
    closure: ClosureId | None = None,
) -> tuple[Closure, str]:
    """Begin the grace in the caller's transaction; with the retrieval token, which is never shown again."""
    if confirmation != CONFIRMATION:
        raise ConfirmationMissing(f'{ConfirmationMissing()} It is: "{CONFIRMATION}"')
    if not 0 <= grace_days <= GRACE_DAYS_MAX:
        raise GraceMalformed
    closure, now = closure or ClosureId.new(), clock.now()
    ends_at = now + dt.timedelta(days=grace_days)
    token = await closing.begin(connection, account, closure, now=now, closes_at=ends_at)
    await connection.execute(
        queries.insert_closure, account.value, closure.value, by.value, grace_days, now, ends_at
    )  # fmt: skip
    await _tell(connection, account, LeafClass.CLOSURE_BEGUN, closure=closure, by=by, at=now, ends_at=rfc3339(ends_at))
    await connection.execute(queries.wake_closer)
    return await find(connection, account, closure), token


async def cancel(
    connection: Connection, account: AccountId, closure: ClosureId, *, by: CredentialId, clock: Clock
) -> Closure:
    """Call it off: the account is as it was before. GraceIsOver when it is too late."""
    found, now = await find(connection, account, closure), clock.now()
    if found.state == "cancelled":
        return found
    if not await closing.cancel(connection, account, now=now):
        raise GraceIsOver
    if await connection.fetchval(queries.mark_cancelled, account.value, closure.value, now) is None:
        raise GraceIsOver
    await _tell(connection, account, LeafClass.CLOSURE_CANCELLED, closure=closure, by=by, at=now)
    return await find(connection, account, closure)


async def find(connection: Connection, account: AccountId, closure: ClosureId) -> Closure:
    """One closure of this account."""
    row = await connection.fetchrow(queries.find_closure, account.value, closure.value)
    if row is None:
        raise ClosureMissing
    return Closure.from_row(row)


async def newest(connection: Connection, account: AccountId) -> Closure | None:
    """The account's last closure, whatever became of it."""
    row = await connection.fetchrow(queries.newest_closure, account.value)
    return Closure.from_row(row) if row is not None else None


async def page_of_all(database: Database, *, before: tuple[dt.datetime, Any] | None, limit: int) -> list[Closure]:
    """Every account's closures, newest first: for the operator. Ids, states and times."""
    async with database.system() as connection:
        rows = await connection.fetch(queries.closures_of_all, *(before or (None, None)), limit)
    return [Closure.from_row(row) for row in rows]


async def account_of(database: Database, closure: ClosureId) -> AccountId:
    """Whose closure it is: for the operator."""
    async with database.system() as connection:
        account = await connection.fetchval(queries.account_of_closure, closure.value)
    if account is None:
        raise ClosureMissing
    return AccountId(account)


async def _tell(
    connection: Connection, account: AccountId, leaf_class: LeafClass, *, closure: ClosureId, by: CredentialId,
    at: dt.datetime, **more: object,
) -> None:  # fmt: skip
    payload = {"closure": str(closure), "by": str(by), "at": rfc3339(at), **more}
    await post_event(connection, account, leaf_class, payload, mentions=[])
