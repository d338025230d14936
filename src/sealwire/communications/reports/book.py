"""Reports as they are asked for: state rows that survive whatever makes them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sealwire.custody.categories import BY_NAME, Category
from sealwire.errors import Missing, Refused, Unavailable
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CredentialId, Purpose, RecordId, ReportId

queries = load_queries(__package__)
CHANNEL = "sealwire_reports"
UNFINISHED_MAX = 20
ROWS_KEPT = dt.timedelta(days=90)
OF = {
    "call-records": "call-record",
    "application-records": "application-record",
    "message-records": "message-record",
    "billing-records": "billing-record",
    "recordings": "recording",
    "webhook-deliveries": "webhook-delivery",
}
"""What reports can be of, and the category that is."""


class ReportMissing(Missing):
    """Nothing is known under this id."""


class TooManyReports(Refused):
    """The account has 20 reports under way, which is as many as it may; wait for one of them."""


class ReportNotReady(Unavailable):
    """The report is still being made; look at its progress and come back."""


class ReportFailed(Refused):
    """This report could not be made, so there is nothing to fetch; see its `failure`, and ask for a new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report and how far it has come."""

    account: AccountId
    report: ReportId
    of: str
    format: str
    begins: dt.datetime
    ends: dt.datetime
    with_content: bool
    purpose: Purpose | None
    credential: CredentialId
    asked_at: dt.datetime
    state: str = "queued"
    attempts: int = 0
    rows_in_all: int | None = None
    rows_written: int = 0
    failure: str | None = None
    record: RecordId | None = None
    ended_at: dt.datetime | None = None
    expires_on: dt.date | None = None

    @classmethod
    def from_row(cls, account: AccountId, row: Any) -> Report:
        fields = dict(row)
        report, credential = ReportId(fields.pop("report_id")), CredentialId(fields.pop("credential_id"))
        purpose, record = fields.pop("purpose"), fields.pop("record_id")
        return cls(
            account=account, report=report, credential=credential, purpose=Purpose(purpose) if purpose else None,
            record=RecordId(record) if record else None, **fields,
        )  # fmt: skip

    @property
    def category(self) -> Category:
        """The category whose records it is made from."""
        return BY_NAME[OF[self.of]]


async def ask(connection: Connection, report: Report) -> None:
    """Queue a report; TooManyReports when the account has enough under way."""
    if await connection.fetchval(queries.unfinished, report.account.value) >= UNFINISHED_MAX:
        raise TooManyReports
    await connection.execute(
        queries.insert_report, report.account.value, report.report.value, report.of, report.format, report.begins,
        report.ends, report.with_content, report.purpose.value if report.purpose else None, report.credential.value,
        report.asked_at,
    )  # fmt: skip
    await connection.execute(queries.wake_maker)


async def find(connection: Connection, account: AccountId, report: ReportId) -> Report:
    """One report of this account."""
    row = await connection.fetchrow(queries.find_report, account.value, report.value)
    if row is None:
        raise ReportMissing
    return Report.from_row(account, row)


async def page(
    connection: Connection, account: AccountId, *, before: tuple[dt.datetime, UUID] | None, limit: int
) -> list[Report]:
    """The account's reports, newest first."""
    moment, report = before or (None, None)
    rows = await connection.fetch(queries.page_of_reports, account.value, moment, report, limit)
    return [Report.from_row(account, row) for row in rows]


async def drop_old(database: Database, clock: Clock) -> None:
    """Forget reports that ended long ago; what they held has expired before. For the worker."""
    async with database.system() as connection:
        await connection.execute(queries.drop_old_reports, clock.now() - ROWS_KEPT)
