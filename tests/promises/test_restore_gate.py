"""Promise 7: what is put back serves nobody before it agrees with what was erased and signed since."""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from sealwire.config import Settings, load_settings
from sealwire.custody.backups.gate import Gate, Pending, pending
from sealwire.custody.backups.putback import put_back
from sealwire.custody.backups.refusals import BackupDamaged, LedgerMissing, RestoreOccupied, RestoreRefused
from sealwire.custody.backups.sealing import backup_key
from sealwire.custody.backups.take import TakenBackup
from sealwire.custody.backups.unpack import unpack, verify_chain
from sealwire.custody.categories import CallRecord, category_of
from sealwire.custody.holds.book import Hold, Kind, Reason, RecordsHeld, find
from sealwire.custody.holds.ritual import HoldRitual, NewHold
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.lifecycle import Custody, RecordErased, connect_custody, keeper_client
from sealwire.custody.store import StoredRecord
from sealwire.doors.bench.scratch import scratch_cloud
from sealwire.doors.supervisor import KEEPER, SEQUENCER, Cloud
from sealwire.errors import Gone, Missing, SealwireError
from sealwire.evidence.heads import Heads
from sealwire.evidence.leaves import LeafClass
from sealwire.ground import diagnostics
from sealwire.ground.clock import today
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import Day
from tests.promises.backup_house import CLOCK, Call, House
from tests.promises.chain_house import command, taken
from tests.promises.hold_house import Keeping

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
PARTS = ((KEEPER,), (SEQUENCER,))


@dataclass
class Story:
    """Three calls: one erased after the backup, one kept, one made after it. The cloud is stopped."""

    house: House
    backup: TakenBackup
    erased: Call
    kept: Call
    lost: Call
    heads: dict[str, int]

    @property
    def old(self) -> Settings:
        return self.house.settings

    async def put_back(self, name: str) -> Settings:
        """Into a new folder, with copies of what lives on: a test may spoil them. (A person moves them.)"""
        settings = without_database(self.old, name)
        await put_back(str(self.backup.folder), settings, clock=CLOCK)
        return settings


def without_database(old: Settings, name: str) -> Settings:
    settings = load_settings(old.data_dir.parent / name, backup_every_hours=0)
    settings.data_dir.mkdir(mode=0o710)
    for folder in ("keeper", "evidence", "secrets"):
        shutil.copytree(old.data_dir / folder, settings.data_dir / folder)
    (settings.data_dir / "FORMAT").write_text("1\n")
    return settings


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story() -> AsyncIterator[Story]:
    async with scratch_cloud(PARTS) as scratch:
        copies = scratch.settings.data_dir.parent / "copies"
        copies.mkdir(mode=0o711)
        house = House(scratch.settings, scratch.custody, scratch.account, copies, scratch.cloud)
        erased, kept = await house.keep_call("+441632960123", seed=1), await house.keep_call("+447700900456", seed=2)
        backup = await taken(house)
        await house.erase(erased.records)
        lost = await house.keep_call("+447700900789", seed=3)
        await scratch.custody.sequencer.nudge()
        await asyncio.sleep(1.5)
        await scratch.custody.close()
        await scratch.cloud.stop()
        heads = Heads.open(scratch.settings.evidence_dir)
        sizes = {str(account): heads[account].size for account in heads.accounts()}  # type: ignore[union-attr]
        heads.close()
        yield Story(house, backup, erased, kept, lost, sizes)


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Custody]:
    async with Cloud(settings, parts=PARTS):
        custody = await connect_custody(settings, dsn(settings, "sealwire_service"), CLOCK)
        try:
            yield custody
        finally:
            await custody.close()


async def state(custody: Custody, story: Story, call: Call) -> set[str]:
    found = set()
    for record in call.records:
        try:
            await custody.find(story.house.account, [record])
        except Gone:
            found.add("gone")
        except Missing:
            found.add("missing")
        else:
            found.add("there")
    return found


async def rows(settings: Settings, statement: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(dsn(settings, "sealwire_owner"))
    try:
        return list(await connection.fetch(statement, *arguments))
    finally:
        await connection.close()


async def require_reconciled(settings: Settings, story: Story) -> None:
    """What was erased is gone with its ciphertext, what was kept is there, what came later is counted as lost."""
    async with serving(settings) as custody:
        assert await state(custody, story, story.erased) == {"gone"}
        assert await state(custody, story, story.kept) == {"there"}
        assert await state(custody, story, story.lost) == {"missing"}
        ids = [record.value for record in story.erased.records]
        for table in ("call_record", "recording"):
            assert not await rows(settings, f"SELECT FROM custody.{table} WHERE record_id = ANY($1)", ids)
        told = {row["object_name"] for row in await rows(settings, "SELECT object_name FROM custody.recording")}
        assert {str(path.relative_to(settings.objects_dir)) for path in files(settings.objects_dir)} == told
        (head,) = await rows(settings, "SELECT size, signed_size FROM evidence.head")
        assert head["signed_size"] > story.heads[str(story.house.account)], "the log did not go on"
        leaf = "SELECT count(*) FROM evidence.leaf_entry WHERE get_byte(leaf, 1) = $1"
        assert (await rows(settings, leaf, int(LeafClass.RESTORE_RECONCILED)))[0][0] >= 1
    assert pending(settings) is None


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_a_restored_cloud_erases_again_counts_what_is_lost_and_its_log_goes_on(story: Story) -> None:
    settings = await story.put_back("restored")
    assert pending(settings) is not None
    outlived = [path.relative_to(story.old.objects_dir) for path in files(story.old.objects_dir)]
    late = [path for path in outlived if not (settings.objects_dir / path).exists()]
    assert late, "the call that came after the backup left no object"
    for path in late:  # as on an S3, which the loss of the database does not touch
        (settings.objects_dir / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(story.old.objects_dir / path, settings.objects_dir / path)
    await require_reconciled(settings, story)
    assert {path.name for path in settings.backups_dir.iterdir()} == {story.backup.folder.name}


async def test_the_gate_tells_how_much_was_lost(story: Story) -> None:
    settings, heard = await story.put_back("counted"), io.StringIO()
    diagnostics.start("sealwire", heard)
    try:
        async with serving(settings):
            pass
    finally:
        diagnostics.start("sealwire")
    line = next(line for line in heard.getvalue().splitlines() if "restore.reconciled" in line)
    told = json.loads(line)
    assert (told["records_lost"], told["records_erased"]) == (2, 2)
    assert told["leaves_lost"] >= 3


GATE_CRASHES = ["gate-logs", "gate-erased", "gate-told"]


@pytest.mark.parametrize("crash", GATE_CRASHES)
async def test_a_gate_that_was_cut_off_begins_anew(story: Story, crash: str) -> None:
    settings = await story.put_back(f"cut-{crash}")
    done = await asyncio.to_thread(
        command, "up", "--data", settings.data_dir, "--api-listen", "127.0.0.1:25043", crash_at=crash
    )
    assert done.returncode == 137, done.stderr[-500:]
    assert pending(settings) is not None
    await require_reconciled(settings, story)


RESTORE_CRASHES = ["restore-unpacked", "restore-marked", "restore-objects"]


@pytest.mark.parametrize("crash", RESTORE_CRASHES)
async def test_a_restore_that_was_cut_off_is_run_again(story: Story, crash: str) -> None:
    settings = without_database(story.old, f"again-{crash}")
    words = ("restore", "--from", story.backup.folder, "--data", settings.data_dir)
    done = await asyncio.to_thread(command, *words, crash_at=crash)
    assert done.returncode == 137, done.stderr[-500:]
    assert not settings.postgres_dir.exists()
    done = await asyncio.to_thread(command, *words, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["ok"] is True
    await require_reconciled(settings, story)


async def test_without_the_ledger_nothing_is_served(story: Story) -> None:
    settings = await story.put_back("no-ledger")
    shutil.rmtree(settings.keeper_dir)
    with pytest.raises(LedgerMissing, match="what was erased"):
        async with serving(settings):
            pass
    assert not (settings.keeper_dir / "root.key").exists(), "a new keeper was made over the missing one"


async def test_a_keeper_older_than_the_backup_is_refused(story: Story) -> None:
    settings = await story.put_back("old-keeper")
    async with Cloud(load_settings(story.old.data_dir, backup_every_hours=0), parts=((KEEPER,),)) as living:
        keeper = keeper_client(living.settings)
        gate = Gate(settings, keeper=keeper, objects=Objects.of(settings), clock=CLOCK)
        epoch = (await keeper.status()).epoch
        with pytest.raises(RestoreRefused, match="older copy"):
            await gate.reconcile(Pending("bkp_x", "2026-11-23T12:00:00.000Z", epoch + 1, "2026-11-23T12:00:00.000Z"))
        await keeper.close()


async def test_leaves_that_nobody_has_any_more_stop_the_restore(story: Story) -> None:
    settings = await story.put_back("no-leaves")
    shutil.rmtree(settings.evidence_dir / "leaves")
    with pytest.raises(SealwireError, match="restore a newer backup"):
        async with serving(settings):
            pass
    assert pending(settings) is not None


async def test_a_database_put_back_by_hand_is_refused_until_somebody_says_that_it_was_wanted(story: Story) -> None:
    settings = without_database(story.old, "by-hand")
    chain = verify_chain(str(story.backup.folder), settings, backup_key(settings)).chain
    workspace = settings.data_dir / "unpacked"
    workspace.mkdir(mode=0o711)
    settings.data_dir.chmod(0o711)
    shutil.chown(workspace, *_owner(story.old.postgres_dir))
    unpack(chain, workspace, settings)
    (workspace / "postgres").rename(settings.postgres_dir)
    (workspace / "objects").rename(settings.objects_dir)
    workspace.rmdir()
    with pytest.raises(SealwireError, match="restore --reconcile"):
        async with serving(settings):
            pass
    done = await asyncio.to_thread(command, "restore", "--reconcile", "--data", settings.data_dir)
    assert done.returncode == 0, done.stderr
    await require_reconciled(settings, story)


def _owner(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_uid, status.st_gid


async def test_nothing_is_restored_over_a_database(story: Story) -> None:
    with pytest.raises(RestoreOccupied, match="not empty"):
        await put_back(str(story.backup.folder), story.old, clock=CLOCK)


async def test_a_truncated_backup_puts_nothing_back(story: Story) -> None:
    cut = story.house.copies / "cut" / story.backup.folder.name
    shutil.copytree(story.backup.folder, cut)
    os.truncate(cut / "postgres.tar.age", 1_000_000)
    settings = load_settings(story.old.data_dir.parent / "never")
    with pytest.raises(BackupDamaged, match="cut short"):
        await put_back(str(cut), settings, clock=CLOCK, living=story.old.data_dir)
    assert not settings.postgres_dir.exists()
    assert (story.old.keeper_dir / "root.key").exists(), "the living keeper was moved for nothing"


async def test_the_living_keeper_is_moved_and_not_copied(story: Story) -> None:
    sockets = shutil.ignore_patterns("run", "postgres")
    shutil.copytree(story.old.data_dir, living := story.old.data_dir.parent / "living", symlinks=True, ignore=sockets)
    settings = load_settings(story.old.data_dir.parent / "moved", backup_every_hours=0)
    await put_back(str(story.backup.folder), settings, clock=CLOCK, living=living)
    assert (settings.keeper_dir / "epoch.slots").exists()
    assert not (living / "keeper").exists()
    await require_reconciled(settings, story)


@dataclass
class HoldsSince:
    """Days erased since the backup, each with a record that was held then; the cloud is stopped."""

    house: House
    backup: TakenBackup
    held: StoredRecord
    neighbour: StoredRecord
    alone: StoredRecord
    freed: StoredRecord
    owed: StoredRecord
    holds: list[Hold]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def since() -> AsyncIterator[HoldsSince]:
    async with scratch_cloud(PARTS) as scratch:
        copies = scratch.settings.data_dir.parent / "copies"
        copies.mkdir(mode=0o711)
        house = House(scratch.settings, scratch.custody, scratch.account, copies, scratch.cloud)
        keeping, new = Keeping(house), NewHold(Kind.LEGAL_HOLD, Reason.LITIGATION, Day(today(CLOCK) + 400))
        calls = category_of(CallRecord)
        held, neighbour = await keeping.kept(calls)
        (alone,), (freed, _), (owed, _), (whole,) = [await keeping.kept(calls, count) for count in (1, 2, 2, 1)]
        backup = await taken(house)
        holds = [await keeping.hold(new, [row]) for row in (held, alone, freed, owed)]
        holds.append(await keeping.hold(new, [], [DayPath(whole.category.code, whole.retention_class, int(whole.day))]))
        for row in (held, alone, freed, owed):
            await keeping.erase_day(row)
        await keeping.let_the_eraser_work()
        await keeping.release(holds[2].hold)
        await keeping.let_the_eraser_work()  # by an erasure of its own
        await keeping.release(holds[3].hold)  # the keeper let go, and no erasure came to it
        await scratch.custody.close()
        await scratch.cloud.stop()
        yield HoldsSince(house, backup, held, neighbour, alone, freed, owed, holds)


async def is_erased(keeping: Keeping, row: StoredRecord) -> bool:
    try:
        await keeping.custody.find(keeping.account, [row.record], category=row.category)
    except RecordErased:
        return True
    return False


@asynccontextmanager
async def restored(since: HoldsSince, settings: Settings) -> AsyncIterator[Keeping]:
    async with serving(settings) as custody:
        yield Keeping(House(settings, custody, since.house.account, since.house.copies, since.house.cloud))


async def test_what_was_held_since_the_backup_outlives_the_restore_until_it_is_released(since: HoldsSince) -> None:
    settings = without_database(since.house.settings, "held")
    await put_back(str(since.backup.folder), settings, clock=CLOCK)
    async with restored(since, settings) as keeping:
        assert await is_erased(keeping, since.neighbour)
        for row in (since.held, since.alone):
            assert not await is_erased(keeping, row)
            assert await keeping.is_listed(row)
            assert await keeping.opens(row)
        async with keeping.custody.database.account(keeping.account) as connection:
            told = [await find(connection, keeping.account, hold.hold) for hold in since.holds]
        assert [one.state for one in told] == ["in-force", "in-force", "releasing", "releasing", "in-force"]
        assert {(one.reason, one.placed_by) for one in told} == {(Reason.RESTORED, "restore")}
        assert [(one.records, one.days) for one in (told[0], told[1], told[4])] == [(1, 0), (1, 0), (0, 1)]
        assert [one.until for one in told] == [one.until for one in since.holds]
        await keeping.let_the_eraser_work()
        assert await keeping.opens(since.held)
        for hold, row in zip(since.holds, (since.held, since.alone), strict=False):
            with pytest.raises(RecordsHeld):
                await keeping.erase(row)
            assert (await keeping.release(hold.hold)).state == "released"
            assert await is_erased(keeping, row)
        await keeping.let_the_eraser_work()
        assert not await keeping.is_stored(since.held)
        assert not await keeping.is_stored(since.alone)


async def test_what_was_held_and_released_since_the_backup_goes_with_the_restore(since: HoldsSince) -> None:
    settings = without_database(since.house.settings, "released")
    await put_back(str(since.backup.folder), settings, clock=CLOCK)
    async with restored(since, settings) as keeping:
        assert await is_erased(keeping, since.freed)
        assert not await keeping.is_stored(since.freed)
        database = await Database.connect(dsn(settings, "sealwire_worker"), size_max=2)
        keeper = keeping.custody.keeper
        worker = HoldRitual(database=database, keeper=keeper, clock=CLOCK, backup_cycle_days=28)
        assert await worker.run() is False
        await database.close()
        assert await is_erased(keeping, since.owed)
        await keeping.let_the_eraser_work()
        assert not await keeping.is_stored(since.owed)
        assert not await keeping.owner("SELECT FROM custody.erasure WHERE state <> 'removed'")
