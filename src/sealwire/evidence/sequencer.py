"""The sequencer: the one writer of all logs. It takes what waits, commits it together, and only then signs.

One commit, for as many accounts and leaves as there are:
(1) take what `include` brought and what waits in the outboxes; seal the payloads;
(2) append in one transaction, in which the outbox rows go as well (`log.append` reads back and recomputes);
(3) write the leaves into the journal beside the lock file, then move the heads in it, compare-and-swap, on disk
    before (4);
(4) sign the checkpoints, store them, answer who waits.
A crash before (2) is durable changes nothing; after it, the start finds the database ahead of the lock file,
checks that it continues what was signed, and does (3) and (4) then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from sealwire.errors import Broken, Missing, Unavailable
from sealwire.evidence.crash import crash_point
from sealwire.evidence.heads import Head, Heads, LogForked, LogRolledBack
from sealwire.evidence.journal import Batch, Entries, LeafJournal
from sealwire.evidence.leaves import LeafClass, NewLeaf, SealedPayload
from sealwire.evidence.log import Growth, append, queries
from sealwire.evidence.recovery import reconcile, store_checkpoints
from sealwire.evidence.signer import LogSigner, new_origin
from sealwire.evidence.waiting import Waiting, read_outboxes
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, RecordId
from sealwire_verifier.merkle import EMPTY_ROOT

INCLUDES_MAX = 2_000
ACTIVE_S = 0.25
IDLE_S = 1.0
RETRY_S = 1.0


class EvidenceUnavailable(Unavailable):
    """Evidence cannot be written, so nothing was opened; try again when the sequencer and its database answer."""


class PayloadSealer(Protocol):
    """Seals a payload (with its salt before it) under a leaf of the account's key tree."""

    async def seal(self, account: AccountId, payload: bytes, /) -> SealedPayload: ...


@dataclass(frozen=True, slots=True)
class Included:
    """Where a leaf stands, and the proof of it."""

    index: int
    size: int
    path: list[bytes]
    checkpoint: bytes


@dataclass(slots=True)
class _Wanted:
    """A leaf somebody waits for."""

    account: AccountId
    leaf: NewLeaf
    answer: asyncio.Future[Included]


class Sequencer:
    """Writes every account's log. One per installation; the heads' lock file sees to that."""

    def __init__(
        self,
        *,
        database: Database,
        heads: Heads,
        signer: LogSigner,
        sealer: PayloadSealer,
        clock: Clock,
        journal: LeafJournal | None = None,
    ) -> None:
        self._database, self._heads, self._signer, self._sealer, self._clock = database, heads, signer, sealer, clock
        self._journal = journal
        self._wanted: list[_Wanted] = []
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._origins: dict[AccountId, str] = {}
        self._deferred: dict[AccountId, float] = {}
        self._settled = False

    async def start(self) -> None:
        """Compare the database with the lock file; LogRolledBack or LogForked when it must not be signed upon."""
        async with self._writing:
            await self._settle()

    async def include(
        self, account: AccountId, *, leaf_class: LeafClass, payload: bytes, salt: bytes, mentions: Sequence[RecordId]
    ) -> Included:
        """Have one leaf in a signed checkpoint; answers with the proof of it."""
        sealed = await self._sealer.seal(account, salt + payload)
        leaf = NewLeaf(leaf_class, salt, payload, sealed, tuple(record.value for record in mentions))
        leaf.erasure()
        answer: asyncio.Future[Included] = asyncio.get_running_loop().create_future()
        self._wanted.append(_Wanted(account, leaf, answer))
        self._wake.set()
        return await answer

    @property
    def log_count(self) -> int:
        """How many logs are written here."""
        return len(self._origins)

    def nudge(self) -> None:
        """Something waits in an outbox."""
        self._wake.set()

    async def open_log(self, account: AccountId) -> tuple[str, str]:
        """Origin and vkey of the account's log, which is made now when there is none."""
        async with self._writing:
            try:
                await self._settle()
                await self._make_logs([account])
            except BaseException:
                self._settled = False
                raise
            origin = self._origins[account]
            return origin, self._signer.vkey(origin)

    async def run(self) -> None:
        """Commit whatever comes until cancelled; ends with Broken when a log does not hold together."""
        pause = IDLE_S
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause)
            self._wake.clear()
            try:
                pause = ACTIVE_S if await self.commit_once() else IDLE_S
            except Broken:
                raise
            except Exception as error:
                diagnostics.failure("sequencer.commit-failed", error)
                pause = RETRY_S
                await asyncio.sleep(RETRY_S)

    async def commit_once(self) -> bool:
        """One commit of all that waits, up to a limit; whether anything was written."""
        async with self._writing:
            taken, self._wanted = self._wanted[:INCLUDES_MAX], self._wanted[INCLUDES_MAX:]
            try:
                await self._settle()
                return await self._commit(taken)
            except BaseException as error:
                self._settled = False
                for wanted in taken:
                    if not wanted.answer.done():
                        wanted.answer.set_exception(error if isinstance(error, Missing) else EvidenceUnavailable())
                raise

    async def _commit(self, taken: list[_Wanted]) -> bool:
        waiting = await self._read_waiting()  # (1)
        additions = {account: list(leaves) for account, leaves in waiting.leaves.items()}
        for wanted in taken:  # after what was posted before it: an erasure's statement follows its records' batches
            additions.setdefault(wanted.account, []).append(wanted.leaf)
        await self._make_logs(additions)
        if not additions and not waiting.poisoned:
            return False
        async with self._database.system() as connection:  # (2)
            await waiting.take(connection)
            growths = await append(connection, additions)
            self._must_continue_signed(growths)
            crash_point("before-commit")
        crash_point("after-commit")
        await self._note([_entries_of(growth) for growth in growths])
        await self._heads.advance({growth.account: (growth.before, growth.after) for growth in growths})  # (3)
        crash_point("after-lock")
        checkpoints = {growth.account: self._signer.sign(growth.origin, growth.after) for growth in growths}  # (4)
        await store_checkpoints(
            self._database, {growth.account: (growth.after.size, checkpoints[growth.account]) for growth in growths}
        )
        crash_point("before-answer")
        _answer(taken, growths, checkpoints)
        if waiting.is_full or self._wanted:
            self._wake.set()
        return True

    async def _read_waiting(self) -> Waiting:
        now_s = self._clock.monotonic_s()
        self._deferred = {account: until_s for account, until_s in self._deferred.items() if until_s > now_s}
        waiting = await read_outboxes(self._database, self._deferred)
        await self._make_logs(waiting.accounts())
        await waiting.seal(self._sealer.seal)
        waiting.batch(self._origins, self._clock.now())
        self._deferred |= dict.fromkeys(waiting.deferred, now_s + RETRY_S)
        return waiting

    async def _settle(self) -> None:
        """After a start and after any failure nobody knows what the database committed: look."""
        if not self._settled:
            self._origins = await reconcile(self._database, self._heads, self._signer, note=self._note)
            self._settled = True

    async def _make_logs(self, accounts: Iterable[AccountId]) -> None:
        """An empty log, signed, for each account that has none."""
        missing = {account: new_origin() for account in accounts if account not in self._origins}
        if not missing:
            return
        rows = [(account.value, origin, self._signer.vkey(origin), EMPTY_ROOT) for account, origin in missing.items()]
        async with self._database.system() as connection:
            await connection.execute(queries.open_heads, *zip(*rows, strict=True))
        empty = Head(0, EMPTY_ROOT)
        await self._note([Entries(account.value.bytes, origin, 0, b"", 0) for account, origin in missing.items()])
        await self._heads.advance(dict.fromkeys(missing, (None, empty)))
        checkpoints = {account: (0, self._signer.sign(origin, empty)) for account, origin in missing.items()}
        await store_checkpoints(self._database, checkpoints)
        self._origins |= missing

    async def _note(self, entries: list[Entries]) -> None:
        if self._journal is not None and entries:
            await asyncio.to_thread(self._journal.append, entries)

    def _must_continue_signed(self, growths: list[Growth]) -> None:
        """The database was not turned back or replaced under our feet since the last commit."""
        for growth in growths:
            signed = self._heads[growth.account] or Head(0, EMPTY_ROOT)
            if growth.before.size < signed.size:
                raise LogRolledBack
            if growth.before != signed:
                raise LogForked


def _entries_of(growth: Growth) -> Entries:
    leaves = b"".join(leaf.entry for leaf in growth.leaves)
    kept = sum(len(leaf.batch.records) for leaf in growth.leaves if leaf.batch)
    batches = [
        Batch(
            index, leaf.salt, leaf.payload, b"".join(record.bytes for record in leaf.batch.records),
            b"".join(leaf.batch.commitments),
        )
        for index, leaf in enumerate(growth.leaves, start=growth.before.size)
        if leaf.batch
    ]  # fmt: skip
    told = [one for leaf in growth.leaves if (one := _of_credential(leaf)) is not None]
    return Entries(
        growth.account.value.bytes, growth.origin, growth.before.size, leaves, kept, batches,
        [which for what, which in told if what == "revoked"], [which for what, which in told if what == "changed"],
    )  # fmt: skip


def _of_credential(leaf: NewLeaf) -> tuple[str, str] | None:
    """Whether this leaf ends a credential or a program, or changes a credential; and which."""
    if leaf.leaf_class is LeafClass.CREDENTIAL_REVOKED:
        payload = json.loads(leaf.payload)
        return "revoked", str(payload.get("credential") or payload.get("program"))
    if leaf.leaf_class is LeafClass.CONFIGURATION_CHANGED:
        payload = json.loads(leaf.payload)
        if payload.get("what") in ("credential.rotated", "credential.bound"):
            return "changed", str(payload["which"])
    return None


def _answer(taken: list[_Wanted], growths: list[Growth], checkpoints: dict[AccountId, bytes]) -> None:
    """Each waiting leaf gets its index and its path. They stand last in each log, in the order they came."""
    by_account = {growth.account: growth for growth in growths}
    given: dict[AccountId, int] = {}
    for wanted in reversed(taken):
        growth = by_account[wanted.account]
        given[wanted.account] = given.get(wanted.account, 0) + 1
        index = growth.after.size - given[wanted.account]
        if not wanted.answer.done():
            wanted.answer.set_result(
                Included(index, growth.after.size, growth.inclusion(index), checkpoints[wanted.account])
            )
