"""Promise 2: each table and each column is a category's by its declaration, or is on the list of operational tables.

What is new in the database fails here until somebody says why it holds nothing personal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from sealwire.custody.categories import CATALOGUE
from sealwire.custody.operational import CLOSED_TYPES, STATE, claimed, operational
from tests.conftest import ModuleDatabase

pytestmark = pytest.mark.asyncio
EVERY_COLUMN = """
SELECT n.nspname || '.' || t.relname AS table, a.attname AS column, format_type(a.atttypid, NULL) AS type, t.relkind
FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE t.relkind IN ('r', 'p', 'm', 'v', 'f') AND NOT t.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
"""


@pytest_asyncio.fixture
async def owner(module_database: ModuleDatabase) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(module_database.dsn("sealwire_owner"))
    yield connection
    await connection.close()


async def catalogue(owner: asyncpg.Connection) -> dict[str, dict[str, str]]:
    """Every column of every table and its type, as the database says itself."""
    tables: dict[str, dict[str, str]] = {}
    rows: list[Any] = await owner.fetch(EVERY_COLUMN)
    for row in rows:
        tables.setdefault(row["table"], {})[row["column"]] = row["type"]
    return tables


async def unclaimed(owner: asyncpg.Connection) -> list[str]:
    """Tables, and columns of claimed tables, of which nobody says what they are for."""
    answered_for, found = claimed(), await catalogue(owner)
    tables = [table for table in found if table not in answered_for]
    columns = [
        f"{table}.{column}"
        for table, columns in found.items()
        for column in columns
        if table in answered_for and column not in answered_for[table]
    ]
    return sorted(tables + columns)


async def test_every_table_and_column_is_a_categorys_or_has_a_reason(owner: asyncpg.Connection) -> None:
    assert await unclaimed(owner) == []


async def test_nothing_is_claimed_that_is_no_longer_there(owner: asyncpg.Connection) -> None:
    found = await catalogue(owner)
    left = {f"{table}.{column}" for table, columns in claimed().items() for column in columns}
    assert left - {f"{table}.{column}" for table, columns in found.items() for column in columns} == set()


async def test_what_is_claimed_without_a_reason_is_of_a_type_that_holds_no_word(owner: asyncpg.Connection) -> None:
    found = await catalogue(owner)
    wordy = [
        f"{name}.{column}: {found[name][column]}"
        for name, table in operational().items()
        for column in table.closed
        if found[name][column] not in CLOSED_TYPES
    ]
    assert wordy == []


async def test_no_table_is_a_categorys_and_operational() -> None:
    assert {f"custody.{category.table}" for category in CATALOGUE} & operational().keys() == set()
    assert all(len(table.why.split()) >= 1 and all(table.said.values()) for table in operational().values())


async def test_a_column_or_table_that_nobody_claims_is_found(owner: asyncpg.Connection) -> None:
    async with owner.transaction():
        await owner.execute("ALTER TABLE communications.message ADD COLUMN floors integer")
        await owner.execute("ALTER TABLE custody.call_record ADD COLUMN caller_name text")
        await owner.execute("CREATE TABLE governance.contact (person text)")
        found = await unclaimed(owner)
        await owner.execute("ROLLBACK; BEGIN")
    assert found == ["communications.message.floors", "custody.call_record.caller_name", "governance.contact"]


async def test_what_is_said_to_be_a_word_of_a_list_is_checked_or_is_of_a_list_of_ours(
    owner: asyncpg.Connection,
) -> None:
    """A state is a word because the database refuses another; so no reason in the list is a mere claim."""
    rows = await owner.fetch(
        "SELECT conrelid::regclass::text AS table, pg_get_constraintdef(oid) AS says FROM pg_constraint"
        " WHERE contype = 'c'"
    )
    checks = {(row["table"], row["says"]) for row in rows}
    for name, table in operational().items():
        for column in (each for each, reason in table.said.items() if reason == STATE):
            assert any(where == name and f"({column} = ANY" in says for where, says in checks), f"{name}.{column}"
