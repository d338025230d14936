"""The one clock. Everything that asks the time is handed one, so that years can be run in a test."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol

from sealwire.vocabulary import Day


class Clock(Protocol):
    """What time it is: `now` for people and due dates, `monotonic_s` for durations, the machine's sleep included."""

    def now(self) -> dt.datetime: ...

    def monotonic_s(self) -> float: ...


class SystemClock:
    """The machine's own clock, in UTC."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def monotonic_s(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)


class TestClock:
    """A clock that stands still until it is moved."""

    __test__ = False

    def __init__(self, start: dt.datetime) -> None:
        self._now = start
        self._monotonic_s = 0.0

    def now(self) -> dt.datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, **by: float) -> None:
        step = dt.timedelta(**by)
        self._now += step
        self._monotonic_s += step.total_seconds()


def today(clock: Clock) -> Day:
    """The current UTC day."""
    return Day.of(clock.now())


def rfc3339(moment: dt.datetime) -> str:
    """A moment as RFC 3339 in UTC with milliseconds: 2026-11-23T11:30:00.000Z."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
