"""Messages at their end whose text, or text and numbers, are to go: handed to the eraser, keys and all."""

from __future__ import annotations

from typing import Any

from sealwire.communications.messages.finding import living
from sealwire.communications.messages.queue import Queue, Redaction, queries
from sealwire.custody.categories import MessageContent, MessageRecord, category_of
from sealwire.custody.erasure import ErasedMeanwhile, Ground, request_records
from sealwire.custody.lifecycle import Custody
from sealwire.custody.store import StoredRecord
from sealwire.vocabulary import AccountId, RecordId

BATCH = 500
REQUESTED_BY = "redaction of messages"
_CONTENT, _RECORD = category_of(MessageContent), category_of(MessageRecord)


class Redactor:
    """A duty of the messenger. One erasure, one certificate and one tick of the keeper for a whole batch."""

    def __init__(self, custody: Custody, queue: Queue, *, backup_cycle_days: int) -> None:
        self._custody, self._queue, self._cycle = custody, queue, backup_cycle_days

    async def redact_all(self) -> bool:
        """One batch for each account; True when there may be more."""
        accounts = await self._queue.accounts_with("to-redact", self._custody.clock.now())
        return any([await self._redact(account) for account in accounts])

    async def _redact(self, account: AccountId) -> bool:
        clock = self._custody.clock
        try:
            async with self._custody.database.account(account) as connection:
                rows = await connection.fetch(queries.to_redact, account.value, BATCH)
                records = await self._records(account, rows)
                if records:
                    await request_records(
                        connection, account, records, ground=Ground.INSTRUCTION, requested_by=REQUESTED_BY,
                        backup_cycle_days=self._cycle, clock=clock,
                    )  # fmt: skip
                done = [row["message_id"] for row in rows]
                await connection.execute(queries.put_redacted, account.value, done, clock.now())
        except ErasedMeanwhile:
            return True
        return len(rows) == BATCH

    async def _records(self, account: AccountId, rows: list[Any]) -> list[StoredRecord]:
        contents = [RecordId(content) for row in rows for content in row["contents"]]
        whole = [RecordId(row["message_id"]) for row in rows if row["redaction"] == Redaction.ALL]
        found = await living(self._custody, account, contents, category=_CONTENT)
        return found + await living(self._custody, account, whole, category=_RECORD)
