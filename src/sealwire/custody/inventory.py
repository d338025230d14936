"""What is held for an account: by category, with purpose, amount, age, next expiry and place. Opens nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sealwire.custody.categories import CATALOGUE
from sealwire.custody.lifecycle import Custody
from sealwire.custody.retention.periods import periods_of
from sealwire.custody.storage import statements
from sealwire.vocabulary import AccountId, Day


@dataclass(frozen=True, slots=True)
class InventoryLine:
    """One category of an account."""

    category: str
    purpose: str
    role: str
    records: int
    bytes: int
    oldest: dt.datetime | None
    next_expiry: dt.date | None
    retention_days: int
    where: list[str]


async def inventory(custody: Custody, account: AccountId) -> list[InventoryLine]:
    """One line per category of the catalogue, empty ones included: absence is an answer too."""
    lines = []
    async with custody.database.account(account) as connection:
        chosen = {
            each.category.code: each.days for each in await periods_of(connection, account) if each.retention_class == 0
        }
        for category in CATALOGUE:
            row = await connection.fetchrow(statements(category).inventory, account.value)
            assert row is not None
            due = row["next_due_day"]
            line = InventoryLine(
                category=category.name,
                purpose=category.purpose,
                role=category.role.value,
                records=row["records"],
                bytes=row["bytes"],
                oldest=row["oldest"],
                next_expiry=Day(due).date if due is not None else None,
                retention_days=chosen.get(category.code, category.retention.days_default),
                where=["database", "objects"] if category.has_media else ["database"],
            )
            lines.append(line)
    return lines
