"""A subject request on its way: kinds, states, and which step leads where. The table is the rule."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from uuid import UUID

from sealwire.custody.categories import SubjectRequest
from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests.deadlines import months_after, shifted
from sealwire.errors import Malformed, Missing, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.governance.principals import Principal
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CredentialId, ErasureId, Party, RecordId, SubjectRequestId

_queries = load_queries(__package__)


class Kind(StrEnum):
    """What a person may ask for (GDPR Art. 15 to 21)."""

    ACCESS = "access"
    PORTABILITY = "portability"
    RECTIFICATION = "rectification"
    ERASURE = "erasure"
    RESTRICTION = "restriction"
    OBJECTION = "objection"

    @property
    def is_answered(self) -> bool:
        """Whether the answer is data; the others are acts."""
        return self in (Kind.ACCESS, Kind.PORTABILITY)


class State(StrEnum):
    """How far a request has come."""

    RECEIVED = "received"
    IDENTITY_DOUBT = "identity-doubt"
    IN_PROGRESS = "in-progress"
    EXTENDED = "extended"
    DONE = "done"
    REFUSED = "refused"


class Extension(StrEnum):
    """Why an answer takes longer (Art. 12(3)): a closed list, so that it says nothing about anybody."""

    COMPLEXITY = "complexity"
    NUMBER_OF_REQUESTS = "number-of-requests"


class Refusal(StrEnum):
    """Why a request is refused, and by what (Art. 11, 12(5), 12(6), 17(3), 21(1))."""

    MANIFESTLY_UNFOUNDED = "manifestly-unfounded"
    EXCESSIVE = "excessive"
    IDENTITY_NOT_SHOWN = "identity-not-shown"
    NOT_HELD = "not-held"
    OVERRIDING_GROUNDS = "overriding-grounds"
    LEGAL_OBLIGATION = "legal-obligation"


STEPS: dict[State, frozenset[State]] = {
    State.RECEIVED: frozenset(
        {State.IDENTITY_DOUBT, State.IN_PROGRESS, State.EXTENDED, State.DONE, State.REFUSED}
    ),
    State.IDENTITY_DOUBT: frozenset({State.IN_PROGRESS, State.REFUSED}),
    State.IN_PROGRESS: frozenset({State.IDENTITY_DOUBT, State.EXTENDED, State.DONE, State.REFUSED}),
    State.EXTENDED: frozenset({State.IDENTITY_DOUBT, State.DONE, State.REFUSED}),
    State.DONE: frozenset(),
    State.REFUSED: frozenset(),
}  # fmt: skip


class RequestMissing(Missing):
    """Nothing is known under this id."""


class StepRefused(Refused):
    """A request in this state does not take that step; look at its state, and at the table of steps in the guide."""


class ExtendedBefore(Refused):
    """The time for an answer is extended once only (GDPR Art. 12(3)); answer it, or refuse it with the reason."""


class ReceivedLater(Malformed):
    """A request cannot have been received in the future, nor more than a year ago; write the day it came in."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it stands: nothing of the person is in it."""

    account: AccountId
    request: SubjectRequestId
    kind: Kind
    state: State
    asked_by: CredentialId
    received_at: dt.datetime
    due_on: dt.date
    doubted_on: dt.date | None = None
    extended_for: Extension | None = None
    refused_for: Refusal | None = None
    closed_at: dt.datetime | None = None
    answered_at: dt.datetime | None = None
    counts: dict[str, Any] | None = None
    erasures: tuple[ErasureId, ...] = ()

    @classmethod
    def from_row(cls, account: AccountId, row: Any) -> Request:
        return cls(
            account, SubjectRequestId(row["request_id"]), Kind(row["kind"]), State(row["state"]),
            CredentialId(row["asked_by"]), row["received_at"], row["due_on"], row["doubted_on"],
            Extension(row["extended_for"]) if row["extended_for"] else None,
            Refusal(row["refused_for"]) if row["refused_for"] else None, row["closed_at"], row["answered_at"],
            json.loads(row["counts"]), tuple(ErasureId(one) for one in row["erasures"]),
        )  # fmt: skip

    @property
    def record(self) -> RecordId:
        """The record that says who asked for what."""
        return RecordId(self.request.value)

    def is_overdue(self, today: dt.date) -> bool:
        """Whether the person should have had an answer."""
        return self.closed_at is None and self.due_on < today

    def stepped(self, to: State, *, now: dt.datetime) -> Request:
        """The request in its next state; StepRefused when the table has no such step."""
        if to not in STEPS[self.state]:
            raise StepRefused(f"a request that is {self.state} cannot become {to}")
        today = now.astimezone(dt.UTC).date()
        closed_at = None if STEPS[to] else now
        if to is State.IDENTITY_DOUBT:
            return replace(self, state=to, doubted_on=today)
        if self.state is State.IDENTITY_DOUBT and self.doubted_on is not None and to is State.IN_PROGRESS:
            due = shifted(self.due_on, doubted_on=self.doubted_on, shown_on=today)
            to = State.EXTENDED if self.extended_for is not None else to
            return replace(self, state=to, doubted_on=None, due_on=due)
        return replace(self, state=to, closed_at=closed_at)

    def extended(self, reason: Extension, *, months: int, extra: int, now: dt.datetime) -> Request:
        """Two more months, by the calendar, from the day it was received; once."""
        if self.extended_for is not None:
            raise ExtendedBefore
        received = self.received_at.astimezone(dt.UTC).date()
        gained = self.due_on - months_after(received, months)  # what a doubt about the identity had added
        due = months_after(received, months + extra) + gained
        return replace(self.stepped(State.EXTENDED, now=now), extended_for=reason, due_on=due)

    def refused(self, reason: Refusal, *, now: dt.datetime) -> Request:
        """The end, with the reason that the person is told."""
        return replace(self.stepped(State.REFUSED, now=now), refused_for=reason)


async def receive(
    custody: Custody,
    principal: Principal,
    *,
    kind: Kind,
    person: Party,
    details: dict[str, Any],
    received_at: dt.datetime,
    months: int,
) -> SubjectRequestId:
    """Keep the request, sealed, and open its workflow; ReceivedLater for a day that cannot be."""
    now, account = custody.clock.now(), principal.in_account()
    if not now - dt.timedelta(days=366) < received_at <= now:
        raise ReceivedLater
    record = SubjectRequest(
        request_id=SubjectRequestId.new(), received_at=received_at, kind=kind.value, subject=person,
        details=json.dumps(details, sort_keys=True),
    )  # fmt: skip
    await custody.keep(account, record)
    due = months_after(received_at.astimezone(dt.UTC).date(), months)
    payload: dict[str, object] = {
        "request": str(record.request_id), "kind": kind.value, "due_on": due.isoformat(),
        "asked_by": str(principal.credential), "at": rfc3339(now),
    }  # fmt: skip
    async with custody.database.account(account) as connection:
        await connection.execute(
            _queries.insert_request, account.value, record.request_id.value, kind.value, principal.credential.value,
            received_at, due,
        )  # fmt: skip
        mentions = [RecordId(record.request_id.value)]
        await post_event(connection, account, LeafClass.SUBJECT_REQUESTED, payload, mentions=mentions)
    return record.request_id


async def find(connection: Connection, account: AccountId, request: SubjectRequestId) -> Request:
    """One request of this account."""
    row = await connection.fetchrow(_queries.find_request, account.value, request.value)
    if row is None:
        raise RequestMissing
    return Request.from_row(account, row)


async def lock(connection: Connection, account: AccountId, request: SubjectRequestId) -> Request:
    """The same, and nobody else takes a step until this transaction ends."""
    row = await connection.fetchrow(_queries.lock_request, account.value, request.value)
    if row is None:
        raise RequestMissing
    return Request.from_row(account, row)


async def page(
    connection: Connection,
    account: AccountId,
    *,
    before: tuple[dt.datetime, UUID] | None,
    overdue_on: dt.date | None,
    limit: int,
) -> list[Request]:
    """Requests, the last received first; with a day, those alone that are overdue on it."""
    moment, request = before or (None, None)
    rows = await connection.fetch(_queries.page_of_requests, account.value, moment, request, overdue_on, limit)
    return [Request.from_row(account, row) for row in rows]


async def put(connection: Connection, request: Request, *, by: Principal, clock: Clock) -> None:
    """Write a step and have it stand in the log."""
    await connection.execute(
        _queries.move_request, request.account.value, request.request.value, request.state.value, request.due_on,
        request.doubted_on, request.extended_for, request.refused_for, request.closed_at,
    )  # fmt: skip
    payload: dict[str, object] = {
        "request": str(request.request), "kind": request.kind.value, "state": request.state.value,
        "due_on": request.due_on.isoformat(), "by": str(by.credential), "at": rfc3339(clock.now()),
        "erasures": [str(one) for one in request.erasures],
    }  # fmt: skip
    reasons = {"extended_for": request.extended_for, "refused_for": request.refused_for}
    payload |= {name: reason.value for name, reason in reasons.items() if reason is not None}
    await post_event(connection, request.account, LeafClass.SUBJECT_ANSWERED, payload, mentions=[request.record])
