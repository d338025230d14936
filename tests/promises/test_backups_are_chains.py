"""Promise 7: base and increments, sealed for the target, whole or not at all; a chain ends together."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyrage
import pytest
import pytest_asyncio

from sealwire.custody.backups.chain import continued, header_of, known
from sealwire.custody.backups.cycle import cycle
from sealwire.custody.backups.ending import end_backups
from sealwire.custody.backups.manifest import MANIFEST, backups_in, read_manifest
from sealwire.custody.backups.presence import UNKNOWN, is_gone_from, oldest_begun
from sealwire.custody.backups.refusals import BackupDamaged, BackupForeign, BackupMissing, BackupTargetFull
from sealwire.custody.backups.restore import scratch_instance
from sealwire.custody.backups.sealing import BackupKey, backup_key
from sealwire.custody.backups.take import TakenBackup, remove_unfinished
from sealwire.custody.backups.unpack import unpacked
from sealwire.evidence.leaves import LeafClass
from sealwire.ground.clock import TestClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from tests.promises.backup_house import CLOCK, Call, House, running_house
from tests.promises.chain_house import command, taken, verified

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system takes root")


@dataclass(frozen=True)
class Story:
    """A call, a base, another call, an increment."""

    house: House
    first: Call
    second: Call
    base: TakenBackup
    increment: TakenBackup


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story() -> AsyncIterator[Story]:
    async with running_house() as house:
        first = await house.keep_call("+441632960123", seed=1)
        base = await taken(house)
        second = await house.keep_call("+447700900456", seed=2)
        yield Story(house, first, second, base, await taken(house))


@pytest.fixture
def copy(story: Story) -> Iterator[Path]:
    """A copy of the whole target, to be spoilt; the increment's folder in it."""
    target = story.house.copies / "spoilt"
    shutil.copytree(story.house.settings.backups_dir, target)
    yield target / story.increment.folder.name
    shutil.rmtree(target)


async def test_an_increment_holds_what_is_new_and_restores_with_its_base(story: Story) -> None:
    assert (story.base.manifest.after, story.increment.manifest.after) == ("", story.base.manifest.name)
    assert story.increment.manifest.total_bytes < story.base.manifest.total_bytes / 2
    chain = verified(story.house, story.increment.folder).chain
    async with unpacked(chain, story.house.settings, workspace=story.house.settings.data_dir) as folder:
        async with scratch_instance(folder / "postgres", story.house.settings) as scratch:
            stored = await scratch.records(story.house.account, [*story.first.records, *story.second.records])
        assert len(stored) == 4
        for row in (row for row in stored if row.object_name):
            living = story.house.settings.objects_dir / row.object_name
            assert (folder / "objects" / row.object_name).read_bytes() == living.read_bytes()
    packed = [held.name for held in chain.contents().objects]
    assert len(packed) == len(set(packed)) == 2, "an object was packed twice"
    assert not list(story.house.settings.data_dir.glob("scratch-*"))


async def test_what_leaves_is_sealed_and_names_nobody(story: Story) -> None:
    account = story.house.account.value
    objects = [path.read_bytes() for path in story.house.settings.objects_dir.rglob("*") if path.is_file()]
    for folder in (story.base.folder, story.increment.folder):
        for path in folder.iterdir():
            data = path.read_bytes()
            assert path.name == MANIFEST or data.startswith(b"age-encryption.org/v1\n")
            for trace in (account.hex.encode(), str(account).encode(), account.bytes, *objects):
                assert trace not in data, path.name


async def test_a_chain_ends_together_and_is_told_to_the_log(story: Story) -> None:
    assert story.base.manifest.cycle_ends_on == story.increment.manifest.cycle_ends_on
    target = story.house.copies / "cycle"
    shutil.copytree(story.house.settings.backups_dir, target)
    settings = msgspec.structs.replace(story.house.settings, data_dir=target.parent / "elsewhere")
    settings.backups_dir.mkdir(parents=True)
    for folder in backups_in(target):
        shutil.move(folder, settings.backups_dir / folder.name)
        manifest = msgspec.structs.replace(read_manifest(settings.backups_dir / folder.name), target="")
        (settings.backups_dir / folder.name / MANIFEST).write_bytes(manifest.encode())
    database = await Database.connect(dsn(story.house.settings, "sealwire_worker"), size_max=1)
    last_day = story.base.manifest.cycle_ends_on
    clock = TestClock(dt.datetime.combine(last_day, dt.time(23, 59), dt.UTC))
    try:
        assert await end_backups(settings, database, clock) == 0
        clock.advance(minutes=2)
        assert await end_backups(settings, database, clock) == 2
        assert list(settings.backups_dir.iterdir()) == []
    finally:
        await database.close()
        shutil.rmtree(settings.data_dir)
        shutil.rmtree(target)
    await story.house.custody.sequencer.nudge()
    assert await _leaves(story.house, LeafClass.BACKUP_DESTROYED) == 2
    assert await _leaves(story.house, LeafClass.BACKUP_MADE) >= 2


async def _leaves(house: House, wanted: LeafClass) -> int:
    database = await Database.connect(dsn(house.settings, "sealwire_service"), size_max=1)
    try:
        for _ in range(100):
            async with database.account(house.account) as connection:
                statement = "SELECT count(*) FROM evidence.leaf_entry WHERE get_byte(leaf, 1) = $1"
                if found := await connection.fetchval(statement, int(wanted)):
                    return int(found)
            await asyncio.sleep(0.1)
    finally:
        await database.close()
    return 0


async def test_an_old_chain_is_not_continued_and_another_target_or_key_begins_its_own(story: Story) -> None:
    settings = story.house.settings
    key, where = backup_key(settings), str(settings.backups_dir)
    now = CLOCK.now()
    assert len(continued(settings, where=where, key=key, now=now)) == 2
    assert continued(settings, where=where, key=key, now=now + dt.timedelta(days=settings.backup_chain_days)) == []
    assert continued(settings, where="/elsewhere", key=key, now=now) == []
    other = BackupKey.parse(str(pyrage.x25519.Identity.generate()))
    assert continued(settings, where=where, key=other, now=now) == []


async def test_the_cycle_is_told_with_age_and_next_end(story: Story) -> None:
    now = cycle(story.house.settings, clock=CLOCK)
    assert (now.days, now.next_end) == (28, story.base.manifest.cycle_ends_on)
    assert now.backups >= 2
    assert now.age_s is not None
    assert 0 <= now.age_s < 300
    assert f"the next end after {now.next_end}" in now.sentence


def _cut(folder: Path) -> Path:
    path = folder / "postgres.tar.age"
    os.truncate(path, path.stat().st_size - 100_000)
    return path


def _cut_base(folder: Path) -> Path:
    base = folder.parent / read_manifest(folder).after
    return _cut(base)


def _flip(folder: Path) -> Path:
    path = folder / "objects-00001.tar.age"
    data = bytearray(path.read_bytes())
    data[-50] ^= 1
    path.write_bytes(data)
    return path


def _lose(folder: Path) -> Path:
    path = folder / "contents.age"
    path.unlink()
    return path


def _add(folder: Path) -> Path:
    path = folder / "stranger"
    path.write_bytes(b"x")
    return path


def _change_manifest(folder: Path) -> Path:
    manifest = read_manifest(folder)
    changed = msgspec.structs.replace(manifest, cycle_ends_on=manifest.cycle_ends_on + dt.timedelta(days=365))
    (folder / MANIFEST).write_bytes(changed.encode())
    return Path(manifest.backup)


@pytest.mark.parametrize("spoil", [_cut, _cut_base, _flip, _lose, _add, _change_manifest], ids=lambda one: one.__name__)
async def test_a_spoilt_chain_is_refused_with_its_name(story: Story, copy: Path, spoil: Callable[[Path], Path]) -> None:
    assert verified(story.house, copy).chain.last == story.increment.manifest
    path = spoil(copy)
    with pytest.raises(BackupDamaged, match="take another backup") as refused:
        verified(story.house, copy)
    assert path.name in str(refused.value)


async def test_an_increment_without_its_base_is_refused(story: Story, copy: Path) -> None:
    shutil.rmtree(copy.parent / story.base.folder.name)
    with pytest.raises(BackupMissing, match="of no use"):
        verified(story.house, copy)


async def test_a_foreign_backup_is_refused(story: Story, copy: Path) -> None:
    stranger = BackupKey.parse(str(pyrage.x25519.Identity.generate()))
    with pytest.raises(BackupForeign, match="--identity"):
        verified(story.house, copy, key=stranger)
    key = backup_key(story.house.settings)
    for folder in copy.parent.iterdir():
        foreign = msgspec.structs.replace(read_manifest(folder), system_identifier="7000000000000000001")
        foreign = msgspec.structs.replace(foreign, authenticator=key.authenticator(header_of(foreign)))
        (folder / MANIFEST).write_bytes(foreign.encode())
    with pytest.raises(BackupForeign, match="another installation"):
        verified(story.house, copy)


@needs_root
@pytest.mark.parametrize("share", [0.02, 0.5, 0.995], ids=["at once", "in the database", "at the end"])
async def test_a_target_that_fills_up_half_way_is_told_and_keeps_nothing(story: Story, share: float) -> None:
    target = story.house.copies / "small"
    target.mkdir()
    size = int(share * story.base.manifest.total_bytes) + 40_960
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "tmpfs", str(target)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        target.rmdir()
        pytest.skip("this machine lets nobody mount a tmpfs")
    before = known(story.house.settings)
    try:
        with pytest.raises(BackupTargetFull, match="Make room"):
            await taken(story.house, target=target, wants_base=True)
        assert [path for path in target.rglob("*") if path.is_file()] == []
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", str(target)], check=True)
        target.rmdir()
    assert known(story.house.settings) == before
    assert not list(story.house.settings.backups_dir.glob("*.unfinished"))


CRASHES = ["backup-half-database", "backup-database", "backup-objects", "backup-contents"]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["beside the data", "elsewhere"])
@pytest.mark.parametrize("crash", CRASHES)
async def test_a_backup_that_was_killed_is_none_and_is_gone_with_the_next(
    story: Story, crash: str, elsewhere: bool
) -> None:
    settings = story.house.settings
    target = story.house.copies / "target" if elsewhere else settings.backups_dir
    before = known(settings)
    words = ("--to", target) if elsewhere else ()
    done = await asyncio.to_thread(command, "backup", "make", "--data", settings.data_dir, *words, crash_at=crash)
    assert done.returncode == 137, done.stderr
    assert known(settings) == before
    assert oldest_begun(settings.backups_dir) == UNKNOWN
    assert not is_gone_from(oldest_begun(settings.backups_dir), CLOCK.now()), "half a backup may hold anything"
    assert remove_unfinished(settings) == 1
    left = {path.name for path in target.iterdir() if any(path.iterdir())} if target.exists() else set()
    assert left - {manifest.name for manifest in before} == set()
    assert not list((settings.run_dir / "postgres").glob("2*Z-*"))
    assert oldest_begun(settings.backups_dir) != UNKNOWN


async def test_a_backup_elsewhere_is_known_here_and_continues_its_own_chain(story: Story) -> None:
    target = story.house.copies / "other"
    first = await taken(story.house, target=target)
    second = await taken(story.house, target=target)
    assert (first.manifest.after, second.manifest.after) == ("", first.manifest.name)
    assert {path.name for path in first.folder.iterdir()} == {MANIFEST}
    assert len(verified(story.house, second.folder).chain.members) == 2
    assert first.manifest.name in {manifest.name for manifest in known(story.house.settings)}


async def test_two_backups_at_once_are_refused(story: Story) -> None:
    done = await asyncio.gather(taken(story.house), taken(story.house), return_exceptions=True)
    assert sorted(type(one).__name__ for one in done) == ["BackupUnderWay", "TakenBackup"]


async def test_backups_of_one_second_stand_in_the_order_they_were_made_in(story: Story) -> None:
    clock, target = TestClock(CLOCK.now()), story.house.copies / "hurried"
    made = [await taken(story.house, target=target, clock=clock) for _ in range(4)]
    assert [one.manifest.after for one in made] == ["", *(one.manifest.name for one in made[:-1])]
    assert known(story.house.settings)[-1].name == made[-1].manifest.name
