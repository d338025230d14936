"""Makes reports: page by page from custody, sealed as they are written, kept like any other record.

(1) what an earlier life of this process left half made is removed, and begun anew;
(2) records are read in pages and opened page by page, one leaf each, when content was asked for;
(3) each page is written, sealed and stored before the next is read, so a report of any length needs little memory;
(4) the report is kept. A report with content during which something was erased is made anew: it may hold what went.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

from sealwire.communications.reports.book import Report, find, queries
from sealwire.communications.reports.writing import writer_for
from sealwire.communications.webhooks.events import Announcer, Event
from sealwire.custody import categories
from sealwire.custody.erasure import Ground, request_records
from sealwire.custody.lifecycle import Custody, Kept, MediaKeeping, RecordErased
from sealwire.custody.requests.objections import leave_out
from sealwire.custody.retention.periods import periods_of
from sealwire.custody.store import StoredRecord
from sealwire.errors import SealwireError, Unavailable
from sealwire.governance.principals import Principal, Scope
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, Day, ReportId

PAGE = 250
ATTEMPTS_MAX = 5
"""How often a report may be cut off by the end of its process; waiting for a part that is away is not counted."""
COMMITS_WITHIN = dt.timedelta(seconds=5)
"""An erasure that was asked for so long before may have been committed after the first page was read."""


class ErasedMeanwhileReported(Unavailable):
    """Something was erased while the report was made, so it is made anew."""


class ReportMaker:
    """One per installation, in the worker process, with custody on the service's own database role."""

    def __init__(
        self, custody: Custody, *, backup_cycle_days: int, announcer: Announcer | None = None, page: int = PAGE
    ) -> None:
        self._custody, self._announcer, self._page = custody, announcer, page
        self._backup_cycle_days = backup_cycle_days
        self._cleaned: set[AccountId] = set()

    async def make_pending(self) -> bool:
        """Make what is queued, one after another; False when something has to be tried again."""
        async with self._custody.database.system() as connection:
            rows = await connection.fetch(queries.reports_to_make)
        made = [await self._make_guarded(AccountId(row["account_id"]), ReportId(row["report_id"])) for row in rows]
        return all(made)

    async def _make_guarded(self, account: AccountId, report_id: ReportId) -> bool:
        async with self._custody.database.account(account) as connection:
            report = await find(connection, account, report_id)
        try:
            await self._clean(account)
            if report.attempts >= ATTEMPTS_MAX:
                return await self._fail(report, "given-up")
            await self._make(report)
        except Unavailable as error:
            diagnostics.failure("report.waits", error, report=report_id)
            async with self._custody.database.account(account) as connection:
                await connection.execute(queries.put_back, account.value, report_id.value)
            return False
        except SealwireError as error:
            return await self._fail(report, error.code())
        except Exception as error:
            diagnostics.failure("report.failed", error, report=report_id)
            return await self._fail(report, "internal")
        return True

    async def _clean(self, account: AccountId) -> None:
        """(1)"""
        if account not in self._cleaned:
            await self._custody.remove_abandoned_media(account, categories.Report)
            self._cleaned.add(account)

    async def _make(self, report: Report) -> None:
        custody, began_at = self._custody, self._custody.clock.now()
        rows_in_all = await custody.count(report.account, report.category, report.begins, report.ends)
        async with custody.database.account(report.account) as connection:
            if await connection.fetchval(queries.credential_is_revoked, report.account.value, report.credential.value):
                return await self._fail_now(report, "credential-revoked")
            await connection.execute(queries.begin_report, report.account.value, report.report.value, rows_in_all)
        starts_at = await self._starts_at(report, Day.of(began_at))
        media = await custody.begin_media(report.account, categories.Report, starts_at_day=starts_at)
        try:
            written = await self._write(report, media)
            kept = await custody.keep(
                report.account,
                categories.Report(
                    report_id=report.report, made_at=began_at, of=report.of, format=report.format, rows=written,
                    sha256=await media.finish(), with_content=report.with_content,
                ),
                media=media,
            )  # fmt: skip
        except BaseException:
            await media.abort()
            raise
        await self._finish(report, kept, written, began_at)
        return None

    async def _starts_at(self, report: Report, today: Day) -> Day:
        """Where its period starts. With content it is put back, so that it is due when the first of its records is."""
        if not report.with_content:
            return today
        first = await self._custody.first_due(report.account, report.category, report.begins, report.ends)
        days = await self._report_days(report)
        return today if first is None else Day(min(int(today), max(int(first), int(today)) - days))

    async def _report_days(self, report: Report) -> int:
        async with self._custody.database.account(report.account) as connection:
            found = await periods_of(connection, report.account)
        of_reports = categories.category_of(categories.Report)
        days = (each.days for each in found if each.category is of_reports and each.retention_class == 0)
        return next(days, of_reports.retention.days_default)

    async def _write(self, report: Report, media: MediaKeeping) -> int:
        """(2) and (3)"""
        names = ["record_id", *(field.name for field in report.category.plain_fields)]
        content = [field.name for field in report.category.sealed_fields] if report.with_content else []
        writer, written = writer_for(report.format, names + content), 0
        who = Principal(report.credential, report.account, frozenset({Scope.OPEN}), None)
        out = await leave_out(self._custody, who, report.category)  # who objected (GDPR Art. 21)
        await media.write(writer.begin())
        async for found in self._pages(report):
            page = [row for row in found if row.record not in out]
            await media.write(writer.rows(await self._rows(report, page, content)))
            written += len(page)
            async with self._custody.database.account(report.account) as connection:
                await connection.execute(queries.note_progress, report.account.value, report.report.value, written)
        await media.write(writer.end())
        return written

    async def _pages(self, report: Report) -> AsyncIterator[list[StoredRecord]]:
        """Newest first, from before `ends` to `begins`."""
        clock = report.category.retention.starts
        before: tuple[dt.datetime, UUID] = (report.ends, UUID(int=0))
        while True:
            page = await self._custody.page(report.account, report.category, before=before, limit=self._page)
            wanted = [row for row in page if row.plain[clock] >= report.begins]
            if wanted:
                yield wanted
            if len(page) < self._page or len(wanted) < len(page):
                return
            before = page[-1].plain[clock], page[-1].record.value

    async def _rows(self, report: Report, page: list[StoredRecord], content: Sequence[str]) -> list[list[Any]]:
        plain = [field.name for field in report.category.plain_fields]
        opened: dict[Any, dict[str, Any]] = {}
        if report.with_content:
            assert report.purpose is not None
            principal = Principal(report.credential, report.account, frozenset({Scope.OPEN}), report.purpose)
            found = await self._custody.open_stored(principal, page, purpose=report.purpose)
            opened = {record.stored.record: record.content.reveal() for record in found}
        return [
            [row.record, *(row.plain[name] for name in plain)]
            + [opened.get(row.record, {}).get(name) for name in content]
            for row in page
        ]

    async def _finish(self, report: Report, kept: Kept, written: int, began_at: dt.datetime) -> None:
        """(4)"""
        account, now = report.account, self._custody.clock.now()
        async with self._custody.database.account(account) as connection:
            since = began_at - COMMITS_WITHIN
            if report.with_content and await connection.fetchval(queries.erased_since, account.value, since):
                is_stale = True
            else:
                is_stale = False
                await connection.execute(
                    queries.finish_report, account.value, report.report.value, written, kept.record.value, now,
                    kept.due_day.date,
                )  # fmt: skip
        if is_stale:
            await self._erase(account, kept)
            raise ErasedMeanwhileReported
        diagnostics.event("report.ready", report=report.report, rows=written)
        if self._announcer is not None:
            await self._announcer.announce(account, Event.REPORT_READY, report=str(report.report), rows=written)

    async def _erase(self, account: AccountId, kept: Kept) -> None:
        """A report that holds what was erased while it was made. The erasure did not see it, so it gets its own."""
        with suppress(RecordErased):
            stored = await self._custody.find(account, [kept.record])
            async with self._custody.database.account(account) as connection:
                await request_records(
                    connection, account, stored, ground=Ground.INSTRUCTION, requested_by="reports",
                    backup_cycle_days=self._backup_cycle_days, clock=self._custody.clock,
                )  # fmt: skip

    async def _fail(self, report: Report, why: str) -> bool:
        await self._fail_now(report, why)
        return True

    async def _fail_now(self, report: Report, why: str) -> None:
        now = self._custody.clock.now()
        async with self._custody.database.account(report.account) as connection:
            await connection.execute(queries.fail_report, report.account.value, report.report.value, why, now)
        diagnostics.event("report.given-up", report=report.report, why=why)
