"""What is left of an account: read from the database's catalogue table by table, from the objects, from the keeper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import Template
from uuid import UUID

import asyncpg

from sealwire.custody.categories import CATALOGUE
from sealwire.custody.closure.allowed import KEPT_CODES, KEPT_IN_PART, KEPT_WHOLE, OF_A_CATEGORY
from sealwire.custody.lifecycle import Custody
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord
from sealwire.errors import SealwireError
from sealwire.governance.principals import Principal
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, Purpose

_queries = load_queries(__package__)
_COUNT = Template("SELECT count(*) FROM $table WHERE account_id = $$1")  # the name is the catalogue's own
_OF_OTHERS = Template("SELECT count(*) FROM $table WHERE account_id = $$1 AND category <> ALL ($$2::smallint[])")
ORDINARY = tuple(purpose for purpose in Purpose if purpose is not Purpose.STATUTORY_RETENTION)


@dataclass(frozen=True, slots=True)
class Remains:
    """Rows by table, and those that stay by no entry of the allow-list; objects of the account."""

    rows: dict[str, int]
    not_allowed: dict[str, int]
    objects: int

    @property
    def total(self) -> int:
        return sum(self.rows.values())

    @property
    def found(self) -> int:
        """What should not be there."""
        return sum(self.not_allowed.values()) + self.objects


async def rows_by_table(owner_dsn: str, account: AccountId) -> dict[str, int]:
    """How many rows of every table name the account; tables without any are left out."""
    connection = await asyncpg.connect(owner_dsn)
    try:
        names = [row["name"] for row in await connection.fetch(_queries.tables_of_accounts)]
        counts = {name: await connection.fetchval(_COUNT.substitute(table=name), account.value) for name in names}
    finally:
        await connection.close()
    return {name: count for name, count in counts.items() if count}


async def look(custody: Custody, owner_dsn: str, account: AccountId) -> Remains:
    """All that is left of a closed account, and what of it should not be."""
    rows = await rows_by_table(owner_dsn, account)
    not_allowed = {name: count for name, count in rows.items() if name not in KEPT_WHOLE and name not in KEPT_IN_PART}
    connection = await asyncpg.connect(owner_dsn)
    try:
        for name in rows.keys() & OF_A_CATEGORY:
            others = await connection.fetchval(_OF_OTHERS.substitute(table=name), account.value, list(KEPT_CODES))
            not_allowed |= {name: others} if others else {}
        prefix = await connection.fetchval(_queries.object_prefix, account.value)
    finally:
        await connection.close()
    objects = [each.name async for each in custody.objects.list(prefix)]
    return Remains(rows, not_allowed, len(objects))


async def rows_of_records(connection: asyncpg.Connection, account: AccountId) -> list[StoredRecord]:
    """Every record of an account with its ciphertext, as its own database or a copy of it has them."""
    found: list[StoredRecord] = []
    for category in CATALOGUE:
        rows = await connection.fetch(statements(category).after, account.value, UUID(int=0), 1_000_000)
        found += [StoredRecord.from_row(account, category, row) for row in rows]
    return found


async def opened(
    custody: Custody, principal: Principal, rows: Sequence[StoredRecord], purposes: Sequence[Purpose]
) -> int:
    """How many of these the keeper opens for any of these purposes: each asked for by itself, with its leaf."""
    count = 0
    for row in rows:
        for purpose in purposes:
            try:
                found = await custody.open_stored(principal, [row], purpose=purpose)
            except SealwireError:
                continue
            if found:
                count += 1
                break
    return count
