"""Schema files are applied once, in order, and never changed behind the database's back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from tests.conftest import ModuleDatabase

from sealwire.ground.postgres.schema import (
    DatabaseNewer,
    Migration,
    MigrationChanged,
    MigrationOutOfOrder,
    migrate,
    migrations_of,
)

ONE = Migration("room", "0001_one.sql", "CREATE TABLE one (n int); INSERT INTO one VALUES (1);")
TWO = Migration("room", "0002_two.sql", "ALTER TABLE one ADD m int;")


@pytest.fixture
async def empty(module_database: ModuleDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A connection whose records of what was applied start empty, and are put back."""
    connection = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    await connection.execute("DROP TABLE IF EXISTS one; DELETE FROM ground.migration")
    yield connection
    await connection.close()


async def test_each_file_is_applied_once_and_a_second_run_does_nothing(empty: asyncpg.Connection) -> None:
    assert await migrate(empty, [ONE]) == [ONE]
    assert await migrate(empty, [ONE, TWO]) == [TWO]
    assert await migrate(empty, [ONE, TWO]) == []
    assert await empty.fetchval("SELECT count(*) FROM one") == 1


async def test_a_file_changed_after_it_was_applied_is_refused_by_name(empty: asyncpg.Connection) -> None:
    await migrate(empty, [ONE])
    with pytest.raises(MigrationChanged, match=r"room/0001_one\.sql"):
        await migrate(empty, [Migration("room", "0001_one.sql", ONE.sql + " ")])


async def test_a_database_of_a_newer_version_is_refused_with_a_sentence(empty: asyncpg.Connection) -> None:
    await migrate(empty, [ONE, TWO])
    with pytest.raises(DatabaseNewer, match="newer version of Sealwire; start that version"):
        await migrate(empty, [ONE])


async def test_a_file_put_before_an_applied_one_is_refused(empty: asyncpg.Connection) -> None:
    await migrate(empty, [ONE])
    with pytest.raises(MigrationOutOfOrder):
        await migrate(empty, [Migration("room", "0000_late.sql", "SELECT 1"), ONE])


async def test_a_failing_file_leaves_nothing_of_its_run_behind(empty: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.PostgresError):
        await migrate(empty, [ONE, Migration("room", "0002_bad.sql", "CREATE TABLE one (n int)")])
    assert await empty.fetchval("SELECT to_regclass('one')") is None
    assert await empty.fetchval("SELECT count(*) FROM ground.migration") == 0


def test_a_room_without_a_schema_folder_has_no_files() -> None:
    assert migrations_of("objects", "sealwire.ground.objects") == []
    assert migrations_of("ground", "sealwire.ground")[0].file == "0001_roles.sql"
