"""Keep and open: the only way in, and the only way to look. Erasing is in `erasure`.

To keep a record:
(1) a slot is leased and its due date known, before anything is stored;
(2) the record is sealed under that slot's own key, and so is its audio as it is spoken;
(3) row, tokens, due date and outbox leaf are written in one transaction; without an agreement, nothing is.

To open records:
(1) the credential must have the scope and a purpose must be stated;
(2) the rows are found; what was erased is Gone;
(3) one leaf that commits to exactly these records is included in a signed checkpoint: no leaf, no plaintext;
(4) the keeper checks the proof and an unused nonce, and opens; keys stay there.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar
from uuid import UUID

from sealwire.config import Settings
from sealwire.custody.answers import Kept, RecordErased, RecordMissing
from sealwire.custody.categories import BY_CODE, CATALOGUE, Category, Recording, category_of
from sealwire.custody.index import index_buckets
from sealwire.custody.keeping import KEPT_BEFORE, Keeping
from sealwire.custody.keys.client import KeeperClient, Lease, OpenProof, SealedItem
from sealwire.custody.media import MediaKeeping, Nowhere, remove_abandoned
from sealwire.custody.sealing.envelope import items_root
from sealwire.custody.sealing.sealer import Sealer
from sealwire.custody.storage import WHOLE_CALLS, statements
from sealwire.custody.store import OpenedRecord, StoredRecord, queries, uuids
from sealwire.errors import Unavailable
from sealwire.evidence.client import Inclusion, SequencerClient
from sealwire.evidence.leaves import LeafClass
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.database import Connection, Database
from sealwire.vocabulary import AccountId, CallId, CredentialId, Day, ErasureId, Purpose, RecordId

RECORDS_IN_PAYLOAD_MAX = 500
T = TypeVar("T")
KEEPER_ANSWERS_S_MAX = 3.0

__all__ = [
    "RECORDS_IN_PAYLOAD_MAX",
    "Custody",
    "KeeperClient",
    "Kept",
    "MediaKeeping",
    "OpenProof",
    "RecordErased",
    "RecordMissing",
    "SealedItem",
    "connect_custody",
    "keeper_client",
    "open_proof",
    "service_principal",
]  # fmt: skip


class KeeperSilent(Unavailable):
    """The keeper runs but does not answer, so nothing is kept or opened; look at bin/sealwire doctor, restart it."""


class Custody:
    """Keeps and opens records. One per process, on the service's own database role."""

    def __init__(
        self, *, database: Database, keeper: KeeperClient, sequencer: SequencerClient, objects: Objects, clock: Clock
    ) -> None:
        self.database, self.keeper, self.sequencer, self.objects, self.clock = (
            database, keeper, sequencer, objects, clock,
        )  # fmt: skip
        self.sealer = Sealer(keeper, clock, on_new_block=self._note_day)
        self.keeping = Keeping(database, self.sealer, clock)

    async def keep(
        self,
        account: AccountId,
        record: object,
        *,
        media: MediaKeeping | None = None,
        retention_class: int = 0,
        record_id: RecordId | None = None,
    ) -> Kept:
        """Take one record into custody. Asked again for the same record (same call, same stream) it is kept once.
        `record_id` says what is the same where no field of the record does.

        NoAgreement when the account has none, RecordErased when its call or day was erased meanwhile, Unavailable
        without the keeper.
        """
        prepared = await self.keeping.prepare(
            account, record, media=media, retention_class=retention_class, record_id=record_id
        )  # (1) (2)
        if media is not None and not media.is_stored:
            return prepared.not_kept()
        keep = statements(prepared.category).keep
        answer = str(await self.database.call(keep, *prepared.arguments))  # (3)
        if answer == KEPT_BEFORE:
            (stored,) = await self.find(account, [prepared.record], category=prepared.category)
            return Kept(prepared.record, stored.commitment, stored.due_day)
        kept = await self.keeping.understood(prepared, answer)
        if media is not None and not kept.is_kept:
            await media.abort()
        return kept

    async def require_keeper(self) -> None:
        """Unavailable when the keeper does not answer: what it could not erase must not be taken."""
        await _soon(self.keeper.status())

    async def begin_media(
        self,
        account: AccountId,
        record: type,
        *,
        starts_at_day: Day,
        call: CallId | None = None,
        retention_class: int = 0,
    ) -> MediaKeeping:
        """Open a sealed stream for a record of this kind whose clock starts on this day."""
        category, record_id = category_of(record), RecordId.new()
        slot = await self.keeping.slot(account, category, starts_at_day, retention_class)
        where = slot.context
        async with self.database.account(account) as connection:
            begin = await connection.fetchrow(queries.begin_of_media, account.value, category.code, retention_class)
            assert begin is not None
            name, is_stored = f"{begin['object_prefix']}/{RecordId.new().value.hex}", begin["days"] != 0
            if is_stored:
                await connection.execute(
                    queries.begin_media, account.value, record_id.value, category.code, where.retention_class,
                    where.day, where.slot, name, call.value if call else None, self.clock.now(),
                )  # fmt: skip
        return MediaKeeping(
            account=account, record=record_id, slot=slot, object_name=name, day=starts_at_day,
            writer=await self.objects.open_writer(name) if is_stored else Nowhere(), is_stored=is_stored,
            objects=self.objects, database=self.database,
        )  # fmt: skip

    async def open(
        self, principal: Principal, records: list[RecordId], *, purpose: Purpose, category: Category | None = None
    ) -> list[OpenedRecord]:
        """Open records for a purpose, all under one leaf; RecordErased or RecordMissing for what is not there."""
        principal.require(Scope.OPEN)  # (1)
        account = principal.in_account()
        stored = await self.find(account, records, category=category)  # (2)
        return await self.open_stored(principal, stored, purpose=purpose)

    async def open_stored(
        self, principal: Principal, stored: list[StoredRecord], *, purpose: Purpose
    ) -> list[OpenedRecord]:
        """Open rows that were already found, as `open` does from its step (3) on."""
        if len(stored) > RECORDS_IN_PAYLOAD_MAX:
            pages = [stored[at : at + RECORDS_IN_PAYLOAD_MAX] for at in range(0, len(stored), RECORDS_IN_PAYLOAD_MAX)]
            opened = [await self.open_stored(principal, page, purpose=purpose) for page in pages]
            return [record for page_of in opened for record in page_of]
        account = principal.in_account()
        if not (stored := [row for row in stored if not row.is_detached]):
            return []
        contexts = [row.context.text for row in stored]
        proof = await self.prove(
            principal, LeafClass.RECORD_OPENED, purpose=purpose,
            contexts=contexts, records=[row.record for row in stored],
        )  # (3)  # fmt: skip
        items = [SealedItem(row.context.text, row.sealed) for row in stored]
        plaintexts = await self.keeper.open(account, proof=proof, items=items)  # (4)
        return [row.opened(text) for row, text in zip(stored, plaintexts, strict=True) if text is not None]

    async def open_media(
        self, principal: Principal, record: RecordId, *, purpose: Purpose
    ) -> tuple[StoredRecord, AsyncIterator[bytes]]:
        """A recording's row and its audio as a stream; the first bytes come only after its leaf is in the log."""
        principal.require(Scope.OPEN)
        account = principal.in_account()
        (stored,) = await self.find(account, [record])
        if stored.object_name is None:
            raise RecordMissing("this record has no audio")
        proof = await self.prove(
            principal, LeafClass.RECORD_OPENED, purpose=purpose, contexts=[stored.context.text], records=[record]
        )
        chunks = self.objects.get_stream(stored.object_name)
        item = SealedItem(stored.context.text, b"")
        return stored, self.keeper.open_media(account, proof=proof, item=item, chunks=chunks)

    async def open_for_recovery(self, account: AccountId, record: type) -> list[OpenedRecord]:
        """All living records of a small category, opened by the service itself after a crash, under one leaf."""
        category = category_of(record)
        async with self.database.account(account) as connection:
            rows = await connection.fetch(statements(category).after, account.value, UUID(int=0), 10_000)
        stored = [StoredRecord.from_row(account, category, row) for row in rows]
        if not stored:
            return []
        return await self.open_stored(service_principal(account), stored, purpose=Purpose.SERVICE_OPERATION)

    async def still_up(self, account: AccountId, record: type, records: list[RecordId]) -> None:
        """Note that these passing records (live calls) are still true."""
        async with self.database.account(account) as connection:
            seen = statements(category_of(record)).seen
            await connection.execute(seen, account.value, uuids(records), self.clock.now())

    async def let_go(self, account: AccountId, record: type, records: list[RecordId]) -> None:
        """Remove rows of a category whose keys die with its short day anyway (a live call that has ended)."""
        async with self.database.account(account) as connection:
            rows = await connection.fetch(statements(category_of(record)).let_go, account.value, uuids(records))
            buckets = index_buckets(account, (row["day"] for row in rows))
            await connection.execute(queries.remove_tokens, account.value, uuids(records), buckets)

    async def prove(
        self,
        principal: Principal,
        leaf_class: LeafClass,
        *,
        purpose: Purpose,
        contexts: list[str],
        records: list[RecordId],
        lookup: str | None = None,
    ) -> OpenProof:
        """Put the act into the account's log, with a nonce of the keeper's, and bring back the proof of it."""
        account = principal.in_account()
        nonce = await _soon(self.keeper.challenge())
        payload: dict[str, object] = {
            "principal": str(principal.credential),
            "purpose": purpose.value,
            "nonce": nonce.hex(),
            "items": len(contexts),
            "items_root": items_root(contexts),
            "at": rfc3339(self.clock.now()),
        }
        if lookup is not None:
            payload["lookup"] = lookup
        if len(records) <= RECORDS_IN_PAYLOAD_MAX:
            payload["records"] = [str(record) for record in records]
        inclusion = await self.sequencer.include(account, leaf_class=leaf_class, payload=payload, mentions=records)
        return open_proof(inclusion)

    async def find(
        self, account: AccountId, records: list[RecordId], *, category: Category | None = None
    ) -> list[StoredRecord]:
        """Rows by id, in the order asked, in one category or in any; Gone and Missing told apart."""
        found: dict[RecordId, StoredRecord] = {}
        async with self.database.account(account) as connection:
            for kind in (category,) if category else CATALOGUE:
                rows = await connection.fetch(statements(kind).by_ids, account.value, uuids(records))
                found |= {RecordId(row["record_id"]): StoredRecord.from_row(account, kind, row) for row in rows}
            missing = [record for record in records if record not in found]
            erasure = await self._erasure_of(connection, account, missing, category) if missing else None
        if erasure is not None:
            raise RecordErased(certificate=str(erasure))
        if missing:
            raise RecordMissing
        return [found[record] for record in records]

    async def _erasure_of(
        self, connection: Connection, account: AccountId, records: list[RecordId], category: Category | None
    ) -> ErasureId | None:
        """By which erasure the first of these records went: by itself, or with its whole day."""
        gone = await connection.fetchrow(queries.gone, account.value, uuids(records), WHOLE_CALLS)
        gone = gone or await connection.fetchrow(queries.gone_with_its_day, account.value, uuids(records))
        for kind in (category,) if category else CATALOGUE:
            if gone is None:
                gone = await connection.fetchrow(statements(kind).hidden_by_day, account.value, uuids(records))
        return ErasureId(gone["erasure_id"]) if gone is not None else None

    async def erasure_of_person(self, account: AccountId, record: RecordId) -> RecordErased:
        """The error that names the erasure by which a detached record lost its person."""
        async with self.database.account(account) as connection:
            erasure = await connection.fetchval(queries.detached_with, account.value, record.value)
        return RecordErased(certificate=str(ErasureId(erasure)))

    async def of_call(self, account: AccountId, call: CallId) -> list[StoredRecord]:
        """Every living record of one call; RecordErased when it had some and none is left."""
        found: list[StoredRecord] = []
        of_calls = [category for category in CATALOGUE if category.is_of_calls]
        async with self.database.account(account) as connection:
            for kind in of_calls:
                rows = await connection.fetch(statements(kind).by_call, account.value, call.value)
                found += [row for row in (StoredRecord.from_row(account, kind, row) for row in rows) if row.sealed]
            erasure = None if found else await connection.fetchval(queries.gone_of_call, account.value, call.value)
            if not found and erasure is None:  # the record of a whole call has the id of the call
                erasure = await connection.fetchval(queries.gone_with_its_day, account.value, [call.value])
            for kind in of_calls:
                if not found and erasure is None:
                    hidden = statements(kind).call_hidden_by_day
                    erasure = await connection.fetchval(hidden, account.value, call.value)
        if erasure is not None:
            raise RecordErased(certificate=str(ErasureId(erasure)))
        return found

    async def page(
        self, account: AccountId, category: Category, *, before: tuple[Any, UUID] | None, limit: int
    ) -> list[StoredRecord]:
        """A page of a category, newest first, without content: a list opens nothing."""
        moment, record = before or (None, None)
        async with self.database.account(account) as connection:
            rows = await connection.fetch(statements(category).page, account.value, moment, record, limit)
        return [StoredRecord.from_row(account, category, row) for row in rows]

    async def count(self, account: AccountId, category: Category, begins: dt.datetime, ends: dt.datetime) -> int:
        """How many living records of a category started their retention clock in this period."""
        async with self.database.account(account) as connection:
            return int(await connection.fetchval(statements(category).count, account.value, begins, ends))

    async def first_due(
        self, account: AccountId, category: Category, begins: dt.datetime, ends: dt.datetime
    ) -> Day | None:
        """When the first of the living records of this period is due; None when there are none."""
        async with self.database.account(account) as connection:
            due = await connection.fetchval(statements(category).first_due, account.value, begins, ends)
        return Day(due) if due is not None else None

    async def remove_abandoned_media(self, account: AccountId, record: type = Recording) -> int:
        """Remove what streams of an earlier life of this process left, of the class of record it makes; how many."""
        return await remove_abandoned(self.database, self.objects, account, category_of(record).code)

    async def close(self) -> None:
        """Drop leases and connections."""
        await self.keeper.close()
        await self.sequencer.close()
        await self.database.close()

    async def _note_day(self, lease: Lease) -> None:
        if lease.category not in BY_CODE:
            return
        async with self.database.account(lease.account) as connection:
            await connection.execute(
                queries.note_day, lease.account.value, lease.category, lease.retention_class, lease.day
            )


async def _soon(answer: Awaitable[T]) -> T:
    """What the keeper answers at once when it is well; KeeperSilent when it hangs."""
    try:
        return await asyncio.wait_for(answer, KEEPER_ANSWERS_S_MAX)
    except TimeoutError:
        raise KeeperSilent from None


def service_principal(account: AccountId) -> Principal:
    """The service acting by itself, as it is written in the log: no credential has this id."""
    return Principal(CredentialId(UUID(int=0)), account, frozenset({Scope.OPEN}), Purpose.SERVICE_OPERATION)


def open_proof(inclusion: Inclusion) -> OpenProof:
    """An inclusion as the keeper wants it shown."""
    return OpenProof(
        payload=inclusion.payload, salt=inclusion.salt, leaf_class=inclusion.leaf_class, index=inclusion.index,
        size=inclusion.size, path=list(inclusion.path), checkpoint=inclusion.checkpoint,
    )  # fmt: skip


def keeper_client(settings: Settings) -> KeeperClient:
    """A client of this installation's keeper; it connects when first used and again after a loss."""
    return KeeperClient(settings.keeper_socket)


async def connect_custody(settings: Settings, dsn: str, clock: Clock, *, connections_max: int = 8) -> Custody:
    """Custody for a process of this installation."""
    return Custody(
        database=await Database.connect(dsn, size_max=connections_max),
        keeper=keeper_client(settings),
        sequencer=SequencerClient(settings.sequencer_socket),
        objects=Objects.of(settings),
        clock=clock,
    )
