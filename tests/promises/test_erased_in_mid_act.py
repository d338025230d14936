"""Promise 6 in the midst of things: what is erased while it is used is kept no more, and nothing else is lost."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from sealwire.communications.accounting.billing import Period, sums
from sealwire.communications.accounting.port import Charge
from sealwire.communications.calls.ports import ApplicationEnded, CallEnded, LiveCallStarted
from sealwire.communications.media.sounds import MediaSounds
from sealwire.communications.media.store import add_media
from sealwire.communications.records import CallRecords
from sealwire.communications.reports import book
from sealwire.communications.speech import speech_engine
from sealwire.communications.webhooks.announcer import OutboxAnnouncer
from sealwire.communications.webhooks.events import Event
from sealwire.custody import erasure as erasing
from sealwire.custody.categories import (
    BillingRecord,
    CallRecord,
    MessageContent,
    MessageRecord,
    Recording,
    category_of,
)
from sealwire.custody.erasure import Ground
from sealwire.custody.lifecycle import RecordErased
from sealwire.custody.requests import records_of_number
from sealwire.custody.sealing.sealer import SlotRecalled
from sealwire.doors.bench.scratch import Scratch
from sealwire.errors import Gone, Missing
from sealwire.vocabulary import (
    E164,
    ApplicationId,
    CallId,
    Day,
    ErasureId,
    HangupCause,
    Party,
    Purpose,
    RecordId,
    ReportId,
)
from tests.holdings import wav_file

from .acts import CALLEE, SERVICE, ask_about, ask_to_erase, audio_of, erasure_at, keep_call
from .examples import keep_example

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHARGES = [Charge("pstn-minute", 60, 1000, "t@1")]


@pytest_asyncio.fixture(loop_scope="module")
async def owner(scratch: Scratch) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(scratch.cloud.cluster.dsn())
    yield connection
    await connection.close()


class Up:
    """One call that is up, as the switchboard leaves its records: live at first, the rest at its end."""

    def __init__(self, scratch: Scratch, caller: str) -> None:
        self.scratch, self.call, self.application = scratch, CallId.new(), ApplicationId.new()
        self.records, self.caller = CallRecords(scratch.custody), Party(caller)
        self.began = scratch.custody.clock.now() - dt.timedelta(seconds=9)

    async def begin(self) -> None:
        await self.records.call_started(
            LiveCallStarted(
                call_id=self.call,
                account=self.scratch.account,
                caller=self.caller,
                callee=CALLEE,
                direction="inbound",
                started_at=self.began,
                application_id=self.application,
                service_id=None,
                leg=0,
            )
        )

    async def record(self) -> RecordId:
        """A recording that is made and kept while the call goes on."""
        recording = await keep_example(
            self.scratch.custody, self.scratch.account, category_of(Recording), call=self.call
        )
        return recording.record

    async def end(self) -> None:
        account, now = self.scratch.account, self.scratch.custody.clock.now()
        ended = CallEnded(
            call_id=self.call, account=account, caller=self.caller, callee=CALLEE, direction="inbound",
            started_at=self.began, answered_at=self.began, ended_at=now, cause=HangupCause.NORMAL, digits="1",
            recordings=[], leg=0, application_id=self.application,
        )  # fmt: skip
        await self.records.keep_call(ended)
        await self.records.keep_charges(ended, CHARGES)
        await self.records.keep_application(
            ApplicationEnded(
                application_id=self.application,
                account=account,
                call_id=self.call,
                service_id=None,
                kind="built-in",
                direction="inbound",
                started_at=self.began,
                ended_at=now,
                return_code=0,
                extra_legs=0,
                speech_seconds=0,
                cost_millicents=1000,
                arguments="",
                parameters="",
            )
        )

    async def left(self) -> set[str]:
        """The categories of which something is left of it."""
        try:
            return {row.category.name for row in await self.scratch.custody.of_call(self.scratch.account, self.call)}
        except RecordErased:
            return set()


async def erase_number(scratch: Scratch, number: str) -> ErasureId:
    found = await records_of_number(scratch.custody, scratch.principal, E164(number), purpose=Purpose.SUBJECT_REQUEST)
    return await ask_to_erase(scratch, [row.record for row in found])


async def amounts(scratch: Scratch) -> int:
    now = scratch.custody.clock.now()
    async with scratch.custody.database.account(scratch.account) as connection:
        period = Period(now - dt.timedelta(hours=1), now + dt.timedelta(hours=1))
        return sum(row["amount_millicents"] for row in await sums(connection, scratch.account, period))


async def test_a_number_erased_while_its_call_is_up_leaves_the_amount_and_the_other_call(scratch: Scratch) -> None:
    await ask_about(scratch, "+441632960600")
    erased, other = Up(scratch, "+441632960601"), Up(scratch, "+441632960602")
    before = await amounts(scratch)
    for each in (erased, other):
        await each.begin()
    speaking = await scratch.custody.begin_media(
        scratch.account, Recording, starts_at_day=Day.of(erased.began), call=erased.call
    )
    await speaking.write(b"\x03\x04" * 20_000)
    await erasure_at(scratch, await erase_number(scratch, "+441632960601"), "removed")
    with pytest.raises(SlotRecalled):
        await speaking.finish()
    await speaking.abort()
    for each in (erased, other):
        await each.end()
    assert await erased.left() == set()
    assert await other.left() == {"call-record", "application-record", "billing-record"}
    assert (await ask_about(scratch, "+441632960601")).holdings == []
    assert await amounts(scratch) == before + 2000
    top = scratch.settings.objects_dir / speaking.object_name
    assert list(top.parent.glob(top.name + "*")) == []


async def test_a_recording_erased_while_its_call_is_up_takes_nothing_else_of_the_call(scratch: Scratch) -> None:
    up = Up(scratch, "+441632960603")
    await up.begin()
    await erasure_at(scratch, await ask_to_erase(scratch, [await up.record()]), "removed")
    with pytest.raises(Missing):
        await scratch.custody.find(scratch.account, [RecordId(up.call.value)])  # not yet kept, and not gone
    await up.end()
    assert await up.left() == {"call-record", "application-record", "billing-record"}
    (bill,) = [
        row for row in await scratch.custody.of_call(scratch.account, up.call)
        if row.category is category_of(BillingRecord)
    ]  # fmt: skip
    (opened,) = await scratch.custody.open(scratch.principal, [bill.record], purpose=SERVICE)
    assert opened.content.reveal()["destination"] == CALLEE


async def test_recordings_erased_by_their_day_take_nothing_of_a_call_that_goes_on(scratch: Scratch) -> None:
    up, custody = Up(scratch, "+441632960604"), scratch.custody
    await up.begin()
    yesterday = await keep_example(custody, scratch.account, category_of(Recording), days_ago=1, call=up.call)
    async with custody.database.account(scratch.account) as connection:
        erasure = await erasing.request_day(
            connection, scratch.account, category_of(Recording), Day.of(custody.clock.now() - dt.timedelta(days=1)),
            retention_class=0, ground=Ground.INSTRUCTION, requested_by="test", backup_cycle_days=28,
            clock=custody.clock,
        )  # fmt: skip
    assert erasure is not None
    await erasure_at(scratch, erasure, "removed")
    with pytest.raises(RecordErased):
        await custody.find(scratch.account, [yesterday.record])
    await up.end()
    assert await up.left() == {"call-record", "application-record", "billing-record"}


async def test_a_message_erased_by_its_record_takes_its_text_with_it_and_no_other(scratch: Scratch) -> None:
    custody, account = scratch.custody, scratch.account
    now = custody.clock.now()
    erased, other = [
        await keep_example(custody, account, category_of(MessageRecord)) for _ in range(2)
    ]  # fmt: skip
    contents = []
    for message in (erased, other):
        (row,) = await custody.find(account, [message.record])
        content = MessageContent(
            message_id=row.plain["message_id"], accepted_at=now, sender=message.sealed["sender"],
            recipient=message.sealed["recipient"], text="see you",
        )  # fmt: skip
        contents.append((await custody.keep(account, content)).record)
    (copy,) = await custody.find(account, [contents[0]])
    await erasure_at(scratch, await ask_to_erase(scratch, [erased.record]), "removed")
    with pytest.raises(RecordErased):
        await custody.find(account, [contents[0]])
    assert await custody.open_stored(scratch.principal, [copy], purpose=SERVICE) == []
    assert len(await custody.open(scratch.principal, [contents[1]], purpose=SERVICE)) == 1


async def no_row(_: object) -> None: ...


async def test_a_file_erased_while_it_plays_is_not_played_again_and_the_other_is(scratch: Scratch) -> None:
    custody, account = scratch.custody, scratch.account
    erased, other = [
        await add_media(custody, account, name=name, data=wav_file(1.0), encryption="none", meanwhile=no_row)
        for name in ("going.wav", "staying.wav")
    ]
    sounds = MediaSounds(custody, speech_engine(scratch.settings.speech_engine))
    playing = await sounds.file(account, "going.wav")
    _, pieces = await custody.open_media(scratch.principal, erased.record, purpose=SERVICE)
    await erasure_at(scratch, await ask_to_erase(scratch, [erased.record]), "removed")
    with pytest.raises((Missing, Gone)):
        await sounds.file(account, "going.wav")
    with pytest.raises((Missing, Gone)):  # a download that had its proof and no byte yet
        assert [piece async for piece in pieces]
    assert await sounds.file(account, "staying.wav") == playing
    assert await audio_of(scratch, other.record) == wav_file(1.0)


async def made_report(scratch: Scratch, *, with_content: bool, days: int = 20) -> book.Report:
    now = scratch.custody.clock.now()
    wanted = book.Report(
        account=scratch.account, report=ReportId.new(), of="call-records", format="json",
        begins=now - dt.timedelta(days=days), ends=now + dt.timedelta(minutes=1), with_content=with_content,
        purpose=SERVICE if with_content else None, credential=scratch.principal.credential, asked_at=now,
    )  # fmt: skip
    async with scratch.custody.database.account(scratch.account) as connection:
        await book.ask(connection, wanted)
    for _ in range(300):
        async with scratch.custody.database.account(scratch.account) as connection:
            found = await book.find(connection, scratch.account, wanted.report)
        if found.state == "ready":
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"the report is {found.state}: {found.failure}")


async def test_a_day_that_is_erased_takes_the_reports_with_its_content_and_leaves_those_without(
    scratch: Scratch,
) -> None:
    custody, clock = scratch.custody, scratch.custody.clock
    await keep_call(scratch, "+441632960605", days_ago=5)
    plain, full = [await made_report(scratch, with_content=content) for content in (False, True)]
    assert plain.record is not None
    assert full.record is not None
    assert b"+441632960605" in await audio_of(scratch, full.record)
    async with custody.database.account(scratch.account) as connection:
        erasure = await erasing.request_day(
            connection, scratch.account, category_of(CallRecord), Day.of(clock.now() - dt.timedelta(days=5)),
            retention_class=0, ground=Ground.INSTRUCTION, requested_by="test", backup_cycle_days=28, clock=clock,
        )  # fmt: skip
    assert erasure is not None
    await erasure_at(scratch, erasure, "removed")
    with pytest.raises(RecordErased):
        await custody.find(scratch.account, [full.record])
    assert await audio_of(scratch, plain.record)


@pytest.mark.slow
async def test_a_report_with_content_is_due_no_later_than_the_first_record_in_it(scratch: Scratch) -> None:
    clock, period = scratch.custody.clock, category_of(CallRecord).retention.days_default
    for ago in (period - 2, period):
        first = await keep_call(scratch, "+441632960606", days_ago=ago)
        full = await made_report(scratch, with_content=True, days=ago + 1)
        assert full.record is not None
        (row,) = await scratch.custody.find(scratch.account, [full.record])
        assert row.due_day == first.due_day == Day(int(Day.of(clock.now())) + period - ago)
        assert full.expires_on == first.due_day.date
    plain = await made_report(scratch, with_content=False, days=period)
    assert plain.expires_on is not None
    assert (plain.expires_on - clock.now().date()).days == 7


async def test_a_delivery_that_waits_holds_nothing_of_the_call_it_tells_of(
    scratch: Scratch, owner: asyncpg.Connection
) -> None:
    kept = await keep_call(scratch, "+441632960607")
    account, at = scratch.account, scratch.custody.clock.now()
    await owner.execute(
        "INSERT INTO communications.webhook_endpoint (account_id, endpoint_id, address, label, events, state, secret,"
        " created_at, changed_at) VALUES ($1, gen_random_uuid(), 'https://192.0.2.1/', 'x', $2, 'active', '', $3, $3)",
        account.value, [Event.CALL_ENDED.value], at,
    )  # fmt: skip
    announcer = OutboxAnnouncer(scratch.custody.database, scratch.custody.clock)
    await announcer.announce(account, Event.CALL_ENDED, call=str(CallId(kept.record.value)), cause="normal")
    await erasure_at(scratch, await ask_to_erase(scratch, [kept.record]), "removed")
    (row,) = await owner.fetch("SELECT row_to_json(o)::text AS row FROM communications.webhook_outbox o")
    assert "960607" not in row["row"]
    assert kept.record.value.hex in row["row"]
