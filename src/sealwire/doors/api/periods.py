"""Periods in requests: from one moment to another, in UTC."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from litestar.params import QueryParameter

from sealwire.communications.accounting.billing import Period
from sealwire.errors import Malformed
from sealwire.ground.clock import Clock

DAYS_DEFAULT, DAYS_MAX = 31, 400


class PeriodWrong(Malformed):
    """The period is not one: `from` lies before `to`, both with their offset from UTC, at most 400 days apart."""


From = Annotated[
    dt.datetime | None,
    QueryParameter(name="from", description="The first moment, RFC 3339 with its offset; 31 days before `to`."),
]
To = Annotated[dt.datetime | None, QueryParameter(name="to", description="The first moment after it; now.")]


def period_of(begins: dt.datetime | None, ends: dt.datetime | None, clock: Clock) -> Period:
    """The period that is meant; PeriodWrong when it is empty, endless or without an offset."""
    ends = ends or clock.now()
    if ends.tzinfo is None or (begins is not None and begins.tzinfo is None):
        raise PeriodWrong
    try:
        begins = begins or ends - dt.timedelta(days=DAYS_DEFAULT)
        period = Period(begins.astimezone(dt.UTC), ends.astimezone(dt.UTC))
    except OverflowError:
        raise PeriodWrong from None
    if not dt.timedelta() < period.ends - period.begins <= dt.timedelta(days=DAYS_MAX):
        raise PeriodWrong
    return period
