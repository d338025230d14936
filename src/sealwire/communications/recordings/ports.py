"""What a recorder needs from the rest of the house: somewhere to write to that seals what it is given."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from sealwire.communications.control.port import RecordingWish
from sealwire.governance.services import Service
from sealwire.vocabulary import AccountId, CallId, Party, RecordId


class RecordingSink(Protocol):
    """One recording on its way into custody. Sealed in memory first, never a plain file."""

    @property
    def record(self) -> RecordId:
        """The id it will be kept under; known from the start."""

    async def write(self, pcm: bytes) -> None: ...

    async def finish(self) -> object:
        """Close the stream; gives what `CallEnded.recordings` carries as `kept`."""

    async def abort(self) -> None: ...


class RecordingKeeper(Protocol):
    """Opens such places. Unavailable or Refused means: nothing may be recorded now."""

    async def begin_recording(
        self,
        account: AccountId,
        call_id: CallId,
        caller: Party,
        callee: Party,
        started_at: dt.datetime,
        *,
        wish: RecordingWish | None = None,
        service: Service | None = None,
    ) -> RecordingSink: ...
