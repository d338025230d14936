"""Reports: extracts as CSV or JSON, asked for here, made in the background, fetched when ready, gone after a week."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.response import Stream
from litestar.status_codes import HTTP_202_ACCEPTED
from msgspec import Meta

from sealwire.communications.reports import book
from sealwire.communications.reports.book import Report, ReportFailed, ReportMissing, ReportNotReady, TooManyReports
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import IdempotencyKey, Moment, MomentOrNull, NextCursor, PurposeHeader, in_path
from sealwire.doors.api.fields import id_in_address as id_of
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, cut_page, read_cursor
from sealwire.doors.api.parts import Here
from sealwire.doors.api.periods import PeriodWrong, period_of
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.errors import Malformed, Unavailable
from sealwire.governance.principals import NotPermitted, PurposeMissing, Scope
from sealwire.vocabulary import Purpose, ReportId

NAME = "reports"
_EXAMPLE = "rep_5f0c1e2d9a7b4c6e8f10213243546576"
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
ReportPath = Annotated[str, in_path("The report's id.", _EXAMPLE)]
Of = Literal[
    "call-records", "application-records", "message-records", "billing-records", "recordings", "webhook-deliveries"
]


class NewReport(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to extract. Without content it is made from what lists show; with content every record is opened."""

    of: Annotated[Of, Meta(examples=["call-records"])]
    format: Annotated[Literal["csv", "json"], Meta(examples=["csv"])] = "csv"
    begins: Annotated[
        dt.datetime | None, Meta(description="The first moment, with its offset; 31 days before `ends`.")
    ] = None
    ends: Annotated[dt.datetime | None, Meta(description="The first moment after the period; now.")] = None
    with_content: Annotated[
        bool, Meta(description="Open each record; needs the scope records:open and a purpose.", examples=[False])
    ] = False
    purpose: Annotated[
        Annotated[str, Meta(max_length=100, extra_json_schema={"enum": [each.value for each in Purpose]})] | None,
        Meta(description="Why content is opened; the credential's default purpose.", examples=[None]),
    ] = None


class ReportSeen(msgspec.Struct, kw_only=True):
    """A report and how far it has come."""

    id: Annotated[str, Meta(description="The report's id.", examples=[_EXAMPLE])]
    of: Annotated[str, Meta(examples=["call-records"])]
    format: Annotated[str, Meta(examples=["csv"])]
    begins: Moment
    ends: Moment
    with_content: Annotated[bool, Meta(examples=[False])]
    asked_at: Moment
    state: Annotated[
        str, Meta(description="queued, running, ready or failed; erased once it is gone.", examples=["ready"])
    ]
    progress: Annotated[float, Meta(description="From 0 to 1.", examples=[1.0])]
    rows: Annotated[int, Meta(description="Rows written so far.", examples=[120])]
    failure: Annotated[str | None, Meta(description="Why it failed, by name.", examples=[None])]
    record_id: Annotated[
        str | None,
        Meta(description="Its record in custody, by which it can be erased early.", examples=[f"rec_{_EXAMPLE[4:]}"]),
    ]
    ended_at: MomentOrNull
    expires_on: Annotated[dt.date | None, Meta(description="The last day it is kept.", examples=["2026-11-30"])]


class ReportPage(msgspec.Struct, kw_only=True):
    """A page of reports, newest first."""

    items: list[ReportSeen]
    next_cursor: NextCursor


@post(
    "/v1/reports",
    status_code=HTTP_202_ACCEPTED,
    **operation(
        "create-report", "Reports", Scope.READ, summary="Ask for a report", body={"of": "call-records"},
        raises=(
            PeriodWrong, TooManyReports, PurposeMissing, NotPermitted, Malformed, IdempotencyConflict,
            IdempotencyKeyMalformed,
        ),
    ),
)  # fmt: skip
async def create_report(
    here: Here, data: JSONBody[NewReport], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[ReportSeen]:
    """It is made in the background, also across a restart; follow it, or let the webhook `report.ready` tell you. One
    with content is erased with the first erasure of the account that follows: it may hold what goes.
    """
    account, parts = here.account, here.parts
    if data.with_content:
        here.principal.require(Scope.OPEN)
    period = period_of(data.begins, data.ends, parts.clock)
    report = Report(
        account=account, report=ReportId.new(), of=data.of, format=data.format, begins=period.begins, ends=period.ends,
        with_content=data.with_content, purpose=here.principal.purpose(data.purpose) if data.with_content else None,
        credential=here.principal.credential, asked_at=parts.clock.now(),
    )  # fmt: skip
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen = await once.seen(connection, account)
        if seen is None:
            await book.ask(connection, report)
            await once.remember(connection, account, str(report.report))
        found = await book.find(connection, account, ReportId.parse(seen) if seen else report.report)
    headers = {"Location": f"/v1/reports/{found.report}"} | (REPLAYED if seen else {})
    return Response(_seen(found), status_code=HTTP_202_ACCEPTED, headers=headers)


@get(
    "/v1/reports",
    **operation("list-reports", "Reports", Scope.READ, summary="List reports", raises=(CursorMalformed,)),
)
async def list_reports(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> ReportPage:
    """Newest first. One that has expired stays in the list for 90 days, without what was in it."""
    before = read_cursor(NAME, cursor)
    async with here.parts.database.account(here.account) as connection:
        rows = await book.page(connection, here.account, before=before, limit=limit + 1)
    page, next_cursor = cut_page(NAME, rows, limit=limit, position=_position)
    return ReportPage(items=[_seen(row) for row in page], next_cursor=next_cursor)


@get(
    "/v1/reports/{report_id:str}",
    **operation(
        "get-report", "Reports", Scope.READ, summary="Follow a report", raises=(ReportMissing, IdMalformed)
    ),
)  # fmt: skip
async def get_report(here: Here, report_id: ReportPath) -> ReportSeen:
    """How far it has come."""
    async with here.parts.database.account(here.account) as connection:
        report = await book.find(connection, here.account, id_of(ReportId, report_id))
    if report.record is not None:
        try:
            await here.parts.custody.find(here.account, [report.record])
        except (RecordErased, RecordMissing):
            return _seen(report, state="erased")
    return _seen(report)


@get(
    "/v1/reports/{report_id:str}/content",
    **operation(
        "fetch-report", "Reports", Scope.OPEN, summary="Fetch a report",
        raises=(
            ReportMissing, ReportNotReady, ReportFailed, RecordErased, RecordMissing, IdMalformed, PurposeMissing,
            Malformed, Unavailable,
        ),
    ),
)  # fmt: skip
async def fetch_report(here: Here, report_id: ReportPath, purpose: PurposeHeader = None) -> Stream:
    """Opened inside the keeper and streamed, after a leaf in the log says who fetches it and why. In CSV, a text that
    begins with = + - or @ has an apostrophe before it, so that no spreadsheet takes it for a formula.
    """
    stated = here.principal.purpose(purpose)
    async with here.parts.database.account(here.account) as connection:
        report = await book.find(connection, here.account, id_of(ReportId, report_id))
    if report.state == "failed":
        raise ReportFailed
    if report.record is None:
        raise ReportNotReady
    _, pieces = await here.parts.custody.open_media(here.principal, report.record, purpose=stated)
    first = await anext(pieces, b"")
    headers = {
        "Content-Disposition": f'attachment; filename="{report.report}.{report.format}"',
        "Cache-Control": "no-store",
    }
    return Stream(_all(first, pieces), media_type=MEDIA_TYPES[report.format], headers=headers)


fetch_report.opt["also_answers"] = ("text/csv",)


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


def _position(report: Report) -> Position:
    return report.asked_at, report.report.value


def _seen(report: Report, *, state: str | None = None) -> ReportSeen:
    written, in_all = report.rows_written, report.rows_in_all
    progress = 1.0 if report.state == "ready" else min(0.99, written / in_all) if in_all else 0.0
    return ReportSeen(
        id=str(report.report), of=report.of, format=report.format, begins=report.begins, ends=report.ends,
        with_content=report.with_content, asked_at=report.asked_at, state=state or report.state,
        progress=round(progress, 3), rows=written, failure=report.failure,
        record_id=str(report.record) if report.record else None, ended_at=report.ended_at,
        expires_on=report.expires_on,
    )  # fmt: skip
