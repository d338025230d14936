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
