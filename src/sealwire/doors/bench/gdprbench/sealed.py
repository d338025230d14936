"""GDPRbench's operations as the product's own verbs, on sealed call records (docs/adr/0029).

The user is the caller and the data is what was dialled: both sealed, the user findable through the blind index. What
GDPRbench calls metadata and names nobody is a row of codes beside the record. Every act has its leaf: opening and
searching before anything is answered, changing and listing in the transaction of the act.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from uuid import uuid4
from weakref import WeakValueDictionary

import asyncpg

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.erasure import find
from sealwire.custody.lifecycle import RecordErased
from sealwire.custody.resealing import seal_anew
from sealwire.custody.store import StoredRecord
from sealwire.doors.bench.gdprbench.mixes import Kind, Operation
from sealwire.doors.bench.gdprbench.plain import answer_of
from sealwire.doors.bench.gdprbench.records import Record, call_of, number_of, record_of
from sealwire.doors.bench.gdprbench.reference import Answer
from sealwire.doors.bench.gdprbench.together import Together
from sealwire.doors.bench.gdprbench.verbs import PURPOSE, Verbs
from sealwire.doors.bench.scratch import Scratch
from sealwire.evidence.leaves import LeafClass, encode_payload
from sealwire.governance import accounts
from sealwire.ground.clock import rfc3339
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import ErasureId, HangupCause, Party, RecordId
from sealwire_verifier.certificate import verify
from sealwire_verifier.policy import Policy

DAYS_BACK = 10
POLL_S = 0.01
WAIT_S_MAX = 120.0
_CALLS = category_of(CallRecord)
_queries = load_queries(__package__)


class Sealed:
    """The product. `certificates` holds those that were shown to the regulator."""

    name = "sealed"

    def __init__(self, scratch: Scratch, watch: asyncpg.Connection) -> None:
        self._scratch, self._custody, self._principal = scratch, scratch.custody, scratch.principal
        self._account, self._watch = scratch.account, watch
        verbs = Verbs(scratch.custody, scratch.principal, scratch.settings.backup_cycle_days)
        self._opening, self._erasing = Together(verbs.open, at_once=2), Together(verbs.erase)
        self._searching, self._looking = Together(verbs.of_users, at_once=2), Together(verbs.looks, at_once=2)
        self._changing: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._now = scratch.custody.clock.now()
        self.certificates: dict[ErasureId, str] = {}
        self._acts: dict[Kind, Callable[[Operation], Awaitable[Answer]]] = {
            Kind.CREATE: self._create, Kind.READ: self._read, Kind.UPDATE: self._update, Kind.DELETE: self._delete,
            Kind.READ_BY_PURPOSE: self._read_by_purpose, Kind.READ_BY_USER: self._read_by_user,
            Kind.UPDATE_BY_PURPOSE: self._update_by_purpose, Kind.UPDATE_BY_USER: self._update_by_user,
            Kind.READ_LOG: self._read_log, Kind.VERIFY_DELETION: self._verify,
        }  # fmt: skip

    async def load(self, records: list[Record]) -> None:
        """Kept one by one, as they always are, over the last ten days."""
        left = iter(records)

        async def keep_some() -> None:
            for record in left:
                await self._keep(record, ended_at=self._now - dt.timedelta(days=record.key % DAYS_BACK))

        await asyncio.gather(*(keep_some() for _ in range(16)))
        await self._watch.execute("VACUUM ANALYZE")

    async def perform(self, operation: Operation) -> Answer:
        """One operation."""
        return await self._acts[operation.kind](operation)

    async def settle(self) -> None:
        """Until every erasure that was asked for is unreadable: only then does it count."""
        await self._until_none(_queries.still_readable)

    async def rest(self) -> None:
        """Until nothing of it runs on behind: ciphertext removed, stores compacted, log written."""
        await self._until_none(_queries.not_at_rest)

    async def close(self) -> None:
        for each in (self._opening, self._erasing, self._searching, self._looking):
            await each.close()

    async def unreadable_after_s(self, since: dt.datetime) -> list[float]:
        """From the request of each erasure to its keys' destruction."""
        return [row["seconds"] for row in await self._watch.fetch(_queries.unreadable_after, since)]

    async def verify_certificates(self) -> int:
        """Every certificate that was shown, checked with the public verifier; NotProved for one that is none."""
        async with self._custody.database.account(self._account) as connection:
            log_vkey = (await accounts.find(connection, self._account)).log_vkey
        holder = (await self._custody.keeper.status()).holder_vkey
        policy = Policy.parse(f"log {log_vkey}\nholder {holder}\nquorum none\n")
        for erasure, certificate in self.certificates.items():
            assert verify(certificate.encode(), policy).erasure == str(erasure)
        return len(self.certificates)

    async def sizes(self) -> asyncpg.Record:
        """Bytes of tables and indexes, ours (custody, evidence and the state rows) and the compliant baseline's."""
        return await self._watch.fetchrow(_queries.sizes)

    async def _until_none(self, question: str) -> None:
        ends_s = self._custody.clock.monotonic_s() + WAIT_S_MAX
        while await self._watch.fetchval(question):
            if self._custody.clock.monotonic_s() > ends_s:
                raise TimeoutError("the bench's cloud did not come to rest; look at its worker.log")
            await asyncio.sleep(POLL_S)

    async def _keep(self, record: Record, *, ended_at: dt.datetime) -> None:
        call = call_of(record.key)
        kept = CallRecord(
            call_id=call, direction="inbound", started_at=ended_at, answered_at=ended_at, ended_at=ended_at,
            hangup_cause=HangupCause.NORMAL, caller=Party(number_of(record.usr).text), callee=Party("anonymous"),
            digits=record.data,
        )  # fmt: skip
        row = (self._account.value, call.value, record.key, *record.metadata)
        await self._custody.keep(self._account, kept)
        await self._custody.database.call(_queries.put_state, *row)

    async def _create(self, operation: Operation) -> None:
        await self._keep(record_of(operation.subject), ended_at=self._now)

    async def _read(self, operation: Operation) -> Answer:
        opened = await self._opening.ask(_record(operation.subject))
        if opened is None:
            return None
        (metadata,) = (await self._state_of([opened.stored])).values() or (None,)
        content = opened.content.reveal()
        return None if metadata is None else (metadata, int(str(content["caller"])[-5:]), content["digits"])

    async def _update(self, operation: Operation) -> None:
        """Corrected as `rectify` does it: opened, sealed anew in a new slot, the old key destroyed and certified."""
        async with self._changing.setdefault(operation.subject, asyncio.Lock()):
            if (opened := await self._opening.ask(_record(operation.subject))) is not None:
                anew = await seal_anew(self._custody, opened, {"digits": operation.value})
                await self._erasing.ask(anew)

    async def _delete(self, operation: Operation) -> None:
        async with self._changing.setdefault(operation.subject, asyncio.Lock()):
            await self._erasing.ask(_record(operation.subject))

    async def _read_by_purpose(self, operation: Operation) -> Answer:
        arguments = (self._account.value, operation.subject, *self._leaf(LeafClass.SUBJECT_SEARCHED, operation))
        async with self._custody.database.pool.acquire() as connection:
            return answer_of(await connection.fetch(_queries.state_by_purpose, *arguments))

    async def _read_by_user(self, operation: Operation) -> Answer:
        return await self._state_of(await self._searching.ask(operation.subject))

    async def _update_by_purpose(self, operation: Operation) -> None:
        await self._change(operation, purpose=operation.subject, records=None)

    async def _update_by_user(self, operation: Operation) -> None:
        found = await self._searching.ask(operation.subject)
        await self._change(operation, purpose=None, records=[row.record for row in found])

    async def _change(self, operation: Operation, *, purpose: int | None, records: list[RecordId] | None) -> None:
        which = None if records is None else [record.value for record in records]
        leaf = self._leaf(LeafClass.CONFIGURATION_CHANGED, operation)
        change = (self._account.value, purpose, which, operation.field, operation.value, *leaf)
        await self._custody.database.call(_queries.change_state, *change)

    async def _read_log(self, operation: Operation) -> Answer:
        return await self._looking.ask(_record(operation.subject))

    async def _verify(self, operation: Operation) -> Answer:
        """The certificate, or that there is none. Whether it is a good one is checked with the public verifier."""
        try:
            await self._custody.find(self._account, [_record(operation.subject)], category=_CALLS)
        except RecordErased as gone:
            erasure = ErasureId.parse(str(gone.certificate))
            async with self._custody.database.account(self._account) as connection:
                certificate = (await find(connection, self._account, erasure)).certificate
            if certificate is None:
                return False
            self.certificates[erasure] = certificate
            return True
        return False

    async def _state_of(self, records: list[StoredRecord]) -> dict[int, tuple[int, ...]]:
        async with self._custody.database.pool.acquire() as connection:
            which = [row.record.value for row in records]
            return answer_of(await connection.fetch(_queries.state_of, self._account.value, which))

    def _leaf(self, leaf_class: LeafClass, operation: Operation) -> tuple[object, ...]:
        """An outbox row for an act that opens nothing: who, why, what."""
        payload = {
            "principal": str(self._principal.credential),
            "purpose": PURPOSE.value,
            "what": operation.kind.value,
            "subject": operation.subject if operation.kind in _BY_PURPOSE else None,
            "at": rfc3339(self._custody.clock.now()),
        }
        return uuid4(), int(leaf_class), encode_payload(self._account, leaf_class, payload)


_BY_PURPOSE = (Kind.READ_BY_PURPOSE, Kind.UPDATE_BY_PURPOSE)


def _record(key: int) -> RecordId:
    return RecordId(call_of(key).value)
