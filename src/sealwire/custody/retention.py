"""Storage limitation (GDPR Art. 5(1)(e)): days past due are erased like anything else, one tree node each."""

from __future__ import annotations

from sealwire.custody.categories import CATALOGUE
from sealwire.custody.erasure import Ground, request_day
from sealwire.custody.storage import statements
from sealwire.custody.store import queries
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, today
from sealwire.ground.postgres.database import Connection, Database
from sealwire.vocabulary import AccountId, Day

DAYS_PER_RUN_MAX = 100
CLOCK_JUMP_S_MAX = 300.0


class ClockWatch:
    """Whether the wall clock goes on as time does. One that was set far ahead would make everything look due.

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
                expired += await _expire_account(connection, account, clock, backup_cycle_days)
        except Exception as error:
            failed += 1
            diagnostics.failure("retention.account-failed", error, account=account)
    if expired or failed:
        diagnostics.event("retention.expired", days=expired, accounts_failed=failed)
    return expired


async def _expire_account(connection: Connection, account: AccountId, clock: Clock, backup_cycle_days: int) -> int:
    expired, now = 0, int(today(clock))
    for category in CATALOGUE:
        for row in await connection.fetch(statements(category).due_days, account.value, now, DAYS_PER_RUN_MAX):
            erasure = await request_day(
                connection, account, category, Day(row["day"]), retention_class=row["retention_class"],
                ground=Ground.RETENTION, requested_by="timetable", backup_cycle_days=backup_cycle_days, clock=clock,
            )  # fmt: skip
            expired += erasure is not None
    await connection.execute(queries.drop_passed, account.value, now)
    return expired
