"""Until when a person must have an answer (GDPR Art. 12(3)): whole months by the calendar, never a number of days."""

from __future__ import annotations

import calendar
import datetime as dt


def months_after(day: dt.date, months: int) -> dt.date:
    """The day with the same number so many months later; the last day of a month that has no such day."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return dt.date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def shifted(due: dt.date, *, doubted_on: dt.date, shown_on: dt.date) -> dt.date:
    """The deadline after the identity was in doubt: the time waits until the person has shown who they are."""
    return due + max(shown_on - doubted_on, dt.timedelta())
