"""What is done for a person: erase (with a preview), correct, restrict, object. Each resumes by being asked again.

To erase a person:
(1) everything is found and opened page by page, and sorted: destroy, detach, seal anew without them, or held;
(2) each batch is one erasure: hidden in its own transaction, made unreadable by the eraser, with a certificate;
(3) what was found is searched again; what came meanwhile goes the same way, and what is held stays and is counted;
(4) last, in one transaction: the request's own record loses the person, and the request is done.

A crash before (4) leaves the request as it was: asked again it goes on with what is left.
"""

from __future__ import annotations

import json
from typing import Any

from sealwire.custody.categories import Category, SubjectRequest, category_of
from sealwire.custody.categories.codec import bare_type
from sealwire.custody.erasure import Ground, request_records
from sealwire.custody.holds import held_among
from sealwire.custody.lifecycle import Custody, RecordMissing
from sealwire.custody.requests.answering import PURPOSE
from sealwire.custody.requests.finding import person_of, roles_of, search
from sealwire.custody.requests.notices import OnDone, nothing_else
from sealwire.custody.requests.sorting import NothingHeld, Preview, Sorted, sorted_pages
from sealwire.custody.requests.workflow import Kind, Request, State, lock, put
from sealwire.custody.resealing import Resealed, seal_anew
from sealwire.custody.store import OpenedRecord, StoredRecord
from sealwire.errors import Gone, Malformed, Missing, Refused, Unavailable
from sealwire.evidence.crash import crash_point
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import ErasureId, Party, RecordId

BATCH = 2_000
ROUNDS_MAX = 3
_REQUESTS = category_of(SubjectRequest)
_queries = load_queries(__package__)


class PersonForgotten(Gone):
    """The person of this request was erased, and the request with them; its state and dates are what is left."""


class FieldUnknown(Malformed):
    """This record has no such field that could be corrected: name a sealed field that holds text or a number."""


class NotAbout(Missing):
    """There is no such record about this person; the answer to an access request lists those there are."""


class NotComplete(Refused):
    """This request is not done: what was found and what was answered are not the same; make the answer again."""


class StillComing(Unavailable):
    """Records about this person came while theirs were erased; those before are erased. Ask again for the rest."""


async def asked(custody: Custody, principal: Principal, request: Request) -> tuple[Party, dict[str, Any]]:
    """Who asked, and for what: opened under a leaf. PersonForgotten when they were erased since."""
    opened = await custody.open(principal, [request.record], purpose=PURPOSE, category=_REQUESTS)
    if not opened:
        raise PersonForgotten
    content = opened[0].content.reveal()
    return content["subject"], json.loads(content["details"])


async def preview(custody: Custody, principal: Principal, request: Request) -> Preview:
    """What erasing this person would do; changes nothing."""
    person, _ = await asked(custody, principal, request)
    seen = Preview()
    async for batch in sorted_pages(custody, principal, person, purpose=PURPOSE, but=request.record):
        seen.add(batch)
    return seen


async def erase_person(
    custody: Custody,
    principal: Principal,
    request: Request,
    *,
    backup_cycle_days: int,
    on_done: OnDone = nothing_else,
) -> list[ErasureId]:
    """The ritual above; NothingHeld, and nothing changed, when there is nothing about this person."""
    principal.require(Scope.ERASE)
    person, _ = await asked(custody, principal, request)
    eraser = _PersonEraser(custody, principal, request, backup_cycle_days, on_done)
    for _ in range(ROUNDS_MAX):
        erased_before, held = eraser.erased, 0
        async for batch in sorted_pages(custody, principal, person, purpose=PURPOSE, but=request.record):  # (1)
            held += len(batch.held)
            await eraser.take(batch)
        await eraser.flush()  # (2)
        if eraser.erased == erased_before:  # (3) nothing is left but what is held
            if not eraser.erased and not held and not request.erasures:
                raise NothingHeld
            await eraser.finish(held)  # (4)
            return eraser.erasures
    raise StillComing


class _PersonEraser:
    """Collects what goes into batches, each an erasure of its own."""

    def __init__(
        self, custody: Custody, principal: Principal, request: Request, backup_cycle_days: int, on_done: OnDone
    ) -> None:
        self._custody, self._principal, self._request = custody, principal, request
        self._cycle, self._on_done = backup_cycle_days, on_done
        self._records: list[StoredRecord] = []
        self._anew: list[Resealed] = []
        self.erasures: list[ErasureId] = []
        self.erased = 0

    async def take(self, batch: Sorted) -> None:
        self._records += batch.destroy + batch.detach
        crash_point("person-opened")
        self._anew += [await seal_anew(self._custody, record, changes) for record, changes in batch.anew]
        if len(self._records) + len(self._anew) >= BATCH:
            await self.flush()

    async def flush(self) -> None:
        if not self._records and not self._anew:
            return
        account = self._principal.in_account()
        crash_point("person-sealed-anew")
        async with self._custody.database.account(account) as connection:
            await self._erase(connection, self._records, self._anew)
            crash_point("person-not-committed")
        crash_point("person-hidden")
        self.erased += len(self._records) + len(self._anew)
        self._records, self._anew = [], []

    async def finish(self, held: int) -> None:
        account, custody, request = self._principal.in_account(), self._custody, self._request
        (own,) = await custody.find(account, [request.record], category=_REQUESTS)
        async with custody.database.account(account) as connection:
            locked = await lock(connection, account, request.request)
            done = locked.stepped(State.DONE, now=custody.clock.now())
            is_held = bool(await held_among(connection, account, [own]))
            if not is_held:  # else it stays as everything does that is held, and no hold keeps a request undone
                await self._erase(connection, [own], [])
            counts = {"erased": self.erased, "held": held + is_held, "complete": True}
            await note(connection, locked, counts, custody)
            await put(connection, done, by=self._principal, clock=custody.clock)
            await self._on_done(connection, done)

    async def _erase(self, connection: Connection, records: list[StoredRecord], anew: list[Resealed]) -> None:
        account, request = self._principal.in_account(), self._request.request
        erasure = await request_records(
            connection, account, records, ground=Ground.SUBJECT_REQUEST, requested_by=str(self._principal.credential),
            backup_cycle_days=self._cycle, clock=self._custody.clock, resealed=anew,
        )  # fmt: skip
        await connection.execute(_queries.note_erasure, account.value, request.value, erasure.value)
        self.erasures.append(erasure)


async def rectify(
    custody: Custody,
    principal: Principal,
    request: Request,
    *,
    backup_cycle_days: int,
    on_done: OnDone = nothing_else,
) -> ErasureId:
    """Put the corrected value into the record, in a new slot; the key of the old one is destroyed and certified."""
    principal.require(Scope.ERASE)
    person, details = await asked(custody, principal, request)
    wanted, account = details["rectify"], principal.in_account()
    record, own = (await _about(custody, principal, RecordId.parse(wanted["record"]), person), request.record)
    value = new_value(record.stored.category, wanted["field"], wanted["value"])
    anew = [await seal_anew(custody, record, {wanted["field"]: value})]
    opened = await custody.open(principal, [own], purpose=PURPOSE, category=_REQUESTS)
    told = {"details": "{}"} | ({"subject": value} if _is_same(record, wanted["field"], person) else {})
    anew += [await seal_anew(custody, one, told) for one in opened]  # the wrong value stays nowhere, not even here
    async with custody.database.account(account) as connection:
        locked = await lock(connection, account, request.request)
        done = locked.stepped(State.DONE, now=custody.clock.now())
        erasure = await request_records(
            connection, account, [], ground=Ground.SUBJECT_REQUEST, requested_by=str(principal.credential),
            backup_cycle_days=backup_cycle_days, clock=custody.clock, resealed=anew,
        )  # fmt: skip
        await connection.execute(_queries.note_erasure, account.value, request.request.value, erasure.value)
        await note(connection, locked, {"corrected": 1, "complete": True}, custody)
        await put(connection, done, by=principal, clock=custody.clock)
        await on_done(connection, done)
    return erasure


def new_value(category: Category, name: str, text: str) -> Any:
    """The corrected value as the field holds it; FieldUnknown for what cannot be corrected."""
    found = {one.name: one for one in category.sealed_fields}.get(name)
    kind = bare_type(found.type)[0] if found is not None else bytes
    if kind is Party:
        return person_of(text)
    if kind is not str:
        raise FieldUnknown
    return text


async def close_answered(custody: Custody, principal: Principal, request: Request) -> None:
    """Done, when the last answer was complete and there is not more by now; NotComplete says what is different."""
    if not request.counts or not request.counts.get("complete"):
        raise NotComplete("no complete answer was made yet; make it, then this request can be done")
    person, _ = await asked(custody, principal, request)
    later = await search(custody, principal, person, purpose=PURPOSE)
    if later.found != request.counts["found"]:
        raise NotComplete(f"{request.counts['found']} records were found then and {later.found} now; answer again")
    await close(custody, principal, request, counts=None)


async def close(
    custody: Custody,
    principal: Principal,
    request: Request,
    *,
    counts: dict[str, Any] | None,
    on_done: OnDone = nothing_else,
) -> None:
    """The last step of what is done without erasing anything."""
    account = principal.in_account()
    async with custody.database.account(account) as connection:
        locked = await lock(connection, account, request.request)
        done = locked.stepped(State.DONE, now=custody.clock.now())
        if counts is not None:
            await note(connection, locked, counts, custody)
        await put(connection, done, by=principal, clock=custody.clock)
        await on_done(connection, done)


async def note(connection: Connection, request: Request, counts: dict[str, Any], custody: Custody) -> None:
    """Write beside the request what was counted, and when."""
    await connection.execute(
        _queries.note_counts, request.account.value, request.request.value, json.dumps(counts), custody.clock.now()
    )


async def _about(custody: Custody, principal: Principal, record: RecordId, person: Party) -> OpenedRecord:
    try:
        opened = await custody.open(principal, [record], purpose=PURPOSE)
    except RecordMissing:
        raise NotAbout from None
    if not opened or not roles_of(opened[0], person.text):
        raise NotAbout
    return opened[0]


def _is_same(record: OpenedRecord, name: str, person: Party) -> bool:
    return str(record.content.reveal().get(name)) == person.text


__all__ = [
    "FieldUnknown", "Kind", "NotAbout", "NotComplete", "NothingHeld", "PersonForgotten", "Preview", "asked", "close",
    "close_answered", "erase_person", "new_value", "note", "preview", "rectify",
]  # fmt: skip
