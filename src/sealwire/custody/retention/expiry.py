"""Storage limitation (GDPR Art. 5(1)(e)): days past due are erased like anything else, one tree node each.

A run that erased leaves a leaf; one that had to catch up with a missed night leaves an alarm beside it. What is past
due only since its period was shortened was not missed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.erasure import Ground, request_day
from sealwire.custody.retention import periods
from sealwire.custody.storage import statements
from sealwire.custody.store import queries
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339, today
from sealwire.ground.postgres.database import Connection, Database
from sealwire.vocabulary import AccountId, Day

DAYS_PER_RUN_MAX = 100
CLOCK_JUMP_S_MAX = 300.0
NIGHT_DAYS = 1
"""A day goes on the day after the last one on which it is kept; later than that, a night was missed."""


class ClockWatch:
    """Whether the wall clock goes on as time since boot does, the machine's sleep included.

    One that was set far ahead would make everything look due.

    A clock that drifts is followed from look to look; one that jumps is suspect until it is back, or until the
    process is started again by somebody who has looked at it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._trusted = clock.now(), clock.monotonic_s()

    def is_suspect(self) -> bool:
        """True, and told in the diagnostics, while the clock is more than 5 minutes from where it should be."""
        now, monotonic_s = self._clock.now(), self._clock.monotonic_s()
        jump_s = (now - self._trusted[0]).total_seconds() - (monotonic_s - self._trusted[1])
        if abs(jump_s) > CLOCK_JUMP_S_MAX:
            diagnostics.event("clock.suspect", jump_s=round(jump_s))
            return True
        self._trusted = now, monotonic_s
        return False


async def expire_due(
    database: Database, clock: Clock, *, backup_cycle_days: int, watch: ClockWatch | None = None
) -> int:
    """Hide every day that is past due and hand it to the eraser; how many days: none while the clock is suspect.

    An account where this fails is told in the diagnostics and holds up no other.
    """
    if watch is not None and watch.is_suspect():
        return 0
    async with database.system() as connection:
        accounts = [AccountId(row["account_id"]) for row in await connection.fetch(queries.accounts)]
    expired, failed = 0, 0
    for account in accounts:
        try:
            async with database.account(account) as connection:
                run = await _expire_account(connection, account, clock, backup_cycle_days)
                await _tell_of(connection, account, run, clock)
            expired += run.days
        except Exception as error:
            failed += 1
            diagnostics.failure("retention.account-failed", error, account=account)
    if expired or failed:
        diagnostics.event("retention.expired", days=expired, accounts_failed=failed)
    return expired


@dataclass(slots=True)
class _Run:
    """What one run took of one account."""

    by_category: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    oldest_due: int | None = None

    @property
    def days(self) -> int:
        return self.by_category.total()

    def note(self, category: Category, *, due_day: int, since: int, now: int) -> None:
        """Count a day. It was missed when it could have gone on a day before yesterday's night and did not."""
        self.by_category[category.name] += 1
        if now - max(due_day, since) > NIGHT_DAYS:
            self.missed += 1
            self.oldest_due = min(due_day, self.oldest_due if self.oldest_due is not None else due_day)


async def _expire_account(connection: Connection, account: AccountId, clock: Clock, backup_cycle_days: int) -> _Run:
    run, now = _Run(), int(today(clock))
    for category in CATALOGUE:
        for row in await connection.fetch(statements(category).due_days, account.value, now, DAYS_PER_RUN_MAX):
            erasure = await request_day(
                connection, account, category, Day(row["day"]), retention_class=row["retention_class"],
                ground=Ground.RETENTION, requested_by="timetable", backup_cycle_days=backup_cycle_days, clock=clock,
            )  # fmt: skip
            if erasure is not None:
                run.note(category, due_day=row["due_day"], since=row["changed_day"], now=now)
    await connection.execute(queries.drop_passed, account.value, now)
    return run


async def _tell_of(connection: Connection, account: AccountId, run: _Run, clock: Clock) -> None:
    """A leaf of each run that erased, and an alarm when it had to catch up."""
    if not run.days:
        return
    at = rfc3339(clock.now())
    payload = {"days": run.days, "categories": dict(run.by_category), "at": at}
    await post_event(connection, account, LeafClass.RETENTION_RUN, payload)
    if run.missed:
        assert run.oldest_due is not None
        alarm = {"days": run.missed, "oldest_due": Day(run.oldest_due).date.isoformat(), "at": at}
        await post_event(connection, account, LeafClass.RETENTION_MISSED, alarm)
        diagnostics.event("retention.missed", account=account, days=run.missed)
    await connection.execute(periods.queries.note_run, account.value, clock.now(), run.days, run.missed)
