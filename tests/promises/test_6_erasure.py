"""Promises 6, 7, 14: erased means unreadable at once, removed soon, certified, and nobody else's record suffers."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import secrets
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from sealwire.custody import erasure as erasing
from sealwire.custody.categories import BY_NAME, CallRecord, LiveCall, Recording, category_of
from sealwire.custody.eraser import Eraser
from sealwire.custody.erasure import Ground
from sealwire.custody.lifecycle import RecordErased, keeper_client
from sealwire.custody.retention.expiry import expire_due
from sealwire.custody.sealing.sealer import SlotRecalled
from sealwire.doors.bench.scratch import Scratch
from sealwire.evidence.client import SequencerClient
from sealwire.ground.clock import TestClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import CallId, Day, ErasureId

from .acts import (
    SERVICE,
    ask_about,
    ask_to_erase,
    audio_of,
    call_from,
    erasure_at,
    keep_call,
    keep_recording,
    live_call,
    policy_for,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
VERIFIER = Path(__file__).parents[2] / "verifier" / "src"


def verifier_says(certificate: Path, policy: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealwire_verifier", "certificate", str(certificate), "--policy", str(policy)],
        capture_output=True, text=True, check=False, env={"PYTHONPATH": str(VERIFIER)},
    )  # fmt: skip


async def test_an_erased_record_is_gone_within_two_seconds_and_its_neighbour_opens(scratch: Scratch) -> None:
    erased, neighbour = await keep_call(scratch, "+441632960401"), await keep_call(scratch, "+441632960402")
    erasure = await ask_to_erase(scratch, [erased.record])
    with pytest.raises(RecordErased) as gone:
        await scratch.custody.open(scratch.principal, [erased.record], purpose=SERVICE)
    assert gone.value.certificate == str(erasure)
    done = await erasure_at(scratch, erasure, "unreadable", "removed")
    assert done.unreadable_at is not None
    assert (done.unreadable_at - done.requested_at).total_seconds() <= 2
    (opened,) = await scratch.custody.open(scratch.principal, [neighbour.record], purpose=SERVICE)
    assert opened.content.reveal()["caller"].text == "+441632960402"


async def test_a_recording_is_removed_with_its_object_and_the_number_is_no_longer_found(scratch: Scratch) -> None:
    erased = await keep_recording(scratch, "+441632960403", secrets.token_bytes(30_000))
    kept = await keep_recording(scratch, "+441632960404", b"\x01\x02" * 10_000)
    (stored,) = await scratch.custody.find(scratch.account, [erased.record])
    assert stored.object_name is not None
    erasure = await ask_to_erase(scratch, [erased.record])
    await erasure_at(scratch, erasure, "removed")
    assert not (scratch.settings.objects_dir / stored.object_name).exists()
    assert (await ask_about(scratch, "+441632960403")).holdings == []
    assert await audio_of(scratch, kept.record) == b"\x01\x02" * 10_000


async def test_the_certificate_verifies_offline_and_a_changed_one_is_refused(scratch: Scratch, tmp_path: Path) -> None:
    erased = await keep_call(scratch, "+441632960405")
    erasure = await ask_to_erase(scratch, [erased.record])
    done = await erasure_at(scratch, erasure, "removed")
    assert done.certificate is not None
    file, policy = tmp_path / "c.tlog-proof", await policy_for(scratch, tmp_path)
    file.write_text(done.certificate)
    verified = verifier_says(file, policy)
    assert verified.returncode == 0, verified.stdout
    lines = done.certificate.splitlines()
    lines[3] = ("A" if lines[3][0] != "A" else "B") + lines[3][1:]
    file.write_text("\n".join(lines) + "\n")
    refused = verifier_says(file, policy)
    assert refused.returncode == 1
    assert "step" in refused.stdout


async def test_the_certificate_names_neither_number_nor_account_name(scratch: Scratch) -> None:
    erased = await keep_call(scratch, "+441632960406")
    done = await erasure_at(scratch, await ask_to_erase(scratch, [erased.record]), "removed")
    assert done.certificate is not None
    body = base64.b64decode(done.certificate.splitlines()[1].removeprefix("extra "))
    assert b"960406" not in body
    assert b"Bench" not in body


async def test_a_whole_day_goes_with_one_row_and_the_day_before_stays(scratch: Scratch) -> None:
    day = [await keep_call(scratch, f"+4416329605{n:02d}", days_ago=3) for n in range(5)]
    before = await keep_call(scratch, "+441632960599", days_ago=4)
    custody, clock = scratch.custody, scratch.custody.clock
    async with custody.database.account(scratch.account) as connection:
        erasure = await erasing.request_day(
            connection, scratch.account, category_of(CallRecord), Day.of(clock.now() - dt.timedelta(days=3)),
            retention_class=0, ground=Ground.INSTRUCTION, requested_by="test", backup_cycle_days=28, clock=clock,
        )  # fmt: skip
    assert erasure is not None
    done = await erasure_at(scratch, erasure, "removed")
    assert done.certificate is not None
    for kept in day:
        with pytest.raises(RecordErased):
            await custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    assert await custody.open(scratch.principal, [before.record], purpose=SERVICE)


async def test_a_worker_whose_clock_is_ahead_hides_but_the_keeper_destroys_nothing(scratch: Scratch) -> None:
    kept = await keep_recording(scratch, "+441632960410", b"\x05\x06" * 4000, days_ago=28)
    (row,) = await scratch.custody.find(scratch.account, [kept.record])
    tomorrow = TestClock(scratch.custody.clock.now() + dt.timedelta(days=1))
    worker = await Database.connect(dsn(scratch.settings, "sealwire_worker"), size_max=2)
    try:
        assert await expire_due(worker, tomorrow, backup_cycle_days=28) == 1
    finally:
        await worker.close()
    with pytest.raises(RecordErased) as gone:
        await scratch.custody.open(scratch.principal, [kept.record], purpose=SERVICE)
    assert gone.value.certificate is not None
    await asyncio.sleep(1)
    done = await erasure_at(scratch, ErasureId.parse(gone.value.certificate), "hidden")
    assert (done.ground, done.certificate) == (Ground.RETENTION, None)
    assert len(await scratch.custody.open_stored(scratch.principal, [row], purpose=SERVICE)) == 1


async def test_tokens_leave_the_index_files_and_not_only_the_table(scratch: Scratch) -> None:
    erased = await keep_call(scratch, "+441632960420")
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        tokens = await owner.fetch(
            "SELECT token, tableoid::regclass::text AS partition FROM custody.blind_index WHERE record_id = $1",
            erased.record.value,
        )
        assert len(tokens) == 2
        erasure = await ask_to_erase(scratch, [erased.record])
        await erasure_at(scratch, erasure, "unreadable", "removed")
        await owner.execute("CHECKPOINT")
        for row in tokens:
            path = await owner.fetchval("SELECT pg_relation_filepath($1::regclass)", row["partition"])
            data = (scratch.settings.postgres_dir / path).read_bytes()
            assert row["token"] not in data
    finally:
        await owner.close()


async def test_the_live_call_behind_an_erased_call_cannot_be_opened_either(scratch: Scratch) -> None:
    custody, account, now = scratch.custody, scratch.account, scratch.custody.clock.now()
    call, other = CallId.new(), CallId.new()
    live = {
        each: await custody.keep(account, live_call(each, number, now))
        for each, number in ((call, "+441632960441"), (other, "+441632960442"))
    }
    rows = {each: (await custody.find(account, [kept.record]))[0] for each, kept in live.items()}
    for each, kept in live.items():
        await custody.let_go(account, LiveCall, [kept.record])
        await custody.keep(account, call_from("+441632960441", ended_at=now, call=each))
    records = [row.record for row in await custody.of_call(account, call)]
    await erasure_at(scratch, await ask_to_erase(scratch, records), "removed")
    opened = {each: await custody.open_stored(scratch.principal, [row], purpose=SERVICE) for each, row in rows.items()}
    assert opened[call] == []
    assert len(opened[other]) == 1
    with pytest.raises(RecordErased):
        await custody.of_call(account, call)


async def test_a_recording_in_progress_ends_when_its_day_is_erased(scratch: Scratch) -> None:
    custody, account, clock = scratch.custody, scratch.account, scratch.custody.clock
    day = Day.of(clock.now() - dt.timedelta(days=9))
    media = await custody.begin_media(account, Recording, starts_at_day=day)
    await media.write(b"\x01\x02" * 8000)
    async with custody.database.account(account) as connection:
        erasure = await erasing.request_day(
            connection, account, category_of(Recording), day, retention_class=0, ground=Ground.INSTRUCTION,
            requested_by="test", backup_cycle_days=28, clock=clock,
        )  # fmt: skip
    assert erasure is not None
    await erasure_at(scratch, erasure, "unreadable", "removed")
    with pytest.raises(SlotRecalled):
        await media.write(b"\x01\x02" * 8000)
    await media.abort()


async def test_z_a_worker_that_dies_between_receipt_and_certificate_goes_on_from_there(scratch: Scratch) -> None:
    """With the worker stopped, its own steps are taken here, one of them failing."""
    await scratch.cloud.child("worker").stop()
    kept = await keep_call(scratch, "+441632960430")
    erasure = await ask_to_erase(scratch, [kept.record])
    database = await Database.connect(dsn(scratch.settings, "sealwire_worker"), size_max=4)
    keeper, sequencer = keeper_client(scratch.settings), SequencerClient(scratch.settings.sequencer_socket)

    class DiesBeforeTheLeaf(Eraser):
        async def _certify(self, *_: object) -> str:
            raise ConnectionError

    def eraser(kind: type[Eraser]) -> Eraser:
        return kind(
            database=database, keeper=keeper, sequencer=sequencer, objects=scratch.custody.objects,
            clock=scratch.custody.clock,
        )  # fmt: skip

    try:
        assert await eraser(DiesBeforeTheLeaf).make_pending_unreadable() == 0
        halfway = await erasure_at(scratch, erasure, "hidden")
        assert halfway.certificate is None
        assert len(halfway.receipts) == 1
        assert await eraser(Eraser).make_pending_unreadable() == 1
        done = await erasure_at(scratch, erasure, "unreadable")
        assert done.receipts == halfway.receipts
        assert done.certificate is not None
        (again,) = await keeper.erase(scratch.account, erasure=str(erasure), leaves=[])
        assert again.erasure == str(erasure)
    finally:
        await keeper.close()
        await sequencer.close()
        await database.close()
    assert BY_NAME["call-record"].code == 1
