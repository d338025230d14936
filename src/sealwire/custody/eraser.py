"""From hidden to unreadable to removed: the erasure ritual. Each step can be repeated; a crash resumes it.

(0) the request committed: row `hidden`, the API answers 410, leaf erasure.requested is in the outbox;
(1) blind-index tokens of the records are deleted and their partitions rewritten (a day's tokens die with its key);
(2) the keeper destroys the keys and signs a receipt: from here every copy anywhere is noise;
(3) the receipts are saved, so that a crash after (2) loses none (the keeper repeats a receipt when asked again);
(4) leaf erasure.unreadable is included and the certificate is made: state `unreadable`;
(5) ciphertext is removed: rows and objects;
(6) stores are compacted: tables rewritten, WAL segments retired;
(7) leaf erasure.removed is included and the certificate is made anew: state `removed`.

Between (0) and (4) no certificate exists; after (4) it is true, whatever happens next.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

import msgspec

from sealwire.custody.erasure import Erasure, Ground, find
from sealwire.custody.holds.book import require_none_placing
from sealwire.custody.index import index_buckets
from sealwire.custody.keys.client import KeeperClient
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.removal import Remover
from sealwire.custody.store import queries
from sealwire.evidence.certificates import CertificateRequest, make_certificate
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.crash import crash_point
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.database import Connection, Database
from sealwire.vocabulary import AccountId, ErasureId, RecordId
from sealwire_verifier.certificate import LISTED_MAX

BATCH = 5_000
PER_RUN_MAX = 64
RETRY_S_MIN, RETRY_S_MAX = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class _Target:
    """What one erasure covers. `records` and `commitments` are of what was kept; a leaf may be of what was not.

    Of what was `resealed` the old leaf goes and the record stays; `partitions` of the index lost tokens of it.
    `of_days` went with its day, and is named only while a certificate lists it.
    """

    leaves: list[LeafPath]
    days: list[DayPath]
    records: list[RecordId]
    commitments: list[bytes]
    objects: list[str]
    resealed: list[RecordId]
    of_days: list[RecordId]
    partitions: set[str]


@dataclass(frozen=True, slots=True)
class _Failure:
    """A step that failed, and when it is tried again."""

    pause_s: float
    again_at_s: float


class Eraser:
    """Takes the steps. One runs, in the worker process, on the worker's own database role."""

    remover: type[Remover] = Remover

    def __init__(
        self,
        *,
        database: Database,
        keeper: KeeperClient,
        sequencer: SequencerClient,
        objects: Objects,
        clock: Clock,
    ) -> None:
        self._database, self._keeper, self._sequencer = database, keeper, sequencer
        self._clock = clock
        self._failures: dict[ErasureId, _Failure] = {}
        self._remover = self.remover(database=database, objects=objects, clock=clock)

    async def make_pending_unreadable(self) -> int:
        """Steps (1) to (4) for all that is hidden, side by side so that they share a tick; how many got there."""
        pending = await self._in_state("hidden")
        return sum(await asyncio.gather(*(self._guarded(self.make_unreadable, row) for row in pending)))

    async def _in_state(self, state: str) -> list[Any]:
        """The oldest ones; what failed is passed over for a while, so that it holds up nobody else's."""
        now_s = self._clock.monotonic_s()
        waiting = [erasure.value for erasure, failure in self._failures.items() if failure.again_at_s > now_s]
        async with self._database.system() as connection:
            return list(await connection.fetch(queries.erasures_in_state, state, waiting, PER_RUN_MAX))

    async def _guarded(self, step: Any, row: Any) -> bool:
        account, erasure = AccountId(row["account_id"]), ErasureId(row["erasure_id"])
        try:
            moved = bool(await step(account, erasure))
        except Exception as error:
            before_s = self._failures[erasure].pause_s if erasure in self._failures else RETRY_S_MIN / 2
            pause_s = min(2 * before_s, RETRY_S_MAX)
            self._failures[erasure] = _Failure(pause_s, self._clock.monotonic_s() + pause_s)
            diagnostics.failure("erasure.step-failed", error, erasure=erasure, step=step.__name__, again_in_s=pause_s)
            return False
        self._failures.pop(erasure, None)
        return moved

    async def make_unreadable(self, account: AccountId, erasure_id: ErasureId) -> bool:
        """Steps (1) to (4)."""
        erasure, target = await self._found(account, erasure_id)
        receipts = erasure.receipts
        if not receipts:
            async with self._database.account(account) as connection:
                await require_none_placing(connection, account)
            buckets = index_buckets(account, (leaf.day for leaf in target.leaves))
            await self._drop_tokens(account, target.records, target.partitions, buckets)  # (1)
            crash_point("erasure-tokens-gone")
            signed = await self._keeper.erase(
                account, erasure=str(erasure_id), leaves=target.leaves, days=target.days,
                due_only=erasure.ground is Ground.RETENTION,
            )  # (2)  # fmt: skip
            crash_point("erasure-destroyed")
            receipts = list(msgspec.to_builtins(signed))
            async with self._database.account(account) as connection:  # (3)
                await connection.execute(queries.save_receipts, account.value, erasure_id.value, json.dumps(receipts))
        crash_point("erasure-receipts-saved")
        unreadable_at = self._clock.now()
        certificate = await self._certify(erasure, target, receipts, unreadable_at, None)  # (4)
        async with self._database.account(account) as connection:
            await connection.execute(
                queries.mark_unreadable, account.value, erasure_id.value, unreadable_at, certificate
            )
        diagnostics.event("erasure.unreadable", erasure=erasure_id, records=len(target.records), days=len(target.days))
        return True

    async def remove_pending(self) -> int:
        """Steps (5) to (7) for all that is unreadable, compacting once for all of them; how many got there."""
        pending = await self._in_state("unreadable")
        taken_out = [row for row in pending if await self._guarded(self.take_out, row)]  # (5)
        if not taken_out or not await self._remover.compact():  # (6)
            return 0
        return sum([await self._guarded(self.finish, row) for row in taken_out])  # (7)

    async def take_out(self, account: AccountId, erasure_id: ErasureId) -> bool:
        """Step (5) for one erasure."""
        _, target = await self._found(account, erasure_id)
        await self._remover.remove_records(account, {leaf.category for leaf in target.leaves}, target.records)
        await self._remover.remove_objects(target.objects)
        for day in target.days:
            await self._remover.remove_day(account, erasure_id, day)
        return True

    async def finish(self, account: AccountId, erasure_id: ErasureId) -> bool:
        """Step (7) for one erasure."""
        erasure, target = await self._found(account, erasure_id)
        assert erasure.unreadable_at is not None
        removed_at = self._clock.now()
        certificate = await self._certify(erasure, target, erasure.receipts, erasure.unreadable_at, removed_at)
        async with self._database.account(account) as connection:
            await connection.execute(queries.mark_removed, account.value, erasure_id.value, removed_at, certificate)
        diagnostics.event("erasure.removed", erasure=erasure_id)
        return True

    async def _found(self, account: AccountId, erasure_id: ErasureId) -> tuple[Erasure, _Target]:
        async with self._database.account(account) as connection:
            return await find(connection, account, erasure_id), await self._target(connection, account, erasure_id)

    async def _target(self, connection: Connection, account: AccountId, erasure_id: ErasureId) -> _Target:
        rows = await connection.fetch(queries.gone_by_erasure, account.value, erasure_id.value)
        rows += await connection.fetch(queries.detached_by_erasure, account.value, erasure_id.value)
        days = await connection.fetch(queries.gone_days_by_erasure, account.value, erasure_id.value)
        anew = await connection.fetch(queries.resealed_by_erasure, account.value, erasure_id.value)
        gone, sums = await _of_days(connection, account, erasure_id)
        return _Target(
            leaves=[
                LeafPath(row["category"], row["retention_class"], row["day"], row["slot"]) for row in [*rows, *anew]
            ],
            days=[DayPath(row["category"], row["retention_class"], row["day"]) for row in days],
            records=[RecordId(row["record_id"]) for row in rows if row["commitment"] is not None],
            commitments=[row["commitment"] for row in [*rows, *anew] if row["commitment"] is not None] + sums,
            objects=[row["object_name"] for row in rows if row["object_name"] is not None],
            resealed=[RecordId(row["record_id"]) for row in anew],
            of_days=gone,
            partitions={row["index_partition"] for row in anew if row["index_partition"] is not None},
        )

    async def _drop_tokens(
        self, account: AccountId, records: list[RecordId], touched: set[str], buckets: list[int]
    ) -> None:
        """`touched` are partitions that lost tokens before: a record that was sealed anew keeps those that stay."""
        partitions = set(touched)
        for at in range(0, len(records), BATCH):
            batch = [record.value for record in records[at : at + BATCH]]
            async with self._database.account(account) as connection:
                await connection.execute(queries.wait_for_keeps, account.value)  # a rebuild may be inserting them
                rows = await connection.fetch(queries.remove_tokens, account.value, batch, buckets)
            partitions |= {row["partition"] for row in rows}
        for partition in sorted(partitions):  # a plain VACUUM leaves the bytes in the file (docs/adr/0003)
            async with self._database.system() as connection:
                await connection.execute(queries.rewrite_index_partition, partition)

    async def _certify(
        self,
        erasure: Erasure,
        target: _Target,
        receipts: list[dict[str, Any]],
        unreadable_at: dt.datetime,
        removed_at: dt.datetime | None,
    ) -> str:
        request = CertificateRequest(
            erasure=str(erasure.erasure),
            ground=erasure.ground.value,
            records=target.records + target.resealed + target.of_days,
            commitments=target.commitments,
            days=[day.text for day in target.days],
            receipts=receipts,
            hidden_at=erasure.requested_at,
            unreadable_at=unreadable_at,
            removed_at=removed_at,
            gone_from_backups_by=erasure.gone_from_backups_by,
        )
        return await make_certificate(self._database, self._sequencer, erasure.account, request, clock=self._clock)


async def _of_days(
    connection: Connection, account: AccountId, erasure: ErasureId
) -> tuple[list[RecordId], list[bytes]]:
    """What was removed with whole days: commitments of all, and the records while they are few enough to be listed."""
    rows = await connection.fetch(queries.commitments_of_days, account.value, erasure.value)
    sums = [row["commitments"][at : at + 32] for row in rows for at in range(0, len(row["commitments"]), 32)]
    listed = rows if len(sums) <= LISTED_MAX else []
    return [RecordId(record) for row in listed for record in row["records"]], sums
