"""kill -9 in the middle: the index is rebuilt, a call that was up still leaves a call record, custody goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.lifecycle import connect_custody
from sealwire.custody.requests import IndexRebuilding
from sealwire.doors.bench.scratch import CALLED, Scratch, scratch_cloud
from sealwire.doors.supervisor import KEEPER, SEQUENCER, SWITCHBOARD, WORKER, Cloud
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import E164, HangupCause, Purpose

from .acts import SERVICE, ask_about, keep_call, subject_report

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]
RECORDS = ((KEEPER,), (SEQUENCER,), (WORKER,))


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


async def started_again(scratch: Scratch, parts: tuple[tuple[object, ...], ...]) -> tuple[Cloud, Scratch]:
    """The same data folder under a new cloud, as after a reboot."""
    await scratch.custody.close()
    await scratch.cloud.stop()
    cloud = Cloud(scratch.settings, parts=parts)  # type: ignore[arg-type]
    await cloud.start()
    custody = await connect_custody(scratch.settings, dsn(scratch.settings, "sealwire_service"), SystemClock())
    return cloud, Scratch(scratch.settings, cloud, custody, scratch.principal)


async def test_after_a_crash_of_the_database_a_lookup_waits_for_the_index_and_then_finds_everything() -> None:
    async with scratch_cloud(RECORDS) as scratch:
        kept = await keep_call(scratch, "+441632960701")
        await ask_about(scratch, "+441632960701")
        await scratch.cloud.child("worker").stop()
        kill(scratch.cloud.child("postgres").pid)
        without_worker, again = await started_again(scratch, ((KEEPER,), (SEQUENCER,)))
        try:
            with pytest.raises(IndexRebuilding):
                await subject_report(
                    again.custody, again.principal, E164("+441632960701"), purpose=Purpose.SUBJECT_REQUEST
                )
        except BaseException:
            await without_worker.stop()
            raise
        cloud, again = await started_again(again, RECORDS)
        try:
            report = await ask_about(again, "+441632960701")
            assert [holding.stored.record for holding in report.holdings] == [kept.record]
        finally:
            await again.custody.close()
            await cloud.stop()


async def test_a_killed_keeper_forgets_no_record_and_no_slot_is_given_twice() -> None:
    async with scratch_cloud(RECORDS) as scratch:
        before = [await keep_call(scratch, f"+44163296071{n}") for n in range(3)]
        kill(scratch.cloud.child("keeper").pid)
        cloud, again = await started_again(scratch, RECORDS)
        try:
            after = [await keep_call(again, f"+44163296072{n}") for n in range(3)]
            records = [row.record for row in before + after]
            opened = await again.custody.open(again.principal, records, purpose=SERVICE)
            assert len(opened) == 6
            assert len({row.stored.context.text for row in opened}) == 6
        finally:
            await again.custody.close()
            await cloud.stop()


async def test_a_call_that_was_up_when_the_switchboard_was_killed_leaves_a_call_record() -> None:
    parts = (*RECORDS, (SWITCHBOARD,))
    async with scratch_cloud(parts, sip_listen="127.0.0.1:15460", rtp_ports="24000-24998") as scratch:
        caller = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sealwire.doors.caller", "--to", f"sip:{CALLED}@127.0.0.1:15460",
            "--from", "+441632960731", "--digit", "5", "--speech", "caller-one", "--json",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await asyncio.sleep(7)
            kill(scratch.cloud.child("switchboard").pid)
        finally:
            caller.kill()
            await caller.wait()
        cloud, again = await started_again(scratch, parts)
        try:
            (record,) = await again.custody.page(again.account, category_of(CallRecord), before=None, limit=10)
            assert record.plain["hangup_cause"] is HangupCause.SERVICE_RESTARTED
            lasted = record.plain["ended_at"] - record.plain["started_at"]
            assert 0 < lasted.total_seconds() < 8
            (opened,) = await again.custody.open(again.principal, [record.record], purpose=SERVICE)
            assert opened.content.reveal()["caller"].text == "+441632960731"
        finally:
            await again.custody.close()
            await cloud.stop()
