"""The queue of messages in the database: which are due, what became of them, what a receipt says."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sealwire.communications.messages.receipts import Receipt
from sealwire.ground import diagnostics
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, MessageId, RecordId

queries = load_queries(__package__)
CHANNEL = "sealwire_message"
RECEIPT_WAIT = dt.timedelta(days=1)
"""How long after its validity a sent message may still be confirmed."""


class Redaction(StrEnum):
    """What goes when a message has come to its end: nothing, its text, or its text and both numbers."""

    KEEP = "keep"
    CONTENT = "content"
    ALL = "all"


class State(StrEnum):
    """Where a message is. From `delivered` on nothing more happens to it."""

    ACCEPTED = "accepted"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    UNCONFIRMED = "unconfirmed"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True)
class Due:
    """A message to be sent now: `taken` are the numbers of the segments that the centre has already."""

    account: AccountId
    message: MessageId
    content: RecordId
    expires_at: dt.datetime
    attempts: int
    taken: frozenset[int]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one attempt came to: the segments that were taken with the centre's ids, and what is next."""

    due: Due
    state: State
    segments: dict[int, str]
    due_at: dt.datetime
    error: int = 0


@dataclass(frozen=True, slots=True)
class Untold:
    """A message of which the webhooks do not know everything."""

    message: MessageId
    direction: str
    state: State
    error: int
    told: int
    is_final: bool
    segments_missing: int


class Queue:
    """The messenger's view of the tables, over all accounts, each in transactions of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def accounts_with(self, what: str, at: dt.datetime) -> list[AccountId]:
        """Accounts with something to do: due, under-way, unconfirmed, untold, to-redact, unsettled, old, …"""
        async with self.database.system() as connection:
            rows = await connection.fetch(queries.accounts_with, what, at)
        return [AccountId(row["account_id"]) for row in rows]

    async def take_back(self, at: dt.datetime) -> int:
        """What an earlier life of this process was sending when it ended is due again; how many accounts had some."""
        accounts = await self.accounts_with("under-way", at)
        for account in accounts:
            async with self.database.account(account) as connection:
                await connection.execute(queries.take_back, account.value, at)
        return len(accounts)

    async def claim(self, account: AccountId, *, at: dt.datetime, limit: int) -> list[Due]:
        """Take the account's oldest due messages; nobody else is given them."""
        async with self.database.account(account) as connection:
            rows = await connection.fetch(queries.claim, account.value, at, limit)
        return [_due(account, row) for row in rows]

    async def settle_outcomes(self, outcomes: list[Outcome], at: dt.datetime) -> None:
        """Write down what attempts came to: all of an account in one transaction."""
        by_account: defaultdict[AccountId, list[Outcome]] = defaultdict(list)
        for outcome in outcomes:
            by_account[outcome.due.account].append(outcome)
        for account, mine in by_account.items():
            taken = [(out.due.message.value, at, name) for out in mine for at, name in out.segments.items()]
            async with self.database.account(account) as connection:
                await hold(connection, account, [out.due.message.value for out in mine])
                if taken:
                    await connection.execute(queries.put_segments, account.value, *_columns(taken))
                ends = [(out.due.message.value, out.state.value, out.error, out.due_at) for out in mine]
                await connection.execute(queries.put_outcomes, account.value, *_columns(ends), at)

    async def put_receipts(self, receipts: list[Receipt], at: dt.datetime) -> set[str]:
        """Note what became of segments and end the messages that are complete; which segment ids were known.

        A centre that gave several messages one id says nothing about any of them: they stay unconfirmed.
        """
        by_id: dict[str, Receipt] = {}
        for receipt in receipts:  # the first end counts, whatever is said after it
            if (by_id.setdefault(receipt.segment_id, receipt)).outcome is None:
                by_id[receipt.segment_id] = receipt
        async with self.database.system() as connection:
            rows = await connection.fetch(queries.segments_of_receipts, list(by_id))
        meant: defaultdict[str, set[UUID]] = defaultdict(set)
        for row in rows:
            meant[row["centre_id"]].add(row["message_id"])
        by_account: defaultdict[AccountId, list[Any]] = defaultdict(list)
        for row in rows:
            if len(meant[row["centre_id"]]) == 1:
                by_account[AccountId(row["account_id"])].append(row)
            else:
                diagnostics.event("message.receipt-ambiguous", message=MessageId(row["message_id"]))
        for account, mine in by_account.items():
            told = [(row["message_id"], row["segment"], by_id[row["centre_id"]]) for row in mine]
            ended = [(message, segment, receipt.outcome) for message, segment, receipt in told if receipt.outcome]
            if not ended:
                continue
            async with self.database.account(account) as connection:
                # two segments of one message noted side by side must see each other, or neither would end it
                await hold(connection, account, [message for message, _, _ in ended])
                await connection.execute(queries.put_receipts, account.value, *_columns(ended))
                errors = [(message, receipt.error) for message, _, receipt in told if receipt.outcome]
                await connection.execute(queries.end_received, account.value, *_columns(errors), at)
        return {row["centre_id"] for row in rows}

    async def end_unconfirmed(self, at: dt.datetime) -> None:
        """Messages that were sent and of which nothing was heard in time."""
        before = at - RECEIPT_WAIT
        for account in await self.accounts_with("unconfirmed", before):
            async with self.database.account(account) as connection:
                await connection.execute(queries.end_unconfirmed, account.value, before, at)

    async def is_listened_to(self, account: AccountId) -> bool:
        """Whether the account has a webhook endpoint at all; most of the telling can be spared where it has none."""
        async with self.database.account(account) as connection:
            return bool(await connection.fetchval(queries.is_listened_to, account.value))

    async def untold(self, account: AccountId, *, limit: int) -> list[Untold]:
        """The oldest messages of which the webhooks do not know everything."""
        async with self.database.account(account) as connection:
            rows = await connection.fetch(queries.untold, account.value, limit)
        return [
            Untold(
                MessageId(row["message_id"]), row["direction"], State(row["state"]), row["error"], row["told"],
                row["final_at"] is not None, row["segments_missing"],
            )
            for row in rows
        ]  # fmt: skip

    async def put_told(self, account: AccountId, told: list[tuple[MessageId, int]]) -> None:
        """How much of each message the webhooks know now."""
        columns = _columns([(message.value, level) for message, level in told])
        async with self.database.account(account) as connection:
            await hold(connection, account, columns[0])
            await connection.execute(queries.put_told, account.value, *columns)

    async def put_settled(self, account: AccountId, messages: list[UUID]) -> None:
        """What these messages cost is in the bill."""
        async with self.database.account(account) as connection:
            await hold(connection, account, messages)
            await connection.execute(queries.put_settled, account.value, messages)

    async def drop_old(self, before: dt.datetime) -> None:
        """Forget states of messages whose records are past every retention period."""
        for account in await self.accounts_with("old", before):
            async with self.database.account(account) as connection:
                await connection.execute(queries.drop_old, account.value, before)


async def hold(connection: Connection, account: AccountId, messages: list[UUID]) -> None:
    """Before any of several messages is changed: whoever else changes them holds them in the same order, so that
    receipts, outcomes, webhooks and charges that are noted side by side wait for each other instead of failing.
    """
    await connection.execute(queries.hold_messages, account.value, messages)


def _due(account: AccountId, row: Any) -> Due:
    return Due(
        account, MessageId(row["message_id"]), RecordId(row["content"]), row["expires_at"], row["attempts"],
        frozenset(row["taken"]),
    )  # fmt: skip


def _columns(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]


def uuids(messages: list[MessageId]) -> list[UUID]:
    """Message ids as asyncpg takes them."""
    return [message.value for message in messages]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one message besides its records."""

    state: State
    contents: list[RecordId]
    segments_missing: int
    expires_at: dt.datetime
    attempts: int
    sent_at: dt.datetime | None
    final_at: dt.datetime | None
    error: int
    redacted_at: dt.datetime | None


async def standings(database: Database, account: AccountId, messages: list[MessageId]) -> dict[MessageId, Standing]:
    """By message; one that was kept and never came into the queue (a crash between the two) has none."""
    async with database.account(account) as connection:
        rows = await connection.fetch(queries.standings, account.value, uuids(messages))
    return {
        MessageId(row["message_id"]): Standing(
            State(row["state"]), [RecordId(each) for each in row["contents"]], row["segments_missing"],
            row["expires_at"], row["attempts"], row["sent_at"], row["final_at"], row["error"], row["redacted_at"],
        )
        for row in rows
    }  # fmt: skip
