"""The answer to a person (GDPR Art. 15): complete, without other people's data, streamed line by line.

(1) everything is found (see `finding`), page by page; who opened each record before is read from the log;
(2) what names the person is told, less the fields of the other party; what runs beside a call of theirs too;
(3) what customers sealed to their own keys is listed and counted: the controller opens it;
(4) every record that a token led to is accounted for: named, about somebody else, detached, unreadable or gone;
(5) at the end the search is repeated. When records came or went meanwhile the answer says that it is not complete.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sealwire.custody.categories import ApplicationRecord, Recording, SubjectRequest, category_of
from sealwire.custody.categories.codec import as_json
from sealwire.custody.lifecycle import Custody
from sealwire.custody.requests.finding import Page, Search, pages, record_ids, roles_of, search
from sealwire.custody.requests.looks import Look, looks_at
from sealwire.custody.requests.provenance import Surroundings, is_of
from sealwire.custody.storage import statements
from sealwire.custody.store import OpenedRecord, StoredRecord
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.clock import rfc3339
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import Party, Purpose, RecordId

SCHEMA = "sealwire/subject-answer/v1"
PURPOSE = Purpose.SUBJECT_REQUEST
_queries = load_queries(__package__)
_RUNS, _RECORDINGS, _REQUESTS = category_of(ApplicationRecord), category_of(Recording), category_of(SubjectRequest)
_CHANNELS = {"caller": "left", "callee": "right"}


@dataclass(slots=True)
class Tally:
    """Every record that a token led to, by what became of it; complete when these are all, and nothing moved."""

    found: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    categories: Counter[str] = field(default_factory=Counter)
    beside: Counter[str] = field(default_factory=Counter)
    moved: int = 0

    @property
    def why_not_complete(self) -> str | None:
        """Why this is not everything; None when it is."""
        counted = sum(self.outcomes.values())
        if self.moved:
            return f"{self.moved} records came or went while the answer was made; ask again"
        if counted != self.found:
            return f"the index led to {self.found} records and {counted} were accounted for; ask again"
        return None

    def as_counts(self) -> dict[str, Any]:
        """As it is told, and written beside the request."""
        return {
            "found": self.found, **{name: self.outcomes[name] for name in OUTCOMES},
            "categories": dict(self.categories),
            **dict(self.beside), "complete": self.why_not_complete is None,
        }  # fmt: skip


OUTCOMES = ("named", "about_others", "detached", "unreadable", "gone")


@dataclass(frozen=True, slots=True)
class Told:
    """One record as it is told to the person, and the record it was made from."""

    record: OpenedRecord
    roles: tuple[str, ...]
    line: dict[str, Any] = field(repr=False)


class Answer:
    """One answer under way. `tally` is right when the stream has ended."""

    def __init__(
        self, custody: Custody, principal: Principal, person: Party, *, surroundings: Surroundings, mixed_audio: bool
    ) -> None:
        principal.require(Scope.OPEN)
        self._custody, self._principal, self._person = custody, principal, person
        self._surroundings, self._mixed_audio = surroundings, mixed_audio
        self.tally = Tally()
        self.objects = False
        self._search: Search | None = None

    async def begin(self) -> dict[str, Any]:
        """The first line, before anything is opened."""
        self._search = await search(self._custody, self._principal, self._person, purpose=PURPOSE)
        self.tally.found = self._search.found
        return {
            "type": "answer", "schema": SCHEMA, "at": rfc3339(self._custody.clock.now()), "found": self.tally.found,
            "searched_days": len(self._search.days),
        }  # fmt: skip

    async def told(self) -> AsyncIterator[list[Told]]:
        """Steps (1) to (4): page by page what is held about this person."""
        assert self._search is not None
        async for page in pages(self._custody, self._search):
            yield await self._page(page)

    async def end(self) -> dict[str, Any]:
        """Step (5): the last line."""
        assert self._search is not None
        later = await search(self._custody, self._principal, self._person, purpose=PURPOSE)
        self.tally.moved = self._search.differs(later)
        return {
            "type": "summary", "counts": self.tally.as_counts(), "objects": self.objects,
            "complete": self.tally.why_not_complete is None, "why_not": self.tally.why_not_complete,
        }  # fmt: skip

    async def _page(self, page: Page) -> list[Told]:
        outcomes = self.tally.outcomes
        outcomes.update(detached=page.detached, gone=page.gone)
        if not page.living:
            return []
        looks = await looks_at(self._custody, self._principal, record_ids(page.living), purpose=PURPOSE)
        opened = await self._custody.open_stored(self._principal, page.living, purpose=PURPOSE)
        outcomes["unreadable"] += len(page.living) - len(opened)
        named = [(record, roles) for record in opened if (roles := roles_of(record, self._person.text))]
        outcomes.update(named=len(named), about_others=len(opened) - len(named))
        self.tally.categories.update(record.stored.category.name for record, _ in named)
        states = await self._states([record.stored for record, _ in named])
        told = [Told(record, tuple(roles), self._line(record, roles, looks, states)) for record, roles in named]
        return told + await self._beside([record.stored for record, _ in named])

    async def _beside(self, stored: Sequence[StoredRecord]) -> list[Told]:
        """What ran beside calls of theirs and names nobody in a field of its own."""
        wanted = {run.value for row in stored if (run := row.plain.get("application_id")) is not None}
        if not wanted:
            return []
        account = self._principal.in_account()
        async with self._custody.database.account(account) as connection:
            rows = await connection.fetch(statements(_RUNS).by_ids, account.value, list(wanted))
        runs = [StoredRecord.from_row(account, _RUNS, row) for row in rows]
        opened = await self._custody.open_stored(self._principal, runs, purpose=PURPOSE) if runs else []
        looks = await looks_at(self._custody, self._principal, record_ids(runs), purpose=PURPOSE) if runs else {}
        self.tally.beside["beside_calls"] += len(opened)
        return [Told(record, (), self._line(record, [], looks, {})) for record in opened]

    async def _states(self, stored: Sequence[StoredRecord]) -> dict[RecordId, str]:
        """How far requests of this person have come; one that objects is told apart."""
        wanted = [row.record.value for row in stored if row.category is _REQUESTS]
        if not wanted:
            return {}
        account = self._principal.in_account()
        async with self._custody.database.account(account) as connection:
            rows = await connection.fetch(_queries.states_of_requests, account.value, wanted)
        self.objects |= any(row["kind"] == "objection" and row["state"] == "done" for row in rows)
        return {RecordId(row["request_id"]): row["state"] for row in rows}

    def _line(
        self, record: OpenedRecord, roles: Sequence[str], looks: dict[RecordId, list[Look]], states: dict[RecordId, str]
    ) -> dict[str, Any]:
        stored, category = record.stored, record.stored.category
        content, left_out = own_fields(record, roles)
        line: dict[str, Any] = {
            "type": "record", "id": str(stored.record), "category": category.name, "subject_is": list(roles),
            **self._surroundings.of(category, stored.due_day), "kept_at": rfc3339(stored.kept_at),
            "plain": {name: as_told(value) for name, value in stored.plain.items()},
            "content": {name: as_told(value) for name, value in content.items()}, "left_out": left_out,
            "looks": [
                {"at": look.at, "by": look.principal, "purpose": look.purpose, "leaf": look.leaf_index}
                for look in looks.get(stored.record, [])
            ],
        }  # fmt: skip
        if category is _RECORDINGS:
            line["audio"] = audio = audio_of(stored, roles, mixed_audio=self._mixed_audio)
            self.tally.beside["sealed_to_the_controller"] += "sealed_to" in audio
            self.tally.beside["audio_not_handed_out"] += not audio["handed_out"] and "sealed_to" not in audio
        if stored.record in states:
            line["state"] = states[stored.record]
        return line


def own_fields(record: OpenedRecord, roles: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """What was sealed and is about this person, and the names of the fields that are about somebody else."""
    category, content = record.stored.category, record.content.reveal()
    others = {one.name for one in category.sealed_fields if one.findable and one.name not in roles}
    others |= {name for name in content if roles and not is_of(category, name, roles)}
    own = {name: value for name, value in content.items() if name not in others}
    return own, sorted(others & content.keys())


def audio_of(stored: StoredRecord, roles: Sequence[str], *, mixed_audio: bool) -> dict[str, Any]:
    """What may be handed out of a recording: one's own channel; what is mixed on the controller's word alone."""
    if (encryption := stored.plain["encryption"] or "provider") != "provider":
        key = stored.plain["key_id"] or "the cipher that the call was given"
        return {"held": True, "handed_out": False, "sealed_to": key, "opened_by": "the controller"}
    if stored.plain["channels"] == 2 and len(roles) == 1:
        return {"held": True, "handed_out": True, "channel": _CHANNELS[roles[0]], "encryption": encryption}
    why = None if mixed_audio else "both parties are heard in it; the controller decides"
    return {"held": True, "handed_out": mixed_audio, "channel": "mixed", "why_not": why}


def as_told(value: Any) -> Any:
    """A value of the vocabulary as JSON has it."""
    return rfc3339(value) if isinstance(value, dt.datetime) else as_json(value)
