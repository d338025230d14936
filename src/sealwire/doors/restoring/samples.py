"""Calls nobody made, for a drill without an installation: records and recordings, kept as the switchboard does."""

from __future__ import annotations

import datetime as dt
import os
import secrets

from sealwire.custody.categories import CallRecord, Recording
from sealwire.custody.lifecycle import Custody
from sealwire.vocabulary import AccountId, CallId, Day, HangupCause, Party, RecordId

RECORDED_OF = 5
_SECOND_OF_AUDIO = 16_000


class Samples:
    """Keeps calls in one account."""

    def __init__(self, custody: Custody, account: AccountId) -> None:
        self._custody, self._account = custody, account

    async def keep(self, calls: int) -> list[RecordId]:
        """Keep so many calls, one in five with its recording; their records."""
        records: list[RecordId] = []
        for number in range(calls):
            call, caller = CallId.new(), Party(f"+4477009{secrets.randbelow(10**5):05d}")
            now = self._custody.clock.now()
            started = now - dt.timedelta(seconds=9)
            callee = Party("+441632960100")
            record = CallRecord(
                call_id=call, direction="inbound", started_at=started, answered_at=started, ended_at=now,
                hangup_cause=HangupCause.NORMAL, caller=caller, callee=callee, digits="",
            )  # fmt: skip
            records.append((await self._custody.keep(self._account, record)).record)
            if number % RECORDED_OF == 0:
                records.append(await self._record(call, caller, callee))
        return records

    async def _record(self, call: CallId, caller: Party, callee: Party) -> RecordId:
        now = self._custody.clock.now()
        media = await self._custody.begin_media(self._account, Recording, starts_at_day=Day.of(now))
        await media.write(os.urandom(_SECOND_OF_AUDIO))
        recording = Recording(
            call_id=call, started_at=now, duration_ms=1000, caller=caller, callee=callee,
            audio_sha256=await media.finish(),
        )  # fmt: skip
        return (await self._custody.keep(self._account, recording, media=media)).record
