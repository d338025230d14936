"""Requests of data subjects: received, watched over, answered (GDPR Art. 12 to 21)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import Meta

from sealwire.custody.erasure import ErasedMeanwhile
from sealwire.custody.holds import RecordsHeld
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.requests import IndexRebuilding, acting, workflow
from sealwire.custody.requests.carrying import carry_out
from sealwire.custody.requests.finding import IdentifierMalformed
from sealwire.custody.requests.notices import notices_of
from sealwire.custody.requests.workflow import (
    ExtendedBefore,
    Extension,
    Kind,
    ReceivedLater,
    Refusal,
    RequestMissing,
    State,
    StepRefused,
)
from sealwire.custody.resealing import ChangedMeanwhile, NotResealable
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import IdempotencyKey, Moment, MomentOrNull, NextCursor, id_in_address, in_path
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, cut_page, read_cursor
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.previews import ErasurePreview, preview_of
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.subject_answers import AnswerRefused, RecipientNeeded, stream_answer, stream_archive
from sealwire.doors.api.subject_bodies import NewSubjectRequest, details_of
from sealwire.doors.api.subject_notices import NoticeSeen, Telling, notice_seen
from sealwire.errors import Malformed, Unavailable
from sealwire.governance.principals import NotPermitted, Scope
from sealwire.vocabulary import SubjectRequestId

NAME = "subject-requests"
_EXAMPLE = "dsr_5f0c1e2d9a7b4c6e8f10213243546576"
RequestPath = Annotated[str, in_path("The request's id.", _EXAMPLE)]
OVERDUE = QueryParameter(description="Only those whose deadline has passed without an answer.")
NAMED = (RequestMissing, IdMalformed)
OPENING = (*NAMED, acting.PersonForgotten, RecordErased, RecordMissing, IndexRebuilding, Malformed, Unavailable)


class SubjectRequestSeen(msgspec.Struct, kw_only=True):
    """One request as it stands; whose it is, is sealed."""

    id: Annotated[str, Meta(description="The request's id.", examples=[_EXAMPLE])]
    kind: Annotated[str, Meta(examples=["access"])]
    state: Annotated[
        str, Meta(description="received, identity-doubt, in-progress, extended, done, refused.", examples=["received"])
    ]
    received_at: Moment
    due_on: Annotated[dt.date, Meta(description="By when the person must have an answer.", examples=["2026-12-23"])]
    overdue: Annotated[bool, Meta(examples=[False])]
    extended_for: Annotated[str | None, Meta(examples=[None])]
    refused_for: Annotated[str | None, Meta(examples=[None])]
    answered_at: MomentOrNull
    closed_at: MomentOrNull
    counts: Annotated[
        dict[str, Any],
        Meta(
            description="What was found, by what became of it; `complete` says whether that is everything.",
            examples=[{"found": 12, "named": 12, "complete": True}],
        ),
    ]
    erasures: Annotated[
        list[str], Meta(description="Erasures made for it.", examples=[["ers_5f0c1e2d9a7b4c6e8f10213243546576"]])
    ]
    notices: Annotated[
        list[NoticeSeen],
        Meta(description="Once done: who received such data and is told of it (GDPR Art. 19). Of one request only."),
    ] = msgspec.field(default_factory=list)


class SubjectRequestPage(msgspec.Struct, kw_only=True):
    """A page of requests, the last received first."""

    items: list[SubjectRequestSeen]
    next_cursor: NextCursor


class Advance(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The next step."""

    to: Annotated[
        Literal["identity-doubt", "in-progress", "done"],
        Meta(
            description="`done` carries out what was asked for; an access or portability request must have been "
            "answered completely before.",
            examples=["in-progress"],
        ),
    ]


class Extend(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why the answer takes longer."""

    reason: Annotated[Extension, Meta(examples=["complexity"])]


class Refuse(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why nothing is done."""

    reason: Annotated[Refusal, Meta(examples=["manifestly-unfounded"])]


@post(
    "/v1/subject-requests",
    status_code=HTTP_201_CREATED,
    **operation(
        "create-subject-request", "Subject requests", Scope.OPEN, summary="Receive a request",
        body={"kind": "access", "identifier": "+441632960123"},
        raises=(
            IdentifierMalformed, ReceivedLater, NotPermitted, Malformed, Unavailable, IdempotencyConflict,
            IdempotencyKeyMalformed,
        ),
    ),
)  # fmt: skip
async def create_subject_request(
    here: Here,
    data: JSONBody[NewSubjectRequest],
    request: Request[Any, Any, Any],
    idempotency_key: IdempotencyKey = None,
) -> Response[SubjectRequestSeen]:
    """Who asks is sealed as a record of its own; the time to answer runs from the day it was received. Erasure,
    rectification, restriction and objection need the scope `records:erase` too.
    """
    kind = Kind(data.kind)
    if not kind.is_answered:
        here.principal.require(Scope.ERASE)
    person, details = details_of(data)
    once = await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(here.account) as connection:
        seen = await once.seen(connection, here.account)
    if seen is None:
        made = await workflow.receive(
            here.parts.custody, here.principal, kind=kind, person=person, details=details,
            received_at=data.received_at or here.parts.clock.now(), months=here.parts.settings.subject_request_months,
        )  # fmt: skip
        async with here.parts.database.account(here.account) as connection:
            await once.remember(connection, here.account, str(made))
    found = await _found(here, SubjectRequestId.parse(seen) if seen else made)
    headers = {"Location": f"/v1/subject-requests/{found.request}"} | (REPLAYED if seen else {})
    return Response(_seen(here, found), status_code=HTTP_201_CREATED, headers=headers)


@get(
    "/v1/subject-requests",
    **operation(
        "list-subject-requests", "Subject requests", Scope.READ, summary="List requests", raises=(CursorMalformed,)
    ),
)
async def list_subject_requests(
    here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT, overdue: Annotated[bool, OVERDUE] = False
) -> SubjectRequestPage:
    """The last received first, with states and deadlines, and without the people."""
    before, today = read_cursor(NAME, cursor), here.parts.clock.now().date()
    async with here.parts.database.account(here.account) as connection:
        rows = await workflow.page(
            connection, here.account, before=before, overdue_on=today if overdue else None, limit=limit + 1
        )
    page, next_cursor = cut_page(NAME, rows, limit=limit, position=_position)
    return SubjectRequestPage(items=[_seen(here, row) for row in page], next_cursor=next_cursor)


@get(
    "/v1/subject-requests/{request_id:str}",
    **operation("get-subject-request", "Subject requests", Scope.READ, summary="Look at a request", raises=NAMED),
)
async def get_subject_request(here: Here, request_id: RequestPath) -> SubjectRequestSeen:
    """Its state, its deadline, what was counted, and who is told of it."""
    return await _seen_whole(here, id_in_address(SubjectRequestId, request_id))


@post(
    "/v1/subject-requests/{request_id:str}/preview",
    status_code=HTTP_200_OK,
    **operation(
        "preview-subject-request", "Subject requests", Scope.OPEN, summary="See what erasing would do", raises=OPENING
    ),
)
async def preview_subject_request(here: Here, request_id: RequestPath) -> ErasurePreview:
    """What would go, what would stay without the person, what is held, and what a law keeps. Changes nothing; what is
    looked at stands in the log.
    """
    found = await _named(here, request_id)
    seen = await acting.preview(here.parts.custody, here.principal, found)
    return preview_of(seen)


@post(
    "/v1/subject-requests/{request_id:str}/advance",
    status_code=HTTP_200_OK,
    **operation(
        "advance-subject-request", "Subject requests", Scope.OPEN, summary="Take the next step",
        raises=(
            *OPENING, StepRefused, NotPermitted, acting.NotComplete, acting.NothingHeld, acting.NotAbout,
            acting.FieldUnknown, acting.StillComing, ErasedMeanwhile, ChangedMeanwhile, NotResealable, RecordsHeld,
        ),
    ),
)  # fmt: skip
async def advance_subject_request(here: Here, request_id: RequestPath, data: JSONBody[Advance]) -> SubjectRequestSeen:
    """In doubt about who asks, at work, or done. Done carries out what was asked for: erases, corrects, restricts or
    notes the objection; what was answered is searched for again, and when there is more by now it is not done.
    """
    found = await _named(here, request_id)
    if State(data.to) is State.DONE:
        settings = here.parts.settings
        await carry_out(
            here.parts.custody, here.principal, found, backup_cycle_days=settings.backup_cycle_days,
            on_done=Telling(here),
        )  # fmt: skip
        return await _seen_whole(here, found.request)
    now = here.parts.clock.now()
    return await _moved(here, request_id, lambda locked: locked.stepped(State(data.to), now=now))


@post(
    "/v1/subject-requests/{request_id:str}/extend",
    status_code=HTTP_200_OK,
    **operation(
        "extend-subject-request", "Subject requests", Scope.OPEN, summary="Take two months more",
        raises=(*NAMED, StepRefused, ExtendedBefore, Malformed),
    ),
)  # fmt: skip
async def extend_subject_request(here: Here, request_id: RequestPath, data: JSONBody[Extend]) -> SubjectRequestSeen:
    """Once, and with the reason, which the person must be told within the first month (GDPR Art. 12(3))."""
    settings, now = here.parts.settings, here.parts.clock.now()
    months, extra = settings.subject_request_months, settings.subject_request_months_more
    return await _moved(
        here, request_id, lambda locked: locked.extended(data.reason, months=months, extra=extra, now=now)
    )


@post(
    "/v1/subject-requests/{request_id:str}/refuse",
    status_code=HTTP_200_OK,
    **operation(
        "refuse-subject-request", "Subject requests", Scope.OPEN, summary="Refuse a request",
        raises=(*NAMED, StepRefused, Malformed),
    ),
)  # fmt: skip
async def refuse_subject_request(here: Here, request_id: RequestPath, data: JSONBody[Refuse]) -> SubjectRequestSeen:
    """With the reason, which the person must be told, and that they may complain (GDPR Art. 12(4))."""
    now = here.parts.clock.now()
    return await _moved(here, request_id, lambda locked: locked.refused(data.reason, now=now))


@get(
    "/v1/subject-requests/{request_id:str}/answer",
    media_type="application/x-ndjson",
    **operation(
        "answer-subject-request", "Subject requests", Scope.OPEN, summary="Fetch the answer",
        raises=(*OPENING, AnswerRefused),
    ),
)  # fmt: skip
async def answer_subject_request(here: Here, request_id: RequestPath) -> Stream:
    """JSON Lines: a line that begins the answer, a line for each record, and a summary that says whether it is
    complete. Other people's data is left out. Streamed, each page under a leaf of its own.
    """
    return await stream_answer(here, await _named(here, request_id))


@get(
    "/v1/subject-requests/{request_id:str}/archive",
    media_type="application/age",
    **operation(
        "archive-subject-request", "Subject requests", Scope.OPEN, summary="Fetch everything as an archive",
        raises=(*OPENING, AnswerRefused, RecipientNeeded),
    ),
)  # fmt: skip
async def archive_subject_request(here: Here, request_id: RequestPath) -> Stream:
    """The answer as JSON and CSV with the person's own audio, in a tar inside one age file, sealed to the public key
    that the request came with: `age -d -i KEY answer.tar.age | tar x`. The manifest has the SHA-256 of every file.
    """
    return await stream_archive(here, await _named(here, request_id))


async def _moved(
    here: Visit, request_id: str, move: Callable[[workflow.Request], workflow.Request]
) -> SubjectRequestSeen:
    """The request after this step, which nobody else takes at the same time."""
    wanted = id_in_address(SubjectRequestId, request_id)
    async with here.parts.database.account(here.account) as connection:
        moved = move(await workflow.lock(connection, here.account, wanted))
        await workflow.put(connection, moved, by=here.principal, clock=here.parts.clock)
    return _seen(here, moved)


async def _named(here: Visit, request_id: str) -> workflow.Request:
    return await _found(here, id_in_address(SubjectRequestId, request_id))


async def _found(here: Visit, request: SubjectRequestId) -> workflow.Request:
    async with here.parts.database.account(here.account) as connection:
        return await workflow.find(connection, here.account, request)


async def _seen_whole(here: Visit, request: SubjectRequestId) -> SubjectRequestSeen:
    """With its recipients."""
    async with here.parts.database.account(here.account) as connection:
        found = await workflow.find(connection, here.account, request)
        notices = await notices_of(connection, here.account, request)
    return msgspec.structs.replace(_seen(here, found), notices=[notice_seen(notice) for notice in notices])


def _position(request: workflow.Request) -> Position:
    return request.received_at, request.request.value


def _seen(here: Visit, request: workflow.Request) -> SubjectRequestSeen:
    return SubjectRequestSeen(
        id=str(request.request), kind=request.kind.value, state=request.state.value, received_at=request.received_at,
        due_on=request.due_on, overdue=request.is_overdue(here.parts.clock.now().date()),
        extended_for=request.extended_for, refused_for=request.refused_for, answered_at=request.answered_at,
        closed_at=request.closed_at, counts=request.counts or {}, erasures=[str(one) for one in request.erasures],
    )  # fmt: skip
