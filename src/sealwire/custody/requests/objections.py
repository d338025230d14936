"""Objections (GDPR Art. 21): whose records reports and statistics leave out, from the day their objection was noted."""

from __future__ import annotations

from sealwire.custody.categories import Category, SubjectRequest, category_of
from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests.finding import pages, search
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord
from sealwire.governance.principals import Principal
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import Party, Purpose, RecordId

PURPOSE = Purpose.SERVICE_OPERATION
_REQUESTS = category_of(SubjectRequest)
_queries = load_queries(__package__)


async def objectors(custody: Custody, principal: Principal) -> list[Party]:
    """Who objected in this account and was not erased since; opened under a leaf."""
    account = principal.in_account()
    async with custody.database.account(account) as connection:
        done = [row["request_id"] for row in await connection.fetch(_queries.objections, account.value)]
        rows = await connection.fetch(statements(_REQUESTS).by_ids, account.value, done) if done else []
    stored = [StoredRecord.from_row(account, _REQUESTS, row) for row in rows]
    opened = await custody.open_stored(principal, stored, purpose=PURPOSE) if stored else []
    return [record.content.reveal()["subject"] for record in opened]


async def leave_out(custody: Custody, principal: Principal, category: Category) -> set[RecordId]:
    """The records of a category in which somebody who objected may occur: by token, so rather one too many."""
    if not category.findable_positions:
        return set()
    out: set[RecordId] = set()
    for person in await objectors(custody, principal):
        found = await search(custody, principal, person, purpose=PURPOSE)
        async for page in pages(custody, found):
            out |= {row.record for row in page.living if row.category is category}
    return out
