"""What tests of subject requests share: a person's calls and messages in a running cloud, and requests of theirs."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from typing import Any

from sealwire.custody.categories import CallRecord, MessageContent, OptOut, Recording
from sealwire.custody.lifecycle import Kept
from sealwire.custody.requests import IndexRebuilding, workflow
from sealwire.custody.requests.answering import Answer
from sealwire.custody.requests.provenance import Surroundings
from sealwire.custody.requests.workflow import Kind, Request
from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import CallId, Day, HangupCause, MessageId, Party, RecordId

OTHER = "+441632960188"
SURROUNDINGS = Surroundings(backup_cycle_days=28)


async def call_between(scratch: Scratch, caller: str, callee: str, *, digits: str = "5", days_ago: int = 0) -> Kept:
    ended_at = scratch.custody.clock.now() - dt.timedelta(days=days_ago)
    record = CallRecord(
        call_id=CallId.new(), direction="inbound", started_at=ended_at - dt.timedelta(seconds=30),
        answered_at=ended_at - dt.timedelta(seconds=29), ended_at=ended_at, hangup_cause=HangupCause.NORMAL,
        caller=Party(caller), callee=Party(callee), digits=digits,
    )  # fmt: skip
    return await scratch.custody.keep(scratch.account, record)


async def message_between(scratch: Scratch, sender: str, recipient: str, text: str) -> Kept:
    record = MessageContent(
        message_id=MessageId.new(), accepted_at=scratch.custody.clock.now(), sender=Party(sender),
        recipient=Party(recipient), text=text,
    )  # fmt: skip
    return await scratch.custody.keep(scratch.account, record)


async def opt_out_of(scratch: Scratch, sender: str, recipient: str) -> Kept:
    record = OptOut(said_at=scratch.custody.clock.now(), wanted=False, sender=Party(sender), recipient=Party(recipient))
    return await scratch.custody.keep(scratch.account, record)


async def recording_between(
    scratch: Scratch, caller: str, callee: str, audio: bytes, *, channels: int = 1, key_id: str | None = None
) -> Kept:
    started_at = scratch.custody.clock.now()
    media = await scratch.custody.begin_media(scratch.account, Recording, starts_at_day=Day.of(started_at))
    await media.write(audio)
    record = Recording(
        call_id=CallId.new(), started_at=started_at, duration_ms=len(audio) // 16 // channels, caller=Party(caller),
        callee=Party(callee), audio_sha256=await media.finish(), channels=channels,
        encryption="age" if key_id else None, key_id=key_id,
    )  # fmt: skip
    return await scratch.custody.keep(scratch.account, record, media=media)


async def until_indexed(scratch: Scratch) -> None:
    """The worker builds the index of a new cloud."""
    for _ in range(400):
        async with scratch.custody.database.account(scratch.account) as connection:
            if await connection.fetchval("SELECT EXISTS (SELECT FROM custody.blind_index_whole)"):
                return
        await asyncio.sleep(0.05)
    raise IndexRebuilding


async def request_of(scratch: Scratch, kind: Kind, person: str, **details: Any) -> Request:
    custody = scratch.custody
    made = await workflow.receive(
        custody, scratch.principal, kind=kind, person=Party(person), details=details,
        received_at=custody.clock.now(), months=1,
    )  # fmt: skip
    async with custody.database.account(scratch.account) as connection:
        return await workflow.find(connection, scratch.account, made)


async def as_it_is(scratch: Scratch, request: Request) -> Request:
    async with scratch.custody.database.account(scratch.account) as connection:
        return await workflow.find(connection, scratch.account, request.request)


async def answer_for(scratch: Scratch, person: str, *, mixed_audio: bool = False) -> tuple[list[dict[str, Any]], Any]:
    """All lines about records, and the summary."""
    answer = Answer(
        scratch.custody, scratch.principal, Party(person), surroundings=SURROUNDINGS, mixed_audio=mixed_audio
    )
    await answer.begin()
    lines = [told.line async for page in answer.told() for told in page]
    return lines, await answer.end()


def ids(lines: list[dict[str, Any]]) -> set[RecordId]:
    return {RecordId.parse(line["id"]) for line in lines}


def at(request: Request, received: dt.datetime) -> Request:
    return replace(request, received_at=received)
