"""Pools and transactions. Row security needs the account in every transaction, so none is had without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from string import Template
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from sealwire.errors import Unavailable
from sealwire.vocabulary import AccountId

Connection: TypeAlias = "PoolConnectionProxy[Any]"

_BEGIN_FOR = Template("BEGIN; SET LOCAL sealwire.account = '$account'")
"""Two statements in one round trip cannot have parameters; a UUID holds nothing that could end the text."""

_AWAY = (
    OSError,
    asyncpg.InterfaceError,  # the connection or its pool is closed
    asyncpg.InternalClientError,  # the connection was ended and ROLLBACK cannot be said on it any more
    asyncpg.PostgresConnectionError,  # class 08
    asyncpg.InsufficientResourcesError,  # class 53: full disk, memory, too many connections
    asyncpg.AdminShutdownError,  # 57P01: the server is being stopped, or somebody ended this connection
    asyncpg.CrashShutdownError,  # 57P02
    asyncpg.CannotConnectNowError,  # 57P03: it is starting or recovering
)


class DatabaseUnavailable(Unavailable):
    """The database does not answer; nothing was changed. Look at `bin/sealwire doctor`, then try again."""


class Database:
    """One role's pool. Row security is forced on every table that has an account_id."""

    def __init__(self, pool: asyncpg.Pool[Any]) -> None:
        self.pool = pool

    @classmethod
    async def connect(cls, dsn: str, *, size_max: int = 8) -> Database:
        """Open a pool; plans are made for each account's own values (a frozen generic plan was 300 x slower)."""
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=size_max,
                server_settings={"plan_cache_mode": "force_custom_plan"},
                reset=_nothing_to_reset,
            )
        except (OSError, asyncpg.PostgresError) as error:
            raise DatabaseUnavailable from error
        return cls(pool)

    @asynccontextmanager
    async def account(self, account: AccountId) -> AsyncIterator[Connection]:
        """A transaction that sees this account's rows and no others."""
        async with self._transaction(_BEGIN_FOR.substitute(account=UUID(int=account.value.int))) as connection:
            yield connection

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Connection]:
        """A transaction without an account: only what the role's own policies and functions allow."""
        async with self._transaction("BEGIN") as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncIterator[Connection]:
        """The pool rolls back a connection that comes back within a transaction, as when its end was cancelled."""
        with _told_when_away():
            async with self.pool.acquire() as connection:
                await connection.execute(begin)
                try:
                    yield connection
                except BaseException:
                    await connection.execute("ROLLBACK")
                    raise
                await connection.execute("COMMIT")

    async def call(self, function: str, *arguments: object) -> Any:
        """One statement that is a transaction by itself, in one round trip: `SELECT room.function($1, ...)`.

        For functions that set the account for their own transaction and check it; see `custody.storage`.
        """
        with _told_when_away():
            async with self.pool.acquire() as connection:
                return await connection.fetchval(function, *arguments)

    async def close(self) -> None:
        await self.pool.close()


@contextmanager
def _told_when_away() -> Iterator[None]:
    """DatabaseUnavailable for every way in which PostgreSQL says, or shows, that it is not there."""
    try:
        yield
    except _AWAY as error:
        raise DatabaseUnavailable from error


async def _nothing_to_reset(_connection: object) -> None:
    """Nothing is ever set for a session (`SET LOCAL` only), so a returned connection needs no round trip."""
