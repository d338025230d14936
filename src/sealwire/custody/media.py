"""Audio on its way into custody: sealed as it is spoken, written as ciphertext, known to the database at once."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from sealwire.custody.categories import MediaFile, category_of
from sealwire.custody.sealing.sealer import Slot
from sealwire.custody.store import queries
from sealwire.ground.clock import Clock, today
from sealwire.ground.objects.store import Objects, ObjectWriter
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, Day, RecordId

UPLOAD_LASTS_MAX = dt.timedelta(hours=1)
"""An upload is sealed when it is in memory whole, which takes seconds."""


class Nowhere:
    """Where a stream is written of which the account says that it is never stored."""

    async def write(self, data: bytes) -> None:
        """Take the next piece, and let it go."""

    async def close(self) -> None:
        """Nothing is there to finish."""

    async def abort(self) -> None:
        """Nothing is there to remove."""


class MediaKeeping:
    """One stream; `Custody.keep` finishes it, `abort` leaves nothing of it. Its record's id is known from the start."""

    def __init__(
        self,
        *,
        account: AccountId,
        record: RecordId,
        slot: Slot,
        writer: ObjectWriter | Nowhere,
        object_name: str,
        day: Day,
        objects: Objects,
        database: Database,
        is_stored: bool = True,
    ) -> None:
        self.is_stored = is_stored
        """False where its retention class says never: it is sealed like any other, and written nowhere."""
        self.account, self.record, self.slot = account, record, slot
        self.object_name, self.day = object_name, day
        self.media_bytes = 0
        self._writer, self._objects, self._database = writer, objects, database
        self._digest = hashlib.sha256()
        self._finished = False

    async def write(self, audio: bytes) -> None:
        """Seal and store the next piece."""
        self._digest.update(audio)
        await self._put(self.slot.media_update(audio))

    async def finish(self) -> bytes:
        """Write the end of the stream; the SHA-256 of what was sealed."""
        await self._put(self.slot.media_finalize())
        await self._writer.close()
        self._finished = True
        return self._digest.digest()

    async def abort(self) -> None:
        """Remove the ciphertext; where its key is stays written down until its day dies or the call is erased."""
        if not self.is_stored:
            return
        if self._finished:
            await self._objects.delete(self.object_name)
        else:
            await self._writer.abort()
        async with self._database.account(self.account) as connection:
            await connection.execute(queries.pass_begun_media, self.account.value, [self.record.value])

    async def _put(self, ciphertext: bytes) -> None:
        self.media_bytes += len(ciphertext)
        if ciphertext:
            await self._writer.write(ciphertext)


async def remove_abandoned(database: Database, objects: Objects, account: AccountId, category: int) -> int:
    """Remove what streams of a category left that a crash cut off; run by the process that makes them, before any."""
    async with database.account(account) as connection:
        rows = await connection.fetch(queries.begun_media, account.value, category)
    return await _remove(database, objects, account, rows)


async def remove_left_over(database: Database, objects: Objects, clock: Clock) -> int:
    """Remove uploads that ended hours ago with their process, and any stream whose key is dead; how many.

    For the worker: who made them may never make another, and so never look.
    """
    removed, before = 0, clock.now() - UPLOAD_LASTS_MAX
    async with database.system() as connection:
        accounts = [AccountId(row["account_id"]) for row in await connection.fetch(queries.accounts)]
    for account in accounts:
        async with database.account(account) as connection:
            rows = await connection.fetch(
                queries.left_over_media, account.value, int(today(clock)), category_of(MediaFile).code, before
            )
        removed += await _remove(database, objects, account, rows) if rows else 0
    return removed


async def _remove(database: Database, objects: Objects, account: AccountId, rows: list[Any]) -> int:
    for row in rows:
        await objects.delete(row["object_name"])
    async with database.account(account) as connection:
        await connection.execute(queries.pass_begun_media, account.value, [row["record_id"] for row in rows])
    return len(rows)
