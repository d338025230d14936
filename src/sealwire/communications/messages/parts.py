"""Long messages to us: each segment is kept in custody as it comes, and the message is made when all are there.

A segment's text is a content record of the message that is to be; a table holds which record is which part. Whose
segments belong together is known in memory by number and reference, and after a restart from the records themselves,
opened under one leaf. What does not come in time is missing: the message is made without it and says so.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import dataclass, field

from sealwire.communications.messages.alphabet import Encoding
from sealwire.communications.messages.finding import living
from sealwire.communications.messages.queue import Queue, queries
from sealwire.communications.messages.segments import Place
from sealwire.custody.categories import MessageContent, MessageRecord, category_of
from sealwire.custody.lifecycle import Custody, service_principal
from sealwire.vocabulary import AccountId, MessageId, Party, Purpose, RecordId

WAIT = dt.timedelta(minutes=5)
_CONTENT = category_of(MessageContent)
_Key = tuple[AccountId, str, str, int, int]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message, or a segment of one, as it came in for a number of an account."""

    account: AccountId
    sender: Party = field(repr=False)
    recipient: Party = field(repr=False)
    text: str = field(repr=False)
    encoding: Encoding
    at: dt.datetime
    retention_class: int


@dataclass(slots=True)
class _Group:
    """The segments of one message that are here."""

    account: AccountId
    message: MessageId
    place: Place
    sender: Party = field(repr=False)
    recipient: Party = field(repr=False)
    encoding: Encoding
    began_at: dt.datetime
    retention_class: int
    """Of the whole message: that of the segment which came first."""
    parts: dict[int, RecordId] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_made: bool = False

    @property
    def key(self) -> _Key:
        return self.account, self.sender.text, self.recipient.text, self.place.reference, self.place.total


class Arrivals:
    """Makes messages of what comes in; when a method returns, what it was given is durable."""

    def __init__(self, custody: Custody, queue: Queue, *, wait: dt.timedelta = WAIT) -> None:
        self._custody, self._queue, self._wait = custody, queue, wait
        self._groups: dict[_Key, _Group] = {}

    async def take_whole(self, arrived: Arrived) -> MessageId:
        """A message in one piece."""
        message = MessageId.new()
        content = await self._keep_content(arrived, message, arrived.retention_class)
        alone = _Group(
            arrived.account, message, Place(0, 1, 1), arrived.sender, arrived.recipient, arrived.encoding, arrived.at,
            arrived.retention_class, {1: content},
        )  # fmt: skip
        await self._make(alone)
        return message

    async def take_part(self, arrived: Arrived, place: Place) -> None:
        """A segment; the last one makes the message. One that is here already changes nothing."""
        key = (arrived.account, arrived.sender.text, arrived.recipient.text, place.reference, place.total)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = _Group(
                arrived.account, MessageId.new(), place, arrived.sender, arrived.recipient, arrived.encoding,
                arrived.at, arrived.retention_class,
            )  # fmt: skip
        async with group.turn:
            if group.is_made:  # while this waited
                if place.number not in group.parts:  # it was made without this one, which is not to be lost with it
                    await self.take_part(arrived, place)
                return
            if place.number not in group.parts:
                record = await self._keep_content(arrived, group.message, group.retention_class)
                async with self._custody.database.account(arrived.account) as connection:
                    await connection.execute(
                        queries.insert_part, arrived.account.value, group.message.value, place.number, place.total,
                        place.reference, record.value, group.began_at,
                    )  # fmt: skip
                group.parts[place.number] = record
            if len(group.parts) == place.total:
                await self._make(group)

    async def make_late(self) -> int:
        """Make the messages that have waited long enough for segments that did not come; how many."""
        before = self._custody.clock.now() - self._wait
        late = [group for group in self._groups.values() if group.began_at < before]
        for group in late:
            async with group.turn:
                if not group.is_made:
                    await self._make(group)
        return len(late)

    async def recover(self) -> int:
        """Find the segments that waited when this process ended; how many."""
        found = 0
        for account in await self._queue.accounts_with("waiting-parts", self._custody.clock.now()):
            async with self._custody.database.account(account) as connection:
                rows = {
                    RecordId(row["record_id"]): row
                    for row in await connection.fetch(queries.waiting_parts, account.value)
                }
            stored = await living(self._custody, account, list(rows), category=_CONTENT)
            by = service_principal(account)
            for opened in await self._custody.open_stored(by, stored, purpose=Purpose.SERVICE_OPERATION):
                row, content = rows[opened.stored.record], opened.content.reveal()
                group = _Group(
                    account, MessageId(row["message_id"]), Place(row["reference"], row["total"], row["part"]),
                    content["sender"], content["recipient"], Encoding.GSM, row["received_at"],
                    opened.stored.retention_class,
                )  # fmt: skip
                group = self._groups.setdefault(group.key, group)
                group.parts[row["part"]] = opened.stored.record
                found += 1
            for gone in {row["message_id"] for record, row in rows.items()} - {
                group.message.value for group in self._groups.values()
            }:
                async with self._custody.database.account(account) as connection:
                    await connection.execute(queries.drop_parts, account.value, gone)
        for group in [group for group in self._groups.values() if len(group.parts) == group.place.total]:
            await self._make(group)
        return found

    async def _keep_content(self, arrived: Arrived, message: MessageId, retention_class: int) -> RecordId:
        content = MessageContent(
            message_id=message, accepted_at=arrived.at, sender=arrived.sender, recipient=arrived.recipient,
            text=arrived.text,
        )  # fmt: skip
        return (await self._custody.keep(arrived.account, content, retention_class=retention_class)).record

    async def _make(self, group: _Group) -> None:
        """Record and row; when the process ends between the two, the same is done again."""
        total, here = group.place.total, [group.parts[number] for number in sorted(group.parts)]
        record = MessageRecord(
            message_id=group.message, direction="in", accepted_at=group.began_at, encoding=group.encoding.value,
            segments=total, redaction="keep", sender=group.sender, recipient=group.recipient,
        )  # fmt: skip
        await self._custody.keep(group.account, record, retention_class=group.retention_class)
        async with self._custody.database.account(group.account) as connection:
            await connection.execute(
                queries.insert_received, group.account.value, group.message.value, [each.value for each in here],
                total, total - len(here), group.began_at,
            )  # fmt: skip
            await connection.execute(queries.drop_parts, group.account.value, group.message.value)
        group.is_made = True
        self._groups.pop(group.key, None)
