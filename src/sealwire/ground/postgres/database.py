"""Pools and transactions. Row security needs the account in every transaction, so none is had without one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from sealwire.errors import Unavailable
from sealwire.vocabulary import AccountId

Connection = PoolConnectionProxy[Any]


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
                dsn, min_size=1, max_size=size_max, server_settings={"plan_cache_mode": "force_custom_plan"}
            )
        except (OSError, asyncpg.PostgresError) as error:
            raise DatabaseUnavailable from error
        return cls(pool)

    @asynccontextmanager
    async def account(self, account: AccountId) -> AsyncIterator[Connection]:
        """A transaction that sees this account's rows and no others."""
        async with self._transaction() as connection:
            await connection.execute("SELECT set_config('sealwire.account', $1, true)", str(account.value))
            yield connection

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Connection]:
        """A transaction without an account: only what the role's own policies and functions allow."""
        async with self._transaction() as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            async with self.pool.acquire() as connection, connection.transaction():
                yield connection
        except (OSError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as error:
            raise DatabaseUnavailable from error
        except asyncpg.exceptions.CannotConnectNowError as error:
            raise DatabaseUnavailable from error

    async def close(self) -> None:
        await self.pool.close()
