"""Promise 6, for what repeats others: reports with content, and what an application was told of a call."""

from __future__ import annotations

import datetime as dt

import pytest

from sealwire.custody import categories
from sealwire.custody import erasure as erasing
from sealwire.custody.categories import ApplicationRecord, CallRecord, category_of
from sealwire.custody.erasure import Ground
from sealwire.custody.lifecycle import RecordErased
from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import ApplicationId, CallId, Day, ErasureId, HangupCause, Party, RecordId, ReportId

from .acts import SERVICE, ask_to_erase, audio_of, erasure_at, keep_call

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def kept_report(scratch: Scratch, *, with_content: bool) -> RecordId:
    custody, now, report = scratch.custody, scratch.custody.clock.now(), ReportId.new()
    media = await custody.begin_media(scratch.account, categories.Report, starts_at_day=Day.of(now))
    await media.write(b"caller\r\n'+441632960901\r\n")
    record = categories.Report(
        report_id=report, made_at=now, of="call-records", format="csv", rows=1, sha256=await media.finish(),
        with_content=with_content,
    )  # fmt: skip
    return (await custody.keep(scratch.account, record, media=media)).record


async def erase_day(scratch: Scratch, days_ago: int, ground: Ground) -> ErasureId:
    custody = scratch.custody
    day = Day.of(custody.clock.now() - dt.timedelta(days=days_ago))
    async with custody.database.account(scratch.account) as connection:
        erasure = await erasing.request_day(
            connection, scratch.account, category_of(CallRecord), day, retention_class=0, ground=ground,
            requested_by="test", backup_cycle_days=28, clock=custody.clock,
        )  # fmt: skip
    assert erasure is not None
    return erasure


async def test_a_day_that_is_erased_takes_reports_with_content_along(scratch: Scratch) -> None:
    await keep_call(scratch, "+441632960901", days_ago=9)
    holding, bare = await kept_report(scratch, with_content=True), await kept_report(scratch, with_content=False)
    assert b"+441632960901" in await audio_of(scratch, holding)
    erasure = await erase_day(scratch, 9, Ground.INSTRUCTION)
    with pytest.raises(RecordErased):
        await audio_of(scratch, holding)
    done = await erasure_at(scratch, erasure, "removed")
    assert done.certificate is not None
    assert await audio_of(scratch, bare)


async def test_a_day_that_expires_leaves_reports_to_their_own_few_days(scratch: Scratch) -> None:
    await keep_call(scratch, "+441632960902", days_ago=8)
    holding = await kept_report(scratch, with_content=True)
    await erase_day(scratch, 8, Ground.RETENTION)
    assert await audio_of(scratch, holding)


async def test_what_an_application_was_told_of_a_leg_goes_with_the_leg_and_the_other_legs_stay(
    scratch: Scratch,
) -> None:
    custody, now, run = scratch.custody, scratch.custody.clock.now(), ApplicationId.new()
    first, second = CallId.new(), CallId.new()
    kept = {}
    for leg, (call, callee) in enumerate([(first, "+441632960903"), (second, "+441632960904")]):
        record = CallRecord(
            call_id=call, direction="outbound", started_at=now, answered_at=now, ended_at=now, digits="", leg=leg,
            hangup_cause=HangupCause.NORMAL, caller=Party("+441632960100"), callee=Party(callee), application_id=run,
        )  # fmt: skip
        kept[leg] = (await custody.keep(scratch.account, record)).record
    told = ApplicationRecord(
        application_id=run, call_id=first, service_id=None, kind="program", direction="outbound", started_at=now,
        ended_at=now, return_code=0, extra_legs=1, speech_seconds=0, cost_millicents=0,
        arguments="remind +441632960904", parameters="reached her",
    )  # fmt: skip
    run_record = (await custody.keep(scratch.account, told)).record
    erasure = await ask_to_erase(scratch, [kept[1]])
    with pytest.raises(RecordErased):
        await custody.open(scratch.principal, [run_record], purpose=SERVICE)
    await erasure_at(scratch, erasure, "removed")
    assert len(await custody.open(scratch.principal, [kept[0]], purpose=SERVICE)) == 1
    assert {row.record for row in await custody.of_call(scratch.account, first)} == {kept[0]}
