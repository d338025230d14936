"""What Sealwire promises about time and erasure, and nothing of how: small enough to be read and believed.

A day is a number. What is kept has a last day; on the day after it is gone for ever, unless it is held.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Rule:
    """A category: how long it is kept, and what becomes of it when the person in one of its fields is erased."""

    days: int
    destroys: frozenset[str] = frozenset()
    detaches: frozenset[str] = frozenset()
    at_year_end: bool = False
    keeps_row: bool = False  # without its person it stays, as amounts and dates
    is_statutory: bool = False


BOTH_OF_A_CALL, BOTH_OF_A_MESSAGE = frozenset({"caller", "callee"}), frozenset({"sender", "recipient"})
RULES = {
    "call-record": Rule(90, frozenset({"caller"}), frozenset({"callee"})),
    "recording": Rule(28, BOTH_OF_A_CALL),
    "billing-record": Rule(
        3650, detaches=frozenset({"destination"}), at_year_end=True, keeps_row=True, is_statutory=True
    ),
    "message-record": Rule(90, BOTH_OF_A_MESSAGE),
    "message-content": Rule(28, BOTH_OF_A_MESSAGE),
    "subject-request": Rule(1095, detaches=frozenset({"subject"}), keeps_row=True),
}
GOES_ALONG = {"message-record": "message-content"}  # with its record goes what was written


class State(StrEnum):
    """What somebody finds who asks for a record."""

    OPENS = "opens"
    RESTRICTED = "restricted"
    NAMELESS = "stays without its person"
    GONE = "gone"
    LOST = "lost with what was kept after a backup"
    STATUTE = "opens for the statute alone"


@dataclass
class Record:
    """One record that was ever kept."""

    name: str
    account: str
    category: str
    retention_class: int
    day: int
    bundle: str
    parties: dict[str, str]
    nameless: bool = False
    is_owed: bool = False  # its day was erased while it was held
    is_gone: bool = False
    is_lost: bool = False

    @property
    def rule(self) -> Rule:
        return RULES[self.category]

    @property
    def place(self) -> tuple[str, int, int]:
        return self.category, self.retention_class, self.day


@dataclass
class Hold:
    """A hold or a restriction: of records by name, or of whole days of a category."""

    account: str
    until: int
    restricts: bool
    records: set[str] = field(default_factory=set)
    days: set[tuple[str, int, int]] = field(default_factory=set)

    def covers(self, record: Record) -> bool:
        return record.account == self.account and (record.name in self.records or record.place in self.days)


@dataclass
class Promise:
    """The whole of it: what was kept, for how long, who holds what, who is leaving."""

    today: int
    statute_days: int
    records: dict[str, Record] = field(default_factory=dict)
    periods: dict[tuple[str, str, int], int] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    leaving: dict[str, int] = field(default_factory=dict)  # account: the day on which the grace ends
    closed: set[str] = field(default_factory=set)

    def days(self, account: str, category: str, retention_class: int) -> int:
        return self.periods.get((account, category, retention_class), RULES[category].days)

    def keep(self, record: Record) -> bool:
        """Whether it is kept: not of a category of which nothing is kept, nor in an account that is closed."""
        if not self.days(record.account, record.category, record.retention_class):
            return False
        if record.rule.at_year_end:
            year = (EPOCH + dt.timedelta(days=record.day)).year
            record.day = (dt.date(year, 12, 31) - EPOCH).days
        self.records[record.name] = record
        return True

    def last_day(self, record: Record) -> int:
        """Every record has one."""
        return record.day + self.days(record.account, record.category, record.retention_class)

    def holding(self, record: Record) -> list[Hold]:
        return [hold for hold in self.holds.values() if self.today <= hold.until and hold.covers(record)]

    def alive(self) -> list[Record]:
        return [record for record in self.records.values() if not record.is_gone and not record.is_lost]

    def state(self, name: str) -> State:
        record = self.records[name]
        if record.is_gone:
            return State.GONE
        if record.is_lost:
            return State.LOST
        if record.nameless:
            return State.NAMELESS
        holding = self.holding(record)
        if any(hold.restricts for hold in holding):
            return State.RESTRICTED
        is_left = record.account in self.closed and not holding
        return State.STATUTE if is_left else State.OPENS

    def settle(self) -> None:
        """What must be gone by now: past its date, or of an account that is closed, and not held."""
        for account in [account for account, ends in self.leaving.items() if ends <= self.today]:
            self.closed.add(account)
            del self.leaving[account]
            self.periods[account, "billing-record", 0] = self.statute_days
        for record in self.alive():
            left = record.account in self.closed and not record.rule.is_statutory
            is_due = record.is_owed or left or self.last_day(record) < self.today
            record.is_gone = is_due and not self.holding(record)

    def pass_to(self, day: int) -> None:
        self.today = day
        self.settle()

    def next_event(self) -> int | None:
        """The next day on which something goes or ends by itself."""
        days = [self.last_day(record) + 1 for record in self.alive()]
        days += [hold.until + 1 for hold in self.holds.values()]
        days += self.leaving.values()
        return min((day for day in days if day > self.today), default=None)

    def set_period(self, account: str, category: str, retention_class: int, days: int) -> None:
        """Counts for what is kept already; brings nothing back."""
        self.periods[account, category, retention_class] = days
        self.settle()

    def release(self, name: str) -> None:
        self.holds.pop(name, None)
        self.settle()

    def erase(self, record: Record) -> None:
        """By itself, and with it what only repeats it; what is held stays."""
        along = [
            other for other in self.alive() if other.account == record.account and other.bundle == record.bundle
            and (other.rule.is_statutory or GOES_ALONG.get(record.category) == other.category)
        ]  # fmt: skip
        whole = record.category in ("call-record", "message-record")
        for one in [record, *(along if whole else ())]:
            if one is record or not self.holding(one):
                one.nameless, one.is_gone = one.rule.keeps_row, not one.rule.keeps_row

    def erase_day(self, account: str, category: str, retention_class: int, day: int) -> None:
        """A whole day; what is held of it by itself is owed."""
        for record in self.alive():
            record.is_owed |= record.account == account and record.place == (category, retention_class, day)
        self.settle()

    def about(self, account: str, number: str) -> list[Record]:
        """Everything in which a number stands and still can be read."""
        return [
            one for one in self.alive()
            if one.account == account and not one.nameless and number in one.parties.values()
        ]  # fmt: skip

    def forget(self, account: str, number: str) -> None:
        """A person: destroyed, or without them where it is somebody else's; what is held stays."""
        for record in self.about(account, number):
            if self.holding(record) or record.is_gone or record.nameless:
                continue
            roles = {role for role, who in record.parties.items() if who == number}
            if roles <= record.rule.detaches and not record.rule.keeps_row:
                record.parties = {role: "" if role in roles else who for role, who in record.parties.items()}
            else:
                self.erase(record)

    def lose(self, names: Iterable[str]) -> None:
        """A restore brings back none of these; what was gone stays gone."""
        for name in names:
            self.records[name].is_lost = not self.records[name].is_gone
