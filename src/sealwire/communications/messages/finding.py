"""What is left of records that may have been erased meanwhile."""

from __future__ import annotations

from sealwire.custody.categories import Category
from sealwire.custody.lifecycle import Custody, RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.vocabulary import AccountId, RecordId


async def living(
    custody: Custody, account: AccountId, records: list[RecordId], *, category: Category
) -> list[StoredRecord]:
    """Those of these records that are alive, in the order asked; usually one look-up, more where some are gone."""
    if not records:
        return []
    try:
        return await custody.find(account, records, category=category)
    except (RecordErased, RecordMissing):
        if len(records) == 1:
            return []
        half = len(records) // 2
        left = await living(custody, account, records[:half], category=category)
        return left + await living(custody, account, records[half:], category=category)
