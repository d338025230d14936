"""The product's verbs for several clients at once: opening, searching, erasing, reading the log, each with its leaf."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.erasure import Ground, request_records
from sealwire.custody.holds.book import left_of_gone_days
from sealwire.custody.lifecycle import Custody, RecordErased, RecordMissing
from sealwire.custody.requests.finding import Search, count_tokens, pages
from sealwire.custody.requests.looks import looks_at
from sealwire.custody.resealing import Resealed
from sealwire.custody.sealing.envelope import lookup_commitment
from sealwire.custody.store import OpenedRecord, StoredRecord, queries
from sealwire.doors.bench.gdprbench.records import number_of
from sealwire.evidence.leaves import LeafClass
from sealwire.governance.principals import Principal
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import ErasureId, Party, Purpose, RecordId

PURPOSE = Purpose.SUBJECT_REQUEST
_CALLS = category_of(CallRecord)
_queries = load_queries(__package__)
Day = tuple[int, int, int]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Verbs:
    """Of one credential, for one purpose: only so may a leaf stand for what several clients asked."""

    custody: Custody
    principal: Principal
    backup_cycle_days: int

    async def open(self, records: list[RecordId]) -> list[OpenedRecord | None]:
        """Each record opened, all under one leaf; None for what was erased."""
        try:
            opened = await self.custody.open(self.principal, _once(records), purpose=PURPOSE, category=_CALLS)
        except (RecordErased, RecordMissing):
            if len(_once(records)) == 1:
                return [None] * len(records)
            return [one for record in records for one in await self.open([record])]
        found = {one.stored.record: one for one in opened}
        return [found.get(record) for record in records]

    async def of_users(self, users: list[int]) -> list[list[StoredRecord]]:
        """The records of each user for certain, as `records_of_number` finds them: by token, confirmed by opening.

        Each search is an act with a leaf of its own, as the keeper wants it; the index is asked once for all of them.
        """
        numbers = {user: number_of(user).text for user in users}
        found = await self._search(list(numbers.values()))
        by_number: dict[str, list[StoredRecord]] = {}
        async for page in pages(self.custody, found):
            if page.living:
                for one in await self.custody.open_stored(self.principal, page.living, purpose=PURPOSE):
                    by_number.setdefault(str(one.content.reveal()["caller"]), []).append(one.stored)
        return [by_number.get(numbers[user], []) for user in users]

    async def erase(self, erased: list[RecordId | Resealed]) -> list[ErasureId]:
        """One erasure of all: of records as they stand, and of the old keys of those that were sealed anew."""
        account, custody = self.principal.in_account(), self.custody
        records = [one for one in erased if isinstance(one, RecordId)]
        stored = await custody.find(account, records, category=_CALLS) if records else []
        async with custody.database.account(account) as connection:
            erasure = await request_records(
                connection, account, stored, ground=Ground.SUBJECT_REQUEST,
                requested_by=str(self.principal.credential), backup_cycle_days=self.backup_cycle_days,
                clock=custody.clock, resealed=[one for one in erased if isinstance(one, Resealed)],
            )  # fmt: skip
            if records:
                await connection.execute(_queries.drop_state, account.value, [record.value for record in records])
        return [erasure] * len(erased)

    async def looks(self, records: list[RecordId]) -> list[int]:
        """How often each record was opened, from the log's sealed payloads, under one leaf."""
        looks = await looks_at(self.custody, self.principal, _once(records), purpose=PURPOSE)
        return [len(looks.get(record, [])) for record in records]

    async def _search(self, numbers: Sequence[str]) -> Search:
        account, custody = self.principal.in_account(), self.custody
        async with custody.database.account(account) as connection:
            rows = await connection.fetch(queries.days_in_use, account.value)
        days = [(row["category"], row["retention_class"], row["day"]) for row in rows]
        made = await asyncio.gather(*(self._tokens(number, days) for number in _once(numbers)))
        pairs = [pair for tokens in made for pair in zip(tokens, days, strict=True)]
        day_of = {token: day[2] for token, day in pairs if token is not None}
        async with custody.database.account(account) as connection:
            counts = await count_tokens(connection, account, day_of)
            held = await left_of_gone_days(connection, account)
        left = [{"category": code, "record_id": one.value} for code, records in held.items() for one in records]
        where = {token: day_of[token] for token in counts}
        return Search(account, Party("anonymous"), frozenset(days), counts, where, left)

    async def _tokens(self, number: str, days: list[Day]) -> list[bytes | None]:
        salt = secrets.token_bytes(32)
        lookup = lookup_commitment(salt, number, days)
        proof = await self.custody.prove(
            self.principal, LeafClass.SUBJECT_SEARCHED, purpose=PURPOSE, contexts=[], records=[], lookup=lookup
        )
        account = self.principal.in_account()
        return await self.custody.keeper.index_tokens(account, proof=proof, salt=salt, number=number, days=days)


def _once(values: Sequence[T]) -> list[T]:
    return list(dict.fromkeys(values))
