"""What waits in the outboxes, and how it becomes leaves: one leaf an event, one leaf a batch of kept records."""

from __future__ import annotations

import asyncio
import datetime as dt
from base64 import b64encode
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sealwire.errors import Broken, Malformed, SealwireError
from sealwire.evidence.leaves import (
    KeptBatch,
    LeafClass,
    NewLeaf,
    SealedPayload,
    encode_payload,
    new_salt,
    read_payload,
)
from sealwire.evidence.log import queries
from sealwire.ground import diagnostics
from sealwire.ground.clock import rfc3339
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId
from sealwire_verifier.merkle import root_of

EVENTS_MAX = 2_000
KEPT_MAX = 8_000
KEYS_GONE = frozenset({"account-closed", "day-erased", "past-due", "punctured"})
Seal = Callable[[AccountId, bytes], Awaitable[SealedPayload]]


class OutboxChanged(Broken):
    """Another process took rows from the outbox; only one sequencer may write these logs."""


@dataclass(slots=True)
class Waiting:
    """Rows of both outboxes, oldest first. `poisoned` are events that are none: kept aside, they stop nobody."""

    events: list[Any]
    kept: list[Any]
    poisoned: list[Any] = field(default_factory=list)
    leaves: dict[AccountId, list[NewLeaf]] = field(default_factory=dict)
    deferred: list[AccountId] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.events) + len(self.kept)

    @property
    def is_full(self) -> bool:
        """Whether more may wait than was read."""
        return len(self.events) >= EVENTS_MAX or len(self.kept) >= KEPT_MAX

    def accounts(self) -> set[AccountId]:
        return {AccountId(row["account_id"]) for row in (*self.events, *self.kept)}

    async def seal(self, seal: Seal) -> None:
        """Make a leaf of each event. An account whose payloads cannot be sealed now is left for later."""
        self.poisoned = [row for row in self.events if not _is_event(row)]
        for row in self.poisoned:
            diagnostics.event("sequencer.event-quarantined", account=AccountId(row["account_id"]), posted=row["posted"])
        poisoned = {row["posted"] for row in self.poisoned}
        self.events = [row for row in self.events if row["posted"] not in poisoned]
        by_account: dict[AccountId, list[Any]] = {}
        for row in self.events:
            by_account.setdefault(AccountId(row["account_id"]), []).append(row)
        made = await asyncio.gather(*(_event_leaves(account, rows, seal) for account, rows in by_account.items()))
        for account, leaves in zip(by_account, made, strict=True):
            if leaves is None:
                self.deferred.append(account)
            else:
                self.leaves.setdefault(account, []).extend(leaves)
        if self.deferred:
            self.events = [row for row in self.events if AccountId(row["account_id"]) not in set(self.deferred)]

    def batch(self, origins: Mapping[AccountId, str], now: dt.datetime) -> None:
        """Make one leaf of all kept records of an account: the Merkle root over their commitments."""
        by_account: dict[AccountId, list[Any]] = {}
        for row in self.kept:
            by_account.setdefault(AccountId(row["account_id"]), []).append(row)
        for account, rows in by_account.items():
            commitments = tuple(row["commitment"] for row in rows)
            payload = {
                "account": origins[account],
                "at": rfc3339(now),
                "count": len(rows),
                "commitments_root": b64encode(root_of(commitments)).decode(),
            }
            encoded = encode_payload(account, LeafClass.RECORD_KEPT, payload)
            batch = KeptBatch(tuple(row["record_id"] for row in rows), commitments)
            self.leaves.setdefault(account, []).append(NewLeaf(LeafClass.RECORD_KEPT, new_salt(), encoded, batch=batch))

    async def take(self, connection: Any) -> None:
        """Remove the rows from the outboxes, in the transaction that appends their leaves."""
        if self.poisoned:
            await connection.execute(queries.quarantine_events, *_keys(self.poisoned))
        taken = ((queries.take_events, [*self.events, *self.poisoned]), (queries.take_kept, self.kept))
        for statement, rows in taken:
            if rows:
                accounts, posted = _keys(rows)
                if await connection.execute(statement, accounts, posted) != f"DELETE {len(rows)}":
                    raise OutboxChanged


async def read_outboxes(database: Database, deferred: Collection[AccountId]) -> Waiting:
    """The oldest rows that wait; events of deferred accounts stay where they are."""
    async with database.system() as connection:
        events = await connection.fetch(queries.events_waiting, [account.value for account in deferred], EVENTS_MAX)
        kept = await connection.fetch(queries.kept_waiting, KEPT_MAX)
    return Waiting(events, kept)


async def _event_leaves(account: AccountId, rows: list[Any], seal: Seal) -> list[NewLeaf] | None:
    leaves = []
    for row in rows:
        salt = new_salt()
        try:
            sealed = await seal(account, salt + row["payload"])
        except SealwireError as error:
            if error.code() not in KEYS_GONE:
                diagnostics.event("sequencer.events-deferred", account=account, error=error.code())
                return None
            diagnostics.event("sequencer.payload-not-kept", account=account, error=error.code())
            sealed = None  # no key will ever seal it: the log still says that something was done
        except Exception as error:
            diagnostics.failure("sequencer.events-deferred", error, account=account)
            return None
        leaf_class = LeafClass(row["leaf_class"])
        leaves.append(NewLeaf(leaf_class, salt, row["payload"], sealed, tuple(row["mentions"])))
    return leaves


def _is_event(row: Any) -> bool:
    """Whether a leaf can be made of this row."""
    try:
        read_payload(LeafClass(row["leaf_class"]), row["payload"])
    except (ValueError, Malformed):
        return False
    return all(isinstance(record, UUID) for record in row["mentions"])


def _keys(rows: list[Any]) -> tuple[list[UUID], list[int]]:
    return [row["account_id"] for row in rows], [row["posted"] for row in rows]
