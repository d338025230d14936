"""kill -9 in the middle: the index is rebuilt, a call that was up still leaves a call record, custody goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import pytest

from sealwire.communications.addresses import Reach
from sealwire.communications.calls.remote import SwitchboardClient
from sealwire.communications.carriers.book import create_trunk
from sealwire.communications.carriers.dialling import EVERY_NUMBER, TrunkSettings
from sealwire.custody.categories import ApplicationRecord, CallRecord, category_of
from sealwire.custody.lifecycle import connect_custody
from sealwire.custody.requests import IndexRebuilding
from sealwire.doors.bench.scratch import CALLED, Scratch, scratch_cloud
from sealwire.doors.supervisor import KEEPER, SEQUENCER, SWITCHBOARD, WORKER, Cloud
from sealwire.governance.destinations import Destination
from sealwire.governance.service_book import ServiceSettings, create_service
from sealwire.governance.services import BuiltIn, Direction
from sealwire.governance.spending import allow_destinations
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import E164, HangupCause, Party, Purpose, ReturnCode, ServiceId

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
    async with scratch_cloud(
        parts, sip_listen="127.0.0.1:15460", rtp_ports="24000-24998", uas_listen="127.0.0.1:15464"
    ) as scratch:
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
            assert (record.plain["direction"], record.plain["leg"]) == ("inbound", 0)
            (run,) = await again.custody.page(again.account, category_of(ApplicationRecord), before=None, limit=10)
            assert run.plain["return_code"] == ReturnCode.SERVICE_RESTARTED
            assert run.plain["application_id"] == record.plain["application_id"]
            assert (run.plain["call_id"], run.plain["kind"]) == (record.plain["call_id"], "built-in")
        finally:
            await again.custody.close()
            await cloud.stop()


async def may_call_out(scratch: Scratch, *, port: int) -> ServiceId:
    """A service for outbound calls, a trunk on this machine, and a destination it may call."""
    account, clock, by = scratch.account, scratch.custody.clock, scratch.principal.credential
    box, reach = SecretBox.open(scratch.settings), Reach.parse(scratch.settings.egress_allow)
    wanted = ServiceSettings(name="out", direction=Direction.BOTH, logic=BuiltIn(name="greeting"))
    async with scratch.custody.database.account(account) as connection:
        entry, _ = await create_service(connection, account, wanted, by=None, box=box, clock=clock)
        trunk = TrunkSettings(name="here", host="127.0.0.1", port=port, rules=list(EVERY_NUMBER))
        await create_trunk(connection, account, trunk, secret=None, by=by, box=box, reach=reach, clock=clock)
        await allow_destinations(connection, account, [Destination.parse("+44")], clock)
    return entry.service.service


async def test_a_call_that_was_being_placed_when_the_switchboard_was_killed_leaves_both_records_of_it() -> None:
    parts = (*RECORDS, (SWITCHBOARD,))
    async with scratch_cloud(
        parts, sip_listen="127.0.0.1:22460", rtp_ports="22500-22598", uas_listen="127.0.0.1:22480",
        egress_allow="127.0.0.0/8",
    ) as scratch:  # fmt: skip
        account, to = scratch.account, E164("+441632960732")
        client = SwitchboardClient(scratch.settings.switchboard_socket)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 22470))  # takes the INVITE and says nothing
            service = await may_call_out(scratch, port=22470)
            started = await client.start_call(account, service, Party(to.text), arguments="for nobody")
            await asyncio.sleep(1)
            kill(scratch.cloud.child("switchboard").pid)
        await client.close()
        cloud, again = await started_again(scratch, parts)
        try:
            (record,) = await again.custody.page(account, category_of(CallRecord), before=None, limit=10)
            (run,) = await again.custody.page(account, category_of(ApplicationRecord), before=None, limit=10)
            assert str(record.plain["call_id"]) == started["call"]
            assert str(run.plain["application_id"]) == started["application"]
            assert (record.plain["direction"], run.plain["direction"]) == ("outbound", "outbound")
            assert record.plain["hangup_cause"] is HangupCause.SERVICE_RESTARTED
            assert run.plain["return_code"] == ReturnCode.SERVICE_RESTARTED
            (opened,) = await again.custody.open(again.principal, [record.record], purpose=SERVICE)
            assert opened.content.reveal()["callee"].text == to.text
        finally:
            await again.custody.close()
            await cloud.stop()
