"""What calls leave behind, handed to custody: live calls, recordings as they are spoken, call records at the end."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass

from sealwire.communications.calls.ports import CallEnded, LiveCallStarted, MediaSink, RecordingEnded
from sealwire.custody.categories import CallRecord, LiveCall, Recording
from sealwire.custody.lifecycle import Custody, MediaKeeping, RecordErased
from sealwire.custody.sealing.sealer import SlotRecalled
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, CallId, Day, HangupCause, Party, RecordId


@dataclass(frozen=True, slots=True)
class SealedAudio:
    """A finished stream of sealed audio, not yet a record."""

    media: MediaKeeping
    audio_sha256: bytes


class _Sink:
    """One recording on its way into custody."""

    def __init__(self, media: MediaKeeping) -> None:
        self._media = media

    async def write(self, pcm: bytes) -> None:
        await self._media.write(pcm)

    async def finish(self) -> SealedAudio:
        return SealedAudio(self._media, await self._media.finish())

    async def abort(self) -> None:
        await self._media.abort()


class CallRecords:
    """Keeps what the calls of this switchboard leave."""

    def __init__(self, custody: Custody) -> None:
        self._custody = custody
        self._live: dict[CallId, tuple[AccountId, RecordId]] = {}

    async def call_started(self, started: LiveCallStarted) -> None:
        """Keep the live call, so that a crash of this process still leaves a call record."""
        live = LiveCall(
            call_id=started.call_id, started_at=started.started_at, seen_at=started.started_at,
            caller=started.caller, callee=started.callee,
        )  # fmt: skip
        kept = await self._custody.keep(started.account, live)
        self._live[started.call_id] = (started.account, kept.record)

    async def note_live_calls(self) -> None:
        """Say of every call that is up that it still is; done every few seconds, it bounds what a crash leaves open."""
        by_account: dict[AccountId, list[RecordId]] = {}
        for account, record in self._live.values():
            by_account.setdefault(account, []).append(record)
        for account, records in by_account.items():
            await self._custody.still_up(account, LiveCall, records)

    async def begin_recording(
        self, account: AccountId, call_id: CallId, caller: Party, callee: Party, started_at: dt.datetime
    ) -> MediaSink:
        """Open a sealed stream; Unavailable without the keeper, and then nothing is recorded."""
        del caller, callee  # they are sealed with the record, when the stream has ended
        day = Day.of(started_at)
        return _Sink(await self._custody.begin_media(account, Recording, starts_at_day=day, call=call_id))

    async def keep_call(self, ended: CallEnded) -> None:
        """Keep the call record and its recordings, then let the live call go. Asked again, nothing is kept twice."""
        with suppress(RecordErased):  # erased while it was up: then none of it is kept
            await self._custody.keep(ended.account, call_record(ended))
        for recording in ended.recordings:
            assert isinstance(recording.kept, SealedAudio)
            try:
                await self._custody.keep(ended.account, recording_of(ended, recording), media=recording.kept.media)
            except (RecordErased, SlotRecalled):
                await recording.kept.media.abort()
        if (live := self._live.get(ended.call_id)) is not None:
            await self._custody.let_go(ended.account, LiveCall, [live[1]])
        self._live.pop(ended.call_id, None)
        diagnostics.event("call.kept", call=ended.call_id, cause=int(ended.cause), recordings=len(ended.recordings))


def call_record(ended: CallEnded) -> CallRecord:
    """The call record of a call that is over."""
    return CallRecord(
        call_id=ended.call_id,
        direction=ended.direction,
        started_at=ended.started_at,
        answered_at=ended.answered_at,
        ended_at=ended.ended_at,
        hangup_cause=ended.cause,
        caller=ended.caller,
        callee=ended.callee,
        digits=ended.digits,
    )


def recording_of(ended: CallEnded, recording: RecordingEnded) -> Recording:
    """The record of one recording of a call."""
    assert isinstance(recording.kept, SealedAudio)
    return Recording(
        call_id=ended.call_id,
        started_at=recording.started_at,
        duration_ms=recording.samples // 8,
        caller=ended.caller,
        callee=ended.callee,
        audio_sha256=recording.kept.audio_sha256,
    )


async def close_orphans(custody: Custody, *, accounts: list[AccountId]) -> int:
    """Make call records of calls that were up when the switchboard died; how many. Run before taking calls.

    Its end is when it was last seen up, at most a few seconds early; whether it was answered is not known. A call whose
    record was kept already, or that was erased, is only let go. Audio that was cut off is removed.
    """
    closed = 0
    for account in accounts:
        await custody.remove_abandoned_media(account)
        for live in await custody.open_for_recovery(account, LiveCall):
            content = live.content.reveal()
            record = CallRecord(
                call_id=live.stored.plain["call_id"],
                direction="inbound",
                started_at=live.stored.plain["started_at"],
                answered_at=None,
                ended_at=live.stored.plain["seen_at"],
                hangup_cause=HangupCause.SERVICE_RESTARTED,
                caller=content["caller"],
                callee=content["callee"],
                digits="",
            )
            with suppress(RecordErased):
                await custody.keep(account, record)
                closed += 1
            await custody.let_go(account, LiveCall, [live.stored.record])
    return closed
