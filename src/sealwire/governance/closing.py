"""The state of an account that closes: open, closing (the grace), closed. One row, which everything respects."""

from __future__ import annotations

import datetime as dt

from sealwire.governance.accounts import AccountMissing
from sealwire.governance.credentials import new_secret, secret_hash
from sealwire.governance.standing import AccountIsClosed, AccountIsClosing, Standing
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, ClosureId

__all__ = [
    "AccountIsClosed", "AccountIsClosing", "Standing", "begin", "cancel", "close", "require_open", "set_country",
    "standing",
]  # fmt: skip

_queries = load_queries(__package__, "closing.sql")


async def standing(connection: Connection, account: AccountId) -> Standing:
    """The account of this transaction; AccountMissing for any other."""
    row = await connection.fetchrow(_queries.standing, account.value)
    if row is None:
        raise AccountMissing
    closure = ClosureId(row["closure_id"]) if row["closure_id"] is not None else None
    return Standing(row["state"], closure, row["closes_at"], row["closed_at"], row["country"])


async def require_open(connection: Connection, account: AccountId, now: dt.datetime) -> None:
    """For what would begin something new."""
    (await standing(connection, account)).require_open(now)


async def begin(
    connection: Connection, account: AccountId, closure: ClosureId, *, now: dt.datetime, closes_at: dt.datetime
) -> str:
    """The grace begins; returns the retrieval token, which is shown once. AccountIsClosing when it has already."""
    token = new_secret()
    begun = await connection.fetchval(
        _queries.begin_closing, account.value, closure.value, now, closes_at, secret_hash(token)
    )
    if begun is None:
        raise AccountIsClosing
    return token


async def cancel(connection: Connection, account: AccountId, *, now: dt.datetime) -> bool:
    """Open again as before; False when the grace is over or never began."""
    return await connection.fetchval(_queries.cancel_closing, account.value, now) is not None


async def close(connection: Connection, account: AccountId, *, now: dt.datetime) -> dt.datetime | None:
    """The grace is over: from the end of this transaction everything answers that it is closed. None: it is not."""
    closed_at: dt.datetime | None = await connection.fetchval(_queries.close, account.value, now)
    return closed_at


async def set_country(connection: Connection, account: AccountId, country: str | None) -> None:
    """Where the account is, which decides how long its invoices are kept; None: where the operator is."""
    await connection.execute(_queries.set_country, account.value, country)
