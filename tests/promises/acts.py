"""What the promise tests do again and again, each with the real thing."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from pathlib import Path

from sealwire.custody import erasure as erasing
from sealwire.custody.categories import CallRecord, LiveCall, Recording
from sealwire.custody.erasure import Erasure, Ground
from sealwire.custody.lifecycle import Kept
from sealwire.custody.requests import IndexRebuilding, SubjectReport, subject_report
from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import E164, CallId, Day, ErasureId, HangupCause, Party, Purpose, RecordId

CALLEE = Party("+441632960100")
SERVICE = Purpose.SERVICE_OPERATION


def call_from(number: str, *, ended_at: dt.datetime, call: CallId | None = None) -> CallRecord:
    """A call record as the switchboard keeps it."""
    return CallRecord(
        call_id=call or CallId.new(), direction="inbound", started_at=ended_at - dt.timedelta(seconds=30),
        answered_at=ended_at - dt.timedelta(seconds=29), ended_at=ended_at, hangup_cause=HangupCause.NORMAL,
        caller=Party(number), callee=CALLEE, digits="5",
    )  # fmt: skip


def live_call(call: CallId, number: str, started_at: dt.datetime) -> LiveCall:
    """What the switchboard keeps while a call is up."""
    return LiveCall(call_id=call, started_at=started_at, seen_at=started_at, caller=Party(number), callee=CALLEE)


async def keep_call(scratch: Scratch, number: str, *, days_ago: int = 0) -> Kept:
    ended_at = scratch.custody.clock.now() - dt.timedelta(days=days_ago)
    return await scratch.custody.keep(scratch.account, call_from(number, ended_at=ended_at))


async def keep_recording(scratch: Scratch, number: str, audio: bytes, *, days_ago: int = 0) -> Kept:
    started_at = scratch.custody.clock.now() - dt.timedelta(days=days_ago)
    media = await scratch.custody.begin_media(scratch.account, Recording, starts_at_day=Day.of(started_at))
    for at in range(0, len(audio), 3200):
        await media.write(audio[at : at + 3200])
    digest = await media.finish()
    record = Recording(
        call_id=CallId.new(), started_at=started_at, duration_ms=len(audio) // 16, caller=Party(number),
        callee=CALLEE, audio_sha256=digest,
    )  # fmt: skip
    return await scratch.custody.keep(scratch.account, record, media=media)


async def audio_of(scratch: Scratch, record: RecordId) -> bytes:
    _, pieces = await scratch.custody.open_media(scratch.principal, record, purpose=SERVICE)
    return b"".join([piece async for piece in pieces])


async def ask_about(scratch: Scratch, number: str) -> SubjectReport:
    """The subject report, after the index has been built."""
    for _ in range(400):
        try:
            return await subject_report(
                scratch.custody, scratch.principal, E164(number), purpose=Purpose.SUBJECT_REQUEST
            )
        except IndexRebuilding:
            await asyncio.sleep(0.05)
    raise AssertionError("the index was not rebuilt within 20 s")


async def ask_to_erase(scratch: Scratch, records: list[RecordId]) -> ErasureId:
    custody = scratch.custody
    stored = await custody.find(scratch.account, records)
    async with custody.database.account(scratch.account) as connection:
        return await erasing.request_records(
            connection, scratch.account, stored, ground=Ground.SUBJECT_REQUEST,
            requested_by=str(scratch.principal.credential), backup_cycle_days=28, clock=custody.clock,
        )  # fmt: skip


async def erasure_at(scratch: Scratch, erasure: ErasureId, *states: str, seconds: float = 30) -> Erasure:
    """Follow an erasure until it is in one of these states."""
    ends_s = time.monotonic() + seconds
    while time.monotonic() < ends_s:
        async with scratch.custody.database.account(scratch.account) as connection:
            found = await erasing.find(connection, scratch.account, erasure)
        if found.state in states:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"the erasure was not {' or '.join(states)} within {seconds:.0f} s")


async def policy_for(scratch: Scratch, folder: Path) -> Path:
    """The keys an auditor of this account pins."""
    log = await scratch.custody.sequencer.open_log(scratch.account)
    status = await scratch.custody.keeper.status()
    file = folder / "policy.txt"
    file.write_text(f"log {log.vkey}\nholder {status.holder_vkey}\nquorum none\n")
    return file
