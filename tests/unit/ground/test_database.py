"""Whatever way PostgreSQL goes away, callers hear that the database is unavailable, and its return needs no restart."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.conftest import ModuleDatabase, OpenDatabase

from sealwire.config import Settings
from sealwire.ground.postgres.cluster import Cluster
from sealwire.ground.postgres.database import Database, DatabaseUnavailable
from sealwire.ground.postgres.listener import Listener
from sealwire.ground.postgres.schema import migrations_of
from sealwire.vocabulary import AccountId

LONG = "SELECT pg_sleep(30)"
MIGRATIONS = migrations_of("ground", "sealwire.ground")


@pytest.fixture
async def owner(module_database: ModuleDatabase) -> AsyncIterator[asyncpg.Connection[Any]]:
    connection = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    yield connection
    await connection.close()


async def end_those_who(owner: asyncpg.Connection[Any], say: str) -> int:
    """Terminate the connections whose last statement begins like this, as an administrator does; how many."""
    for _ in range(200):
        ended = await owner.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database() AND starts_with(query, $1)",
            say,
        )
        if ended:
            return len(ended)
        await asyncio.sleep(0.02)
    raise AssertionError(f"nobody says {say}")


async def in_transaction(database: Database) -> None:
    async with database.system() as connection:
        await connection.execute(LONG)


async def by_itself(database: Database) -> None:
    await database.call(LONG)


@pytest.mark.parametrize("ask", [in_transaction, by_itself])
async def test_a_connection_ended_under_a_statement_is_the_database_away(
    database: OpenDatabase, owner: asyncpg.Connection[Any], ask: Callable[[Database], Awaitable[None]]
) -> None:
    service = await database()
    asking = asyncio.ensure_future(ask(service))
    await end_those_who(owner, LONG)
    with pytest.raises(DatabaseUnavailable):
        await asking
    assert await service.call("SELECT 1") == 1


async def test_no_room_for_another_connection_is_the_database_away(
    database: OpenDatabase, owner: asyncpg.Connection[Any], module_database: ModuleDatabase
) -> None:
    service = await database(size_max=2)
    await owner.execute(f'ALTER DATABASE "{module_database.name}" CONNECTION LIMIT 1')
    try:
        async with service.system():
            with pytest.raises(DatabaseUnavailable):
                await service.call("SELECT 1")
            with pytest.raises(DatabaseUnavailable):
                async with service.system():
                    pass
    finally:
        await owner.execute(f'ALTER DATABASE "{module_database.name}" CONNECTION LIMIT -1')
    assert await service.call("SELECT 1") == 1


async def test_a_wrong_statement_is_not_taken_for_the_database_being_away(database: OpenDatabase) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await (await database()).call("SELECT 1 / 0")


async def test_a_killed_server_is_the_database_away_until_it_is_back(reachable_dir: Path) -> None:
    cluster = Cluster(Settings(data_dir=reachable_dir))
    await cluster.start(MIGRATIONS)
    try:
        service = await Database.connect(cluster.dsn(), size_max=4)
        asking = asyncio.ensure_future(in_transaction(service))
        assert await service.call("SELECT 1") == 1
        assert cluster.child is not None
        assert cluster.child.pid is not None
        os.kill(cluster.child.pid, signal.SIGKILL)
        with pytest.raises(DatabaseUnavailable):
            await asking
        for ask in (in_transaction, by_itself):
            with pytest.raises(DatabaseUnavailable):
                await ask(service)
        await cluster.child.wait()
        await cluster.start_server()
        assert await service.call("SELECT 1") == 1
        async with service.system() as connection:
            assert await connection.fetchval("SELECT 2") == 2
        await service.close()
    finally:
        await cluster.stop()


async def test_a_listener_hears_again_after_its_connection_was_ended(
    module_database: ModuleDatabase, owner: asyncpg.Connection[Any]
) -> None:
    heard, other, connected = asyncio.Event(), asyncio.Event(), asyncio.Event()
    listener = Listener(
        module_database.dsn("sealwire_worker"), {"house": heard.set, "other": other.set}, on_connected=connected.set
    )  # fmt: skip
    running = asyncio.ensure_future(listener.run())
    try:
        for _ in range(3):
            await asyncio.wait_for(connected.wait(), 5)
            await owner.execute("SELECT pg_notify('house', '')")
            await asyncio.wait_for(heard.wait(), 2)
            assert not other.is_set()
            await owner.execute("SELECT pg_notify('other', '')")
            await asyncio.wait_for(other.wait(), 2)
            connected.clear()
            heard.clear()
            other.clear()
            assert await end_those_who(owner, "LISTEN") == 1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


OF_WHOM = "SELECT coalesce(current_setting('sealwire.account', true), '')"


async def asked_within(database: Database, account: AccountId, statement: str) -> object:
    async with database.account(account) as connection:
        return await connection.fetchval(statement)


async def test_an_account_is_set_within_its_transaction_and_nowhere_else(database: OpenDatabase) -> None:
    service, account = await database(size_max=1), AccountId.new()
    assert await asked_within(service, account, OF_WHOM) == str(account.value)
    assert await service.call(OF_WHOM) == ""
    with pytest.raises(asyncpg.DivisionByZeroError):
        await asked_within(service, account, "SELECT 1 / 0")
    assert await service.call(OF_WHOM) == ""


async def test_whenever_it_is_cancelled_no_account_stays_set_on_a_connection(database: OpenDatabase) -> None:
    service, account = await database(size_max=1), AccountId.new()
    for ticks in range(40):
        asking = asyncio.ensure_future(asked_within(service, account, "SELECT pg_sleep(0.002)::text"))
        for _ in range(ticks):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await service.call(OF_WHOM) == "", ticks


async def test_what_is_written_before_an_error_or_a_cancellation_is_not_there_afterwards(
    database: OpenDatabase, owner: asyncpg.Connection[Any]
) -> None:
    service, account = await database(size_max=1), AccountId.new()
    await owner.execute("CREATE TABLE public.noted (what text)")
    await owner.execute("GRANT USAGE ON SCHEMA public TO sealwire_service")
    await owner.execute("GRANT INSERT ON public.noted TO sealwire_service")

    async def note(what: str, then: str) -> None:
        async with service.account(account) as connection:
            await connection.execute("INSERT INTO public.noted VALUES ($1)", what)
            await connection.execute(then)

    with pytest.raises(asyncpg.DivisionByZeroError):
        await note("error", "SELECT 1 / 0")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(note("cancelled", LONG), 0.3)
    await note("kept", "SELECT 1")
    assert await owner.fetch("SELECT what FROM public.noted") == [("kept",)]
