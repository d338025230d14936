"""What calls leave behind, handed to custody: live calls, recordings as they are spoken, call records at the end."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from contextlib import suppress
from typing import Any

from sealwire.communications.accounting.billing import keep_charges
from sealwire.communications.accounting.port import Charge
from sealwire.communications.accounting.recovery import Biller, LegSeen
from sealwire.communications.calls.ports import ApplicationEnded, CallEnded, LiveCallStarted, RecordingEnded
from sealwire.communications.control.port import RecordingWish
from sealwire.communications.recordings.sinks import CustodySink, SealedAudio, open_sink, recording_of
from sealwire.communications.webhooks.events import Announcer, Event
from sealwire.custody.categories import ApplicationRecord, CallRecord, LiveCall
from sealwire.custody.lifecycle import Custody, RecordErased
from sealwire.custody.sealing.sealer import SlotRecalled
from sealwire.errors import Missing
from sealwire.governance.service_book import find_service
from sealwire.governance.services import Service, kind_of
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, ApplicationId, CallId, HangupCause, Party, RecordId, ReturnCode, ServiceId


class CallRecords:
    """Keeps what the calls of this switchboard leave."""

    def __init__(self, custody: Custody) -> None:
        self._custody = custody
        self._live: dict[CallId, tuple[AccountId, RecordId]] = {}
        self._kept: set[RecordId] = set()

    async def call_started(self, started: LiveCallStarted) -> None:
        """Keep the live call, so that a crash of this process still leaves its records."""
        live = LiveCall(
            call_id=started.call_id, started_at=started.started_at, seen_at=started.started_at,
            caller=started.caller, callee=started.callee, direction=started.direction,
            application_id=started.application_id, service_id=started.service_id, leg=started.leg,
        )  # fmt: skip
        kept = await self._custody.keep(started.account, live, retention_class=started.retention_class)
        self._live[started.call_id] = (started.account, kept.record)

    async def let_go(self, started: LiveCallStarted) -> None:
        """The call was not taken after all, or its records are kept: it is up no longer."""
        await self._let_go(started.account, started.call_id)

    async def _let_go(self, account: AccountId, call: CallId) -> None:
        if (live := self._live.get(call)) is not None:
            await self._custody.let_go(account, LiveCall, [live[1]])
        self._live.pop(call, None)

    async def note_live_calls(self) -> None:
        """Say of every call that is up that it still is; done every few seconds, it bounds what a crash leaves open."""
        by_account: dict[AccountId, list[RecordId]] = {}
        for account, record in self._live.values():
            by_account.setdefault(account, []).append(record)
        for account, records in by_account.items():
            await self._custody.still_up(account, LiveCall, records)

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
    ) -> CustodySink:
        """Open a sealed stream; Unavailable without the keeper, RecordingImpossible without a valid key to seal to."""
        del caller, callee  # they are sealed with the record, when the stream has ended
        return await open_sink(self._custody, account, call_id, started_at=started_at, wish=wish, service=service)

    async def keep_recording(self, ended: CallEnded, recording: RecordingEnded) -> None:
        """Keep a recording while its call may still be up. Asked again, it is kept once."""
        assert isinstance(recording.kept, SealedAudio)
        media = recording.kept.media
        if media.record in self._kept:
            return
        try:
            await self._custody.keep(ended.account, recording_of(ended, recording), media=media)
        except (RecordErased, SlotRecalled):
            await media.abort()
        self._kept.add(media.record)

    async def keep_call(self, ended: CallEnded) -> None:
        """Keep the call record and what recordings are not kept yet. Asked again, nothing is kept twice.

        The first leg stays live until its application's record is kept.
        """
        with suppress(RecordErased):  # erased while it was up: then none of it is kept
            await self._custody.keep(ended.account, call_record(ended), retention_class=ended.retention_class)
        for recording in ended.recordings:
            await self.keep_recording(ended, recording)
        for recording in ended.recordings:
            assert isinstance(recording.kept, SealedAudio)
            self._kept.discard(recording.kept.media.record)
        if ended.leg:
            await self._let_go(ended.account, ended.call_id)
        diagnostics.event("call.kept", call=ended.call_id, cause=int(ended.cause), recordings=len(ended.recordings))

    async def keep_charges(self, ended: CallEnded, charges: list[Charge]) -> None:
        """Keep what the leg cost, apart from its call record, so that the amounts outlive the numbers."""
        await keep_charges(
            self._custody, ended.account, charges,
            call=ended.call_id, message=None, destination=ended.callee, ended_at=ended.ended_at,
        )  # fmt: skip

    async def keep_application(self, ended: ApplicationEnded) -> None:
        """Keep the application record, then let the first leg go. Asked again, nothing is kept twice."""
        with suppress(RecordErased):
            await self._custody.keep(ended.account, application_record(ended), retention_class=ended.retention_class)
        await self._let_go(ended.account, ended.call_id)


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
        leg=ended.leg,
        application_id=ended.application_id,
    )


def application_record(ended: ApplicationEnded) -> ApplicationRecord:
    """The record of an application that has run."""
    return ApplicationRecord(
        application_id=ended.application_id,
        call_id=ended.call_id,
        service_id=ended.service_id,
        kind=ended.kind,
        direction=ended.direction,
        started_at=ended.started_at,
        ended_at=ended.ended_at,
        return_code=ended.return_code,
        extra_legs=ended.extra_legs,
        speech_seconds=ended.speech_seconds,
        cost_millicents=ended.cost_millicents,
        arguments=ended.arguments,
        parameters=ended.parameters,
    )


async def close_orphans(
    custody: Custody, *, accounts: list[AccountId], biller: Biller | None = None, announcer: Announcer | None = None
) -> int:
    """Make the records of calls that were up when the switchboard died; how many calls. Run before taking any.

    Its end is when it was last seen up, at most a few seconds early; whether it was answered is not known. A call whose
    record was kept already, or that was erased, is only billed and let go. Audio that was cut off is removed. Whoever
    wants to know of ends is told, perhaps a second time. The application's costs are those of the legs found up.
    """
    closed = 0
    for account in accounts:
        await custody.remove_abandoned_media(account)
        orphans = await custody.open_for_recovery(account, LiveCall)
        legs = Counter(orphan.stored.plain["application_id"] for orphan in orphans)
        costs = Counter[ApplicationId | None]()
        for orphan in orphans:
            plain, content, of_class = orphan.stored.plain, orphan.content.reveal(), orphan.stored.retention_class
            with suppress(RecordErased):
                await custody.keep(account, _cut_off_call(plain, content), retention_class=of_class)
                closed += 1
            if biller is not None:
                charges = await biller.bill_cut_off(account, plain["call_id"], _seen(plain, content))
                costs[plain["application_id"]] += sum(charge.amount_millicents for charge in charges)
        for orphan in orphans:
            plain = orphan.stored.plain
            if (application := plain["application_id"]) is not None and not plain["leg"]:
                extra_legs = legs[application] - 1
                cut_off = await _cut_off_application(custody, account, plain, extra_legs, costs[application])
                with suppress(RecordErased):
                    await custody.keep(account, cut_off, retention_class=orphan.stored.retention_class)
            await _announce_cut_off(announcer, account, plain)
            await custody.let_go(account, LiveCall, [orphan.stored.record])
        if biller is not None:
            await biller.bill_rest(account)
    return closed


def _seen(plain: dict[str, Any], content: dict[str, Any]) -> LegSeen:
    seconds = (plain["seen_at"] - plain["started_at"]).total_seconds()
    return LegSeen(content["callee"], max(0.0, seconds), plain["seen_at"])


async def _announce_cut_off(announcer: Announcer | None, account: AccountId, plain: dict[str, Any]) -> None:
    if announcer is None:
        return
    ended: dict[str, str | int | bool] = {"call": str(plain["call_id"])}
    if (application := plain["application_id"]) is not None:
        ended["application"] = str(application)
    cause, code = int(HangupCause.SERVICE_RESTARTED), int(ReturnCode.SERVICE_RESTARTED)
    await announcer.announce(account, Event.CALL_ENDED, **ended, cause=cause, leg=plain["leg"] or 0)
    if application is not None and not plain["leg"]:
        await announcer.announce(account, Event.APPLICATION_ENDED, **ended, return_code=code)


def _cut_off_call(plain: dict[str, Any], content: dict[str, Any]) -> CallRecord:
    return CallRecord(
        call_id=plain["call_id"],
        direction=plain["direction"] or "inbound",
        started_at=plain["started_at"],
        answered_at=None,
        ended_at=plain["seen_at"],
        hangup_cause=HangupCause.SERVICE_RESTARTED,
        caller=content["caller"],
        callee=content["callee"],
        digits="",
        leg=plain["leg"],
        application_id=plain["application_id"],
    )


async def _cut_off_application(
    custody: Custody, account: AccountId, plain: dict[str, Any], extra_legs: int, cost_millicents: int
) -> ApplicationRecord:
    return ApplicationRecord(
        application_id=plain["application_id"],
        call_id=plain["call_id"],
        service_id=plain["service_id"],
        kind=await _kind(custody, account, plain["service_id"]),
        direction=plain["direction"] or "inbound",
        started_at=plain["started_at"],
        ended_at=plain["seen_at"],
        return_code=int(ReturnCode.SERVICE_RESTARTED),
        extra_legs=extra_legs,
        speech_seconds=0,
        cost_millicents=cost_millicents,
        arguments="",
        parameters="",
    )


async def _kind(custody: Custody, account: AccountId, service: ServiceId | None) -> str:
    """What ran: as its service says now, if it is still there."""
    if service is None:
        return "unknown"
    async with custody.database.account(account) as connection:
        try:
            return kind_of(await find_service(connection, account, service))
        except Missing:
            return "unknown"
