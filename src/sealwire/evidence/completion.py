"""Completing logs after the database was put back: the leaves it lacks come from the journal beside the lock file.

For each log that the lock file knows and the database holds too little of:
(1) the journal must give every leaf from the database's end to the signed size; else the restore is refused;
(2) they are appended as leaves always are: written, read back, every hash computed again;
(3) records that waited for their leaf at the backup and have it now are taken out of the outbox with it;
(4) at the signed size the root must be the signed one. Then the log goes on as if nothing had happened.

A log that the database does not know at all (an account made since) is begun anew under its own name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sealwire.errors import Refused
from sealwire.evidence.heads import Head, Heads, LogForked
from sealwire.evidence.journal import Batch, read_journal
from sealwire.evidence.leaves import KeptBatch, LeafClass, NewLeaf
from sealwire.evidence.log import append, queries
from sealwire.evidence.signer import LogSigner
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId
from sealwire_verifier.merkle import EMPTY_ROOT

_AT_ONCE = 1_000


class JournalTooShort(Refused):
    """The journal of leaves does not reach back to this backup, so the log cannot go on; restore a newer backup."""


@dataclass(frozen=True, slots=True)
class KnownLeaf(NewLeaf):
    """A leaf of which only its 34 bytes are left."""

    raw: bytes = b""

    @property
    def entry(self) -> bytes:
        return self.raw

    def erasure(self) -> None:
        """What it stated is lost; who has the certificate still has it."""
        return


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials and programs that ended, or changed, in leaves the database lacks; not whole: in others too."""

    ids: frozenset[str]
    is_whole: bool
    stays: bool = False
    """Whether a closing of the account was called off in them, which must not go on."""


First = Callable[[dict[AccountId, Credentials]], Awaitable[None]]


@dataclass(slots=True)
class Behind:
    """What one log lacks in the database."""

    size: int
    wanted: Head
    origin: str = ""
    is_unknown: bool = False
    leaves: dict[int, bytes] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)
    batches: dict[int, Batch] = field(default_factory=dict)
    revoked: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    waiting: int = 0
    """Records that the database has and that were not in the log yet: their leaf is among the lost, they are not."""

    @property
    def credentials(self) -> Credentials:
        """Which credentials must not come alive again; not whole when the journal does not name all."""
        leaves = sum(leaf[1] == LeafClass.CREDENTIAL_REVOKED for leaf in self.leaves.values())
        stays = any(leaf[1] == LeafClass.CLOSURE_CANCELLED for leaf in self.leaves.values())
        return Credentials(frozenset(self.revoked | self.changed), len(self.revoked) >= leaves, stays=stays)

    def lost(self) -> Counter[str]:
        """Leaves by type, and under `records` how many of the records they said were kept are lost."""
        lost = Counter(_type(leaf[1]) for leaf in self.leaves.values())
        lost["records"] = max(0, sum(self.kept.values()) - self.waiting)
        return lost


async def complete_logs(
    database: Database, heads: Heads, signer: LogSigner, folder: Path, *, first: First
) -> dict[AccountId, Counter[str]]:
    """Bring every log in the database up to its signed head; what each one lacked. Repeatable after a crash.

    `first` is told of credentials before anything is appended: a log that was completed tells nothing any more.
    """
    behind = await _behind(database, heads)
    _read(folder, behind)  # (1)
    for account, log in behind.items():
        missing = [index for index in range(log.size, log.wanted.size) if index not in log.leaves]
        if missing or (log.is_unknown and not log.origin):
            raise JournalTooShort(
                f"the journal of leaves lacks {len(missing)} leaves of the log of {account} that were signed after "
                "this backup was made, so the log cannot go on from it; restore a newer backup"
            )
    await first({account: log.credentials for account, log in behind.items()})
    for account, log in behind.items():
        if log.is_unknown:
            row = (account.value, log.origin, signer.vkey(log.origin), EMPTY_ROOT)
            async with database.system() as connection:
                await connection.execute(queries.open_heads, *([value] for value in row))
        await _append(database, account, log)
    return {account: log.lost() for account, log in behind.items()}


async def _behind(database: Database, heads: Heads) -> dict[AccountId, Behind]:
    found: dict[AccountId, Behind] = {}
    for account in heads.accounts():
        locked = heads[account]
        assert locked is not None
        async with database.system() as connection:
            row: Any = await connection.fetchrow(queries.find_head, account.value)
        if row is None:
            found[account] = Behind(0, locked, is_unknown=True)
        elif row["size"] < locked.size:
            found[account] = Behind(row["size"], locked)
    async with database.system() as connection:
        rows: list[Any] = await connection.fetch(queries.kept_waiting_by_account)
    for row in rows:
        if (log := found.get(AccountId(row["account_id"]))) is not None:
            log.waiting = row["records"]
    return found


def _read(folder: Path, behind: dict[AccountId, Behind]) -> None:
    by_bytes = {account.value.bytes: log for account, log in behind.items()}
    for entries in read_journal(folder):
        log = by_bytes.get(entries.account)
        if log is None:
            continue
        log.origin = entries.origin
        wanted = range(max(entries.first, log.size), min(entries.first + entries.count, log.wanted.size))
        for index in wanted:
            log.leaves[index] = entries.leaf(index)
        log.batches |= {batch.index: batch for batch in entries.batches if batch.index in wanted}
        if wanted:
            log.kept[entries.first] = entries.kept
            log.revoked.update(entries.revoked)
            log.changed.update(entries.changed)


async def _append(database: Database, account: AccountId, log: Behind) -> None:
    root = None
    for start in range(log.size, log.wanted.size, _AT_ONCE):
        indices = range(start, min(start + _AT_ONCE, log.wanted.size))
        leaves = [_known(log.leaves[index], log.batches.get(index)) for index in indices]
        async with database.system() as connection:  # (2)
            (growth,) = await append(connection, {account: leaves})
            for leaf in leaves:
                if leaf.batch is not None:  # (3)
                    told = (list(leaf.batch.records), list(leaf.batch.commitments))
                    await connection.execute(queries.take_told, account.value, *told)
            root = growth.after.root
            if growth.after.size == log.wanted.size and root != log.wanted.root:  # (4)
                raise LogForked
    if log.wanted.size == log.size and log.wanted.root != EMPTY_ROOT:
        raise LogForked


def _known(leaf: bytes, batch: Batch | None) -> KnownLeaf:
    if batch is None:
        return KnownLeaf(_class(leaf), b"", b"", raw=leaf)
    records = tuple(UUID(bytes=batch.records[at : at + 16]) for at in range(0, len(batch.records), 16))
    each = len(batch.commitments) // max(len(records), 1)
    commitments = tuple(batch.commitments[at * each : (at + 1) * each] for at in range(len(records)))
    return KnownLeaf(_class(leaf), batch.salt, batch.payload, batch=KeptBatch(records, commitments), raw=leaf)


def _class(leaf: bytes) -> LeafClass:
    """The class only files the leaf here; an unknown one is of a later version and stays what it is."""
    return LeafClass(leaf[1]) if leaf[1] in {one.value for one in LeafClass} else LeafClass.LOG_OPENED


def _type(number: int) -> str:
    return LeafClass(number).type if number in {one.value for one in LeafClass} else f"class {number}"
