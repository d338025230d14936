"""Application records (ADR): how applications ran, what they returned and what they cost."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter
from msgspec import Meta

from sealwire.custody.categories import ApplicationRecord, category_of
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.fields import (
    ApplicationPath,
    CallIdText,
    Commitment,
    DueOn,
    IsRestricted,
    Moment,
    NextCursor,
    PurposeHeader,
    PurposeText,
    base64_text,
    id_in_address,
    id_pattern,
)
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, read_cursor, write_cursor
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.problems import CursorMalformed, IdMalformed, QueryWrong
from sealwire.doors.api.records import OPENING, find_one, open_one, position_of
from sealwire.doors.api.return_codes import sentence_of
from sealwire.governance.principals import Scope
from sealwire.vocabulary import ApplicationId, CallId, RecordId, ReturnCode, ServiceId

APPLICATIONS = category_of(ApplicationRecord)
NAME = "applications"
ROWS_LOOKED_AT_MAX = 2_000
STEP = 200


class Outcome(StrEnum):
    """The sign of a return code."""

    DONE = "done"
    FAILED = "failed"


ServiceFilter = Annotated[
    str | None,
    QueryParameter(
        description="Only runs of this service (`svc_...`).", max_length=100, schema_extra=id_pattern("svc")
    ),
]
CallFilter = Annotated[
    str | None,
    QueryParameter(description="Only the run over this call.", max_length=100, schema_extra=id_pattern("call")),
]
OutcomeFilter = Annotated[
    Outcome | None, QueryParameter(description="`done`: return codes 0 and above; `failed`: those below.")
]
Since = Annotated[
    dt.datetime | None, QueryParameter(description="Ended at this time or later, RFC 3339 with its offset.")
]
Until = Annotated[dt.datetime | None, QueryParameter(description="Ended before this time.")]
ReturnCodeValue = Annotated[int, Meta(description="See `/v1/return-codes`.", examples=[0])]


class ApplicationSeen(msgspec.Struct, kw_only=True):
    """An application record without its content."""

    id: Annotated[str, Meta(description="The application's id.", examples=["app_5f0c1e2d9a7b4c6e8f10213243546576"])]
    call_id: CallIdText
    service_id: Annotated[str | None, Meta(examples=["svc_5f0c1e2d9a7b4c6e8f10213243546576"])]
    kind: Annotated[str, Meta(description="pages, program or built-in.", examples=["pages"])]
    direction: Annotated[str, Meta(examples=["inbound"])]
    started_at: Moment
    ended_at: Moment
    return_code: ReturnCodeValue
    return_code_name: Annotated[str, Meta(description="Empty for the application's own codes.", examples=["done"])]
    extra_legs: Annotated[int, Meta(description="Legs it dialled.", examples=[1])]
    speech_seconds: Annotated[int, Meta(description="Speech made for it.", examples=[12])]
    cost_millicents: Annotated[int, Meta(description="All of its legs, in 1/1000 cent.", examples=[2400])]
    due_on: DueOn
    commitment: Commitment
    restricted: IsRestricted = False


class ApplicationPage(msgspec.Struct, kw_only=True):
    """A page of application records, newest first; with filters it may hold fewer than asked and still go on."""

    items: list[ApplicationSeen]
    next_cursor: NextCursor


class ApplicationContent(msgspec.Struct, kw_only=True):
    """What was sealed in an application record."""

    arguments: Annotated[str, Meta(description="What its starter passed.", examples=["appointment 1234"])]
    parameters: Annotated[str, Meta(description="What the application noted.", examples=["confirmed"])]


class OpenedApplication(msgspec.Struct, kw_only=True):
    """An opened application record."""

    id: Annotated[str, Meta(examples=["app_5f0c1e2d9a7b4c6e8f10213243546576"])]
    call_id: CallIdText
    purpose: PurposeText
    content: ApplicationContent


class ReturnCodeSeen(msgspec.Struct, kw_only=True):
    """One return code of the service."""

    code: ReturnCodeValue
    name: Annotated[str, Meta(examples=["page-too-slow"])]
    meaning: Annotated[str, Meta(examples=["The page did not answer in time."])]


class ReturnCodes(msgspec.Struct, kw_only=True):
    """All codes the service gives; above 0 and from -100 down they are the application's own."""

    items: list[ReturnCodeSeen]


@get(
    "/v1/applications",
    **operation(
        "list-applications", "Applications", Scope.READ, summary="List application records",
        raises=(CursorMalformed, IdMalformed, RecordErased),
    ),
)  # fmt: skip
async def list_applications(
    here: Here,
    *,
    cursor: Cursor = None,
    limit: Limit = LIMIT_DEFAULT,
    service_id: ServiceFilter = None,
    call_id: CallFilter = None,
    outcome: OutcomeFilter = None,
    since: Since = None,
    until: Until = None,
) -> ApplicationPage:
    """Newest first, with costs and return codes, without content. Go on while there is a `next_cursor`."""
    wanted = _Wanted(
        service=id_in_address(ServiceId, service_id) if service_id is not None else None,
        outcome=outcome, since=_with_offset(since),
    )  # fmt: skip
    if call_id is not None:
        of_call = await here.parts.custody.of_call(here.account, id_in_address(CallId, call_id))
        runs = [row for row in of_call if row.category is APPLICATIONS and wanted.is_met(row)]
        return ApplicationPage(items=[_seen(row) for row in runs], next_cursor=None)
    before = read_cursor(NAME, cursor)
    if before is None and (latest := _with_offset(until)) is not None:
        before = (latest, RecordId.parse("rec_" + "0" * 32).value)
    rows, last = await _page(here, wanted, before, limit)
    return ApplicationPage(
        items=[_seen(row) for row in rows], next_cursor=write_cursor(NAME, last) if last is not None else None
    )


@get(
    "/v1/applications/{application_id:str}",
    **operation(
        "get-application", "Applications", Scope.READ, summary="Look at an application record",
        raises=(RecordMissing, RecordErased, IdMalformed),
    ),
)  # fmt: skip
async def get_application(here: Here, application_id: ApplicationPath) -> ApplicationSeen:
    """It is there once the application has ended; until then ask the call's status."""
    return _seen(await _find(here, application_id))


@get(
    "/v1/applications/{application_id:str}/content",
    **operation(
        "open-application", "Applications", Scope.OPEN, summary="Open an application record",
        raises=OPENING,
    ),
)  # fmt: skip
async def open_application(
    here: Here, application_id: ApplicationPath, purpose: PurposeHeader = None
) -> OpenedApplication:
    """Arguments and parameters; who opens them, and why, stands in the account's log first."""
    stated = here.principal.purpose(purpose)
    stored = await _find(here, application_id)
    opened = await open_one(here, stored, purpose=stated)
    content = opened.content.reveal()
    return OpenedApplication(
        id=application_id, call_id=str(stored.plain["call_id"]), purpose=stated.value,
        content=ApplicationContent(arguments=content["arguments"], parameters=content["parameters"]),
    )  # fmt: skip


@get(
    "/v1/return-codes",
    **operation("list-return-codes", "Applications", Who.ACCOUNT_OR_OPERATOR, summary="What return codes mean"),
)
async def list_return_codes() -> ReturnCodes:
    """The service's own, from -99 to 0. They never change their meaning."""
    return ReturnCodes(
        items=[ReturnCodeSeen(code=code.value, name=_name(code), meaning=sentence_of(code)) for code in ReturnCode]
    )


class _Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs a list is about."""

    service: ServiceId | None
    outcome: Outcome | None
    since: dt.datetime | None

    @property
    def is_everything(self) -> bool:
        return self.service is None and self.outcome is None

    def is_met(self, row: StoredRecord) -> bool:
        plain = row.plain
        return (
            (self.service is None or plain["service_id"] == self.service)
            and (self.outcome is None or (plain["return_code"] >= 0) == (self.outcome is Outcome.DONE))
            and not self.is_past(row)
        )

    def is_past(self, row: StoredRecord) -> bool:
        return self.since is not None and row.plain["ended_at"] < self.since


async def _page(
    here: Visit, wanted: _Wanted, before: Position | None, limit: int
) -> tuple[list[StoredRecord], Position | None]:
    """Up to `limit` runs, and where the next page begins when there may be one. Bounded in what it looks at."""
    found: list[StoredRecord] = []
    step = limit + 1 if wanted.is_everything else STEP
    for _ in range(ROWS_LOOKED_AT_MAX // STEP):
        rows = await here.parts.custody.page(here.account, APPLICATIONS, before=before, limit=step)
        for row in rows:
            if len(found) == limit:
                return found, position_of(found[-1])
            if wanted.is_past(row):
                return found, None
            found += [row] if wanted.is_met(row) else []
        if len(rows) < step:
            return found, None
        before = position_of(rows[-1])
    return found, before


async def _find(here: Visit, address: str) -> StoredRecord:
    return await find_one(here, APPLICATIONS, RecordId(id_in_address(ApplicationId, address).value))


def _with_offset(moment: dt.datetime | None) -> dt.datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise QueryWrong("times are RFC 3339 with their offset, as 2026-11-23T11:30:00Z")
    return moment


def _name(code: int) -> str:
    return ReturnCode(code).name.lower().replace("_", "-") if code in set(ReturnCode) else ""


def _seen(row: StoredRecord) -> ApplicationSeen:
    plain = row.plain
    return ApplicationSeen(
        id=str(plain["application_id"]), call_id=str(plain["call_id"]),
        service_id=str(plain["service_id"]) if plain["service_id"] else None, kind=plain["kind"],
        direction=plain["direction"], started_at=plain["started_at"], ended_at=plain["ended_at"],
        return_code=plain["return_code"], return_code_name=_name(plain["return_code"]),
        extra_legs=plain["extra_legs"], speech_seconds=plain["speech_seconds"],
        cost_millicents=plain["cost_millicents"], due_on=row.due_day.date, commitment=base64_text(row.commitment),
        restricted=row.restricted,
    )  # fmt: skip
