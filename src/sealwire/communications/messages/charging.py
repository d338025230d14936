"""What a message costs: money is set aside when it is accepted, and settled by what the centre took of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from sealwire.communications.accounting.billing import NOBODY, keep_billed
from sealwire.communications.accounting.port import Admission
from sealwire.communications.cardguard import CardPolicy
from sealwire.communications.messages.finding import living
from sealwire.communications.messages.queue import Queue, queries
from sealwire.custody.categories import MessageRecord, category_of
from sealwire.custody.lifecycle import Custody, service_principal
from sealwire.governance.spending import forget_billed
from sealwire.vocabulary import AccountId, CredentialId, MessageId, Party, Purpose, RecordId

_RECORDS = category_of(MessageRecord)
BATCH = 200
SIDE_BY_SIDE = 6


class Reserved(Admission, Protocol):
    """An admission that can be found again by another process."""

    @property
    def reservation(self) -> UUID:
        """Under which `resume` finds it."""


class MessageSpending(Protocol):
    """What messages need of an account's spending."""

    async def admit_message(
        self, account: AccountId, *, recipient: Party, segments: int, credential: CredentialId | None = None
    ) -> Reserved: ...

    async def resume_all(self, account: AccountId, reservations: list[UUID]) -> Mapping[UUID, Admission]: ...

    async def card_policy(self, account: AccountId) -> CardPolicy: ...


class Charging:
    """Settles messages that went out, or ended without: a duty, so that a crash between the two loses no charge."""

    def __init__(self, custody: Custody, spending: MessageSpending) -> None:
        self._custody, self._spending = custody, spending
        self._queue = Queue(custody.database)

    async def settle_all(self) -> bool:
        """One batch for each account; True when there may be more."""
        accounts = await self._queue.accounts_with("unsettled", self._custody.clock.now())
        return any([await self._settle(account) for account in accounts])

    async def _settle(self, account: AccountId) -> bool:
        async with self._custody.database.account(account) as connection:
            rows = await connection.fetch(queries.unsettled, account.value, BATCH)
        recipients = await self._recipients(account, [MessageId(row["message_id"]) for row in rows])
        admissions = await self._spending.resume_all(account, [row["reservation"] for row in rows])
        left = [(row, admissions[row["reservation"]]) for row in rows if row["reservation"] in admissions]
        billed: set[UUID] = set()
        for at in range(0, len(left), SIDE_BY_SIDE):
            some = left[at : at + SIDE_BY_SIDE]
            billed |= set().union(
                *await asyncio.gather(*(self._settle_one(account, row, held, recipients) for row, held in some))
            )
        async with self._custody.database.account(account) as connection:  # only what is on the bill by now
            await forget_billed(connection, account, billed)
        await self._queue.put_settled(account, [row["message_id"] for row in rows])
        return len(rows) == BATCH

    async def _settle_one(
        self, account: AccountId, row: Any, admission: Admission, recipients: dict[MessageId, Party]
    ) -> set[UUID]:
        message = MessageId(row["message_id"])
        taken = row["segments"] if row["sent_at"] is not None else row["taken"]
        charges = await admission.settle(segments=taken)
        destination = recipients.get(message, NOBODY)
        return await keep_billed(
            self._custody, account, charges, call=None, message=message, destination=destination,
            ended_at=row["ended_at"],
        )  # fmt: skip

    async def _recipients(self, account: AccountId, messages: list[MessageId]) -> dict[MessageId, Party]:
        """Whom these messages went to, opened under one leaf; who was erased meanwhile stays out of the bill."""
        records = [RecordId(message.value) for message in messages]
        stored = await living(self._custody, account, records, category=_RECORDS)
        if not stored:
            return {}
        by = service_principal(account)
        opened = await self._custody.open_stored(by, stored, purpose=Purpose.SERVICE_OPERATION)
        return {row.stored.plain["message_id"]: row.content.reveal()["recipient"] for row in opened}
