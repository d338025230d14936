"""Where keeping, erasing and rebuilding meet: nothing is kept twice, comes back, or is left over."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from sealwire.communications.calls.ports import CallEnded, RecordingEnded
from sealwire.communications.records import CallRecords, close_orphans
from sealwire.custody import erasure as erasing
from sealwire.custody.categories import CallRecord, Recording, category_of
from sealwire.custody.erasure import ErasedMeanwhile, Ground
from sealwire.custody.lifecycle import RecordErased, keeper_client
from sealwire.custody.reindex import IndexLostAgain, IndexRebuilder
from sealwire.custody.requests import IndexRebuilding, subject_report
from sealwire.custody.sealing.sealer import SlotRecalled
from sealwire.doors.bench.scratch import Scratch
from sealwire.evidence.client import SequencerClient
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import E164, CallId, Day, HangupCause, Party, Purpose, RecordId

from .acts import CALLEE, SERVICE, ask_about, ask_to_erase, call_from, erasure_at, keep_call, live_call

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def owner(scratch: Scratch) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(scratch.cloud.cluster.dsn())
    yield connection
    await connection.close()


def objects_of(scratch: Scratch) -> set[str]:
    top = scratch.settings.objects_dir
    return {str(file.relative_to(top)) for file in top.rglob("*") if file.is_file()}


async def speak(scratch: Scratch, call: CallId | None = None):  # type: ignore[no-untyped-def]
    media = await scratch.custody.begin_media(
        scratch.account, Recording, starts_at_day=Day.of(scratch.custody.clock.now()), call=call
    )
    await media.write(b"\x03\x04" * 20_000)
    return media


def ended(scratch: Scratch, call: CallId, recordings: list[RecordingEnded]) -> CallEnded:
    now = scratch.custody.clock.now()
    return CallEnded(
        call_id=call, account=scratch.account, caller=Party("+441632960811"), callee=CALLEE, direction="inbound",
        started_at=now - dt.timedelta(seconds=9), answered_at=now, ended_at=now, cause=HangupCause.NORMAL, digits="1",
        recordings=recordings,
    )  # fmt: skip


async def test_a_call_that_is_kept_twice_is_kept_once(scratch: Scratch) -> None:
    record = call_from("+441632960801", ended_at=scratch.custody.clock.now())
    first = await scratch.custody.keep(scratch.account, record)
    again = await scratch.custody.keep(scratch.account, record)
    assert (again.record, again.commitment) == (first.record, first.commitment)
    assert first.record.value == record.call_id.value
    assert len((await ask_about(scratch, "+441632960801")).holdings) == 1


async def test_a_slot_holds_one_record_whoever_asks(scratch: Scratch, owner: asyncpg.Connection) -> None:
    kept = await keep_call(scratch, "+441632960802")
    with pytest.raises(asyncpg.UniqueViolationError, match="slot_is_used_once"):
        await owner.execute(
            "INSERT INTO custody.call_record SELECT (jsonb_populate_record(r, "
            "jsonb_build_object('record_id', gen_random_uuid()))).* FROM custody.call_record r WHERE record_id = $1",
            kept.record.value,
        )


async def test_what_belongs_to_an_erased_day_is_not_kept_afterwards(scratch: Scratch) -> None:
    custody, ago = scratch.custody, dt.timedelta(days=12)
    late = call_from("+441632960803", ended_at=custody.clock.now() - ago)
    await custody.keep(scratch.account, call_from("+441632960804", ended_at=custody.clock.now() - ago))
    async with custody.database.account(scratch.account) as connection:
        erasure = await erasing.request_day(
            connection, scratch.account, category_of(CallRecord), Day.of(late.ended_at), retention_class=0,
            ground=Ground.INSTRUCTION, requested_by="test", backup_cycle_days=28, clock=custody.clock,
        )  # fmt: skip
    with pytest.raises(RecordErased):
        await custody.keep(scratch.account, late)
    assert erasure is not None
    await erasure_at(scratch, erasure, "removed")


async def test_a_call_erased_while_its_live_record_stands_does_not_come_back(scratch: Scratch) -> None:
    custody, now, call = scratch.custody, scratch.custody.clock.now(), CallId.new()
    await custody.keep(scratch.account, live_call(call, "+441632960805", now))
    kept = await custody.keep(scratch.account, call_from("+441632960805", ended_at=now, call=call))
    await erasure_at(scratch, await ask_to_erase(scratch, [kept.record]), "removed")
    assert await close_orphans(custody, accounts=[scratch.account]) == 0
    assert (await ask_about(scratch, "+441632960805")).holdings == []


async def test_a_call_erased_while_it_is_recorded_leaves_neither_record_nor_audio(scratch: Scratch) -> None:
    custody, now, call = scratch.custody, scratch.custody.clock.now(), CallId.new()
    before = objects_of(scratch)
    live = await custody.keep(scratch.account, live_call(call, "+441632960811", now))
    media = await speak(scratch, call)
    erasure = await ask_to_erase(scratch, [live.record])
    await erasure_at(scratch, erasure, "unreadable", "removed")
    with pytest.raises(SlotRecalled):  # the keeper took its key back from the stream itself
        await media.finish()
    await media.abort()
    await CallRecords(custody).keep_call(ended(scratch, call, []))
    assert objects_of(scratch) == before
    with pytest.raises(RecordErased):
        await custody.open(scratch.principal, [RecordId(call.value)], purpose=SERVICE)


async def test_audio_of_a_crash_is_removed_and_its_key_goes_with_the_call(
    scratch: Scratch, owner: asyncpg.Connection
) -> None:
    custody, now, call = scratch.custody, scratch.custody.clock.now(), CallId.new()
    before = objects_of(scratch)
    media = await speak(scratch, call)
    await media.finish()
    assert objects_of(scratch) > before
    assert await custody.remove_abandoned_media(scratch.account) >= 1
    assert objects_of(scratch) == before
    kept = await custody.keep(scratch.account, call_from("+441632960806", ended_at=now, call=call))
    await erasure_at(scratch, await ask_to_erase(scratch, [kept.record]), "removed")
    slot = media.slot.context.slot
    gone = await owner.fetchval("SELECT count(*) FROM custody.gone WHERE category = 2 AND slot = $1", slot)
    assert gone == 1


async def test_of_two_requests_for_one_record_one_is_refused(scratch: Scratch) -> None:
    kept = await keep_call(scratch, "+441632960807")
    outcomes = await asyncio.gather(
        ask_to_erase(scratch, [kept.record]), ask_to_erase(scratch, [kept.record]), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, ErasedMeanwhile | RecordErased)]
    assert len(refused) == 1


async def test_a_lookup_says_wait_when_the_index_is_lost_in_the_middle(
    scratch: Scratch, owner: asyncpg.Connection
) -> None:
    await keep_call(scratch, "+441632960808")
    await ask_about(scratch, "+441632960808")

    class LosesIndex(type(scratch.custody.keeper)):  # type: ignore[misc]
        async def index_tokens(self, *args: object, **kwargs: object) -> object:
            tokens = await super().index_tokens(*args, **kwargs)
            await owner.execute("TRUNCATE custody.blind_index, custody.blind_index_whole")
            return tokens

    keeper = scratch.custody.keeper
    scratch.custody.keeper = LosesIndex(scratch.settings.keeper_socket)
    try:
        with pytest.raises(IndexRebuilding):
            await subject_report(
                scratch.custody, scratch.principal, E164("+441632960808"), purpose=Purpose.SUBJECT_REQUEST
            )
    finally:
        await scratch.custody.keeper.close()
        scratch.custody.keeper = keeper


async def test_a_rebuild_that_loses_its_index_does_not_declare_it_whole(
    scratch: Scratch, owner: asyncpg.Connection
) -> None:
    await scratch.cloud.child("worker").stop()
    await keep_call(scratch, "+441632960809")
    await owner.execute("TRUNCATE custody.blind_index, custody.blind_index_whole, custody.blind_index_rebuilding")
    database = await Database.connect(dsn(scratch.settings, "sealwire_worker"), size_max=2)
    keeper, sequencer = keeper_client(scratch.settings), SequencerClient(scratch.settings.sequencer_socket)

    class CrashesHalfWay(IndexRebuilder):
        async def _rebuild(self, *where: object) -> int:
            await owner.execute("TRUNCATE custody.blind_index, custody.blind_index_rebuilding")
            return await super()._rebuild(*where)  # type: ignore[arg-type]

    def rebuilder(kind: type[IndexRebuilder]) -> IndexRebuilder:
        return kind(database=database, keeper=keeper, sequencer=sequencer, clock=scratch.custody.clock)

    try:
        with pytest.raises(IndexLostAgain):
            await rebuilder(CrashesHalfWay).rebuild_if_lost()
        assert await rebuilder(IndexRebuilder).rebuild_if_lost()
        assert len((await ask_about(scratch, "+441632960809")).holdings) == 1
    finally:
        await keeper.close()
        await sequencer.close()
        await database.close()
