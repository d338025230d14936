"""What resources of records have in common: a page without content, one record, one that is opened for a purpose."""

from __future__ import annotations

from collections.abc import Sequence

from sealwire.custody.categories import Category
from sealwire.custody.holds import Restricted
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import OpenedRecord, StoredRecord
from sealwire.doors.api.pagination import Position, cut_page, read_cursor
from sealwire.doors.api.parts import Visit
from sealwire.doors.api.problems import IdMalformed
from sealwire.errors import Gone, Malformed, Unavailable
from sealwire.governance.principals import PurposeMissing
from sealwire.vocabulary import Purpose, RecordId


class ContentGone(Gone):
    """The key of this record no longer exists: it was erased a moment ago, or its retention period is over."""


OPENING = (RecordMissing, RecordErased, ContentGone, Restricted, IdMalformed, PurposeMissing, Malformed, Unavailable)
"""What opening one record by its address may answer."""


async def page_of(
    here: Visit, category: Category, *, kind: str, cursor: str | None, limit: int
) -> tuple[Sequence[StoredRecord], str | None]:
    """A page of the account's records, newest first, and the cursor to the next; `kind` names the list in cursors."""
    before = read_cursor(kind, cursor)
    rows = await here.parts.custody.page(here.account, category, before=before, limit=limit + 1)
    return cut_page(kind, rows, limit=limit, position=position_of)


def position_of(row: StoredRecord) -> Position:
    """Where a record stands in the list of its category."""
    return row.plain[row.category.retention.starts], row.record.value


async def find_one(here: Visit, category: Category, record: RecordId) -> StoredRecord:
    """A record of this account and category; RecordMissing, RecordErased."""
    (stored,) = await here.parts.custody.find(here.account, [record], category=category)
    return stored


async def open_one(here: Visit, stored: StoredRecord, *, purpose: Purpose) -> OpenedRecord:
    """A record that was found, opened after its leaf is in the log; ContentGone when the keeper could not."""
    opened = await here.parts.custody.open_stored(here.principal, [stored], purpose=purpose)
    if not opened:
        raise ContentGone
    return opened[0]
