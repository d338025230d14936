"""Promise 7: backups exist, can be restored, and cannot bring anything erased back."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from sealwire.custody.backups.drill import Drill
from sealwire.custody.backups.make import MadeBackup, backups_in
from sealwire.custody.backups.manifest import MANIFEST
from sealwire.custody.backups.refusals import (
    BackupDamaged,
    BackupForeign,
    BackupMissing,
    BackupTargetFull,
    RestoreFailed,
)
from sealwire.custody.backups.restore import scratch_instance
from sealwire.custody.backups.verify import verify
from sealwire.custody.forensics.attacker import attack
from sealwire.custody.forensics.patterns import audio_patterns, number_patterns
from sealwire.custody.forensics.sweep import sweep
from sealwire.vocabulary import AccountId, RecordId
from tests.promises.backup_house import CLOCK, Call, House, running_house

pytestmark = pytest.mark.asyncio(loop_scope="module")
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system takes root")


@dataclass(frozen=True)
class Story:
    """Two calls, a backup, copies of the vault with and without its epoch slots; then one call was erased."""

    house: House
    backup: MadeBackup
    old_vault: Path
    snapshot: Path
    erased: Call
    kept: Call

    @property
    def targets(self) -> list[tuple[AccountId, RecordId]]:
        return [(self.house.account, record) for record in [*self.erased.records, *self.kept.records]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story() -> AsyncIterator[Story]:
    async with running_house() as house:
        erased = await house.keep_call("+441632960123", seed=1)
        kept = await house.keep_call("+447700900456", seed=2)
        old_vault = house.copy_vault("old", with_epoch_slots=False)
        snapshot = house.copy_vault("snapshot", with_epoch_slots=True)
        backup = await house.back_up()
        await house.erase(erased.records)
        yield Story(house, backup, old_vault, snapshot, erased, kept)


@pytest.fixture
def copy(story: Story) -> Iterator[Path]:
    """A copy of the backup, to be spoilt; the database user can reach it."""
    folder = story.house.copies / "spoilt"
    subprocess.run(["cp", "-a", "--no-target-directory", str(story.backup.folder), str(folder)], check=True)
    yield folder
    shutil.rmtree(folder)


async def test_with_everything_but_the_old_epoch_key_the_erased_stays_closed_and_the_kept_opens(story: Story) -> None:
    possessions = story.house.possessions([story.backup.folder], [story.old_vault])
    report = await attack(possessions, story.targets, story.house.settings, workspace=story.house.copies)
    assert report.indexes >= 2
    for record in story.erased.records:
        assert report.of(record).in_backup
        assert not report.of(record).readable
        assert not report.of(record).media_readable
    assert all(report.of(record).readable for record in story.kept.records)
    assert report.of(story.kept.recording).media_readable


async def test_a_snapshot_with_the_epoch_slots_from_before_does_open_it_and_we_say_so(story: Story) -> None:
    possessions = story.house.possessions([story.backup.folder], [story.snapshot])
    report = await attack(possessions, story.targets, story.house.settings, workspace=story.house.copies)
    assert all(report.of(record).readable for record in [*story.erased.records, *story.kept.records])
    assert report.of(story.erased.recording).media_readable


async def test_a_restored_copy_with_the_living_keeper_opens_the_kept_and_not_the_erased(story: Story) -> None:
    house = story.house
    drill = Drill(house.settings, keeper=house.custody.keeper, sequencer=house.custody.sequencer, clock=CLOCK)
    report = await drill.run(story.backup.folder, story.targets)
    for record in story.erased.records:
        assert (report.of(record).in_backup, report.of(record).readable) == (True, False)
    assert report.of(story.erased.recording).media_readable is False
    assert all(report.of(record).readable for record in story.kept.records)
    assert report.of(story.kept.recording).media_readable is True
    assert not list(house.settings.data_dir.glob("scratch-*")), "the drill left its copy behind"


async def test_neither_number_nor_voice_lies_anywhere_and_the_sweep_finds_its_own_control(story: Story) -> None:
    for call in (story.erased, story.kept):
        patterns = number_patterns(call.caller, subject="number") + audio_patterns(call.pcm, subject="voice")
        report = await sweep(story.house.settings, patterns, dsn=story.house.owner_dsn())
        assert report.is_valid, report.missed
        assert report.control_hits >= 2 * len(report.stores)
        assert report.hits == 0, report.places


async def test_a_backup_says_what_it_is_and_holds_no_key(story: Story) -> None:
    told = json.loads((story.backup.folder / MANIFEST).read_bytes())
    assert told["disaster_recoverable"] is False
    assert told["disaster_recovery"] == "not disaster-recoverable: one key holder"
    assert {entry.split(":")[0] for entry in told["left_out"]} >= {"keeper", "evidence", "secrets"}
    assert told["logs"][0]["account"] == str(story.house.account)
    assert told["keeper_epoch"] > 0
    keeper = story.house.settings.keeper_dir
    secrets = [path.read_bytes() for path in (keeper / "root.key", story.snapshot / "epoch.slots")]
    files = [path.read_bytes() for path in story.backup.folder.rglob("*") if path.is_file()]
    assert not any(secret[:32] in file for secret in secrets for file in files)


async def test_a_whole_backup_verifies(story: Story) -> None:
    verified = await verify(story.backup.folder, story.house.settings)
    assert verified.manifest == story.backup.manifest
    assert backups_in(story.house.settings.backups_dir) == [story.backup.folder]


def _truncate_table(folder: Path) -> Path:
    path = max((folder / "postgres" / "base").rglob("*"), key=lambda file: file.stat().st_size if file.is_file() else 0)
    os.truncate(path, path.stat().st_size - 8192)
    return path


def _truncate_object(folder: Path) -> Path:
    path = next(file for file in (folder / "objects").rglob("*") if file.is_file())
    os.truncate(path, 100)
    return path


def _flip_byte(folder: Path) -> Path:
    path = next(file for file in (folder / "objects").rglob("*") if file.is_file())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return path


def _lose_file(folder: Path) -> Path:
    path = folder / "postgres" / "PG_VERSION"
    path.unlink()
    return path


def _add_file(folder: Path) -> Path:
    path = folder / "objects" / "stranger"
    path.write_bytes(b"x")
    return path


def _link_instead(folder: Path) -> Path:
    path = next(file for file in (folder / "objects").rglob("*") if file.is_file())
    path.unlink()
    path.symlink_to("/etc/hostname")
    return path


SPOILINGS = [_truncate_table, _truncate_object, _flip_byte, _lose_file, _add_file, _link_instead]


@pytest.mark.parametrize("spoil", SPOILINGS, ids=lambda spoil: spoil.__name__.strip("_"))
async def test_a_spoilt_backup_is_refused_with_the_name_of_the_file(
    story: Story, copy: Path, spoil: Callable[[Path], Path]
) -> None:
    path = spoil(copy)
    with pytest.raises(BackupDamaged) as refused:
        await verify(copy, story.house.settings)
    assert str(path) in str(refused.value)
    assert "take another backup" in str(refused.value)


async def test_without_its_manifest_a_folder_is_no_backup_and_with_half_of_it_neither(story: Story, copy: Path) -> None:
    os.truncate(copy / MANIFEST, 1000)
    with pytest.raises(BackupDamaged, match="cut short"):
        await verify(copy, story.house.settings)
    (copy / MANIFEST).unlink()
    with pytest.raises(BackupMissing):
        await verify(copy, story.house.settings)


async def test_a_backup_of_another_installation_is_refused(story: Story, copy: Path) -> None:
    told = json.loads((copy / MANIFEST).read_bytes())
    (copy / MANIFEST).write_text(json.dumps(told | {"system_identifier": "7000000000000000001"}))
    with pytest.raises(BackupForeign, match="another installation"):
        await verify(copy, story.house.settings)
    control = copy / "postgres" / "global" / "pg_control"
    data = control.read_bytes()
    control.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    (copy / MANIFEST).write_text(json.dumps(told))
    with pytest.raises(BackupForeign, match="another installation"):
        await verify(copy, story.house.settings)


@needs_root
@pytest.mark.parametrize("share", [0.02, 0.5, 1.0], ids=["at once", "in the database", "at the end"])
async def test_a_disk_that_fills_up_half_way_is_told_and_leaves_nothing(story: Story, share: float) -> None:
    target = story.house.copies / "small"
    target.mkdir()
    database = [file.bytes for file in story.backup.manifest.files if file.path.startswith("postgres/")]
    pages = int(share * sum(-(-size // 4096) for size in database)) + 20
    mount = ["mount", "-t", "tmpfs", "-o", f"size={4 * pages}k,mode=0711", "tmpfs", str(target)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        target.rmdir()
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        with pytest.raises(BackupTargetFull, match="Make room"):
            await story.house.back_up(target)
        assert list(target.iterdir()) == []
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", str(target)], check=True)
        target.rmdir()


async def test_a_backup_that_was_cut_off_is_not_taken_for_one_and_is_removed_by_the_next(story: Story) -> None:
    target = story.house.copies / "target"
    left = target / "20260101T000000Z-00000000.unfinished"
    left.mkdir(parents=True)
    target.chmod(0o711)
    (left / MANIFEST).write_text("{}")
    assert backups_in(target) == []
    made = await story.house.back_up(target)
    assert [made.folder] == backups_in(target) == list(target.iterdir())


async def test_a_copy_that_does_not_start_is_told_and_leaves_nothing(story: Story, copy: Path) -> None:
    shutil.rmtree(copy / "postgres" / "pg_wal")
    with pytest.raises(RestoreFailed, match="verify the backup"):
        async with scratch_instance(copy / "postgres", story.house.settings, workspace=story.house.copies):
            pass
    assert not list(story.house.copies.glob("scratch-*"))
