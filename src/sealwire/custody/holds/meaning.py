"""What a hold is asked for: records by id, records of a number, or whole days of a category."""

from __future__ import annotations

import datetime as dt

from sealwire.custody.categories import Category
from sealwire.custody.holds.book import Kind, queries
from sealwire.custody.holds.refusals import NothingToHold, TooMuchHeld
from sealwire.custody.holds.ritual import DAYS_MAX
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests.finding import records_of_number
from sealwire.custody.store import StoredRecord
from sealwire.errors import Malformed
from sealwire.governance.principals import Principal
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import E164, AccountId, Purpose

__all__ = ["DayPath", "PeriodBackwards", "days_of_period", "records_to_hold"]
PURPOSE_OF = {Kind.LEGAL_HOLD: Purpose.LEGAL_CLAIM, Kind.RESTRICTION: Purpose.SUBJECT_REQUEST}


class PeriodBackwards(Malformed):
    """The first day of a period lies after its last; write them the other way round."""


async def days_of_period(
    connection: Connection, account: AccountId, category: Category, first: dt.date, last: dt.date
) -> list[DayPath]:
    """The days of the key tree on which a category's records of this period lie, of every retention class."""
    if first > last:
        raise PeriodBackwards
    if category.passing:
        raise NothingToHold
    length = (last - first).days + 1
    if length > DAYS_MAX:
        raise TooMuchHeld
    moments = (dt.datetime.combine(first + dt.timedelta(days=n), dt.time(), dt.UTC) for n in range(length))
    days = sorted({int(category.day_at(moment)) for moment in moments})
    rows = await connection.fetch(queries.classes_of, account.value, category.code)
    classes = [row["retention_class"] for row in rows] or [0]
    return [DayPath(category.code, retention_class, day) for retention_class in classes for day in days]


async def records_to_hold(custody: Custody, principal: Principal, number: E164, kind: Kind) -> list[StoredRecord]:
    """Every record in which this number occurs, on either side; found and confirmed as for a subject request."""
    return await records_of_number(custody, principal, number, purpose=PURPOSE_OF[kind])
