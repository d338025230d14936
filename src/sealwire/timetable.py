"""Every periodic duty of the worker: what, how often, why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Duty:
    """One thing that is done again and again; also at once when something asks for it."""

    name: str
    every_s: float
    why: str


RETRY_S = 1.0
"""How soon what could not be done is tried again; twice as long after each time, up to the duty's own period."""

ERASE = Duty("erase", 30.0, "erasures that were asked for; normally woken at once, this is the safety net")
REMOVE = Duty("remove", 300.0, "ciphertext of what is unreadable; large tables wait for the nightly compaction")
EXPIRE = Duty("expire", 600.0, "days past their retention period; the keeper refuses their keys anyway")
REINDEX = Duty("reindex", 60.0, "the blind index, which PostgreSQL empties after a crash")
FORGET_REQUESTS = Duty("forget-requests", 3600.0, "idempotency rows older than a day")

SETTLE = Duty("settle", 15.0, "periods that were chosen while the keeper was away; it is told before its first sweep")
HOLDS = Duty("holds", 15.0, "holds whose last day is past, and those that a crash left half placed or half released")
CLOSE = Duty("close", 15.0, "accounts whose grace has ended; woken when one begins, and otherwise found by looking")
CLEAR = Duty("clear", 300.0, "rows and objects of accounts that are closed and unreadable")
DELIVER = Duty("deliver", 5.0, "webhooks that are due; normally woken at once, retries are found by looking")
END_BACKUPS = Duty("end-backups", 3600.0, "backups whose cycle has ended; certificates say by when they are gone")

MAKE_REPORTS = Duty("make-reports", 5.0, "reports that were asked for; normally woken at once")
LET_LAPSE = Duty("let-lapse", 30.0, "money held for calls whose process died, and the entries of old reports")

MAKE_BACKUPS = Duty("make-backups", 1800.0, "a backup when the newest is older than the operator wants")

DUTIES = (
    MAKE_BACKUPS, HOLDS, ERASE, CLOSE, CLEAR, REMOVE, EXPIRE, REINDEX, FORGET_REQUESTS, END_BACKUPS, DELIVER,
    MAKE_REPORTS, LET_LAPSE, SETTLE,
)  # fmt: skip
