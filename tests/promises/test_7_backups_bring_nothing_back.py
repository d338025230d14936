"""Promise 7: backups exist, can be restored, and cannot bring anything erased back."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from sealwire.custody.backups.drill import drill_records
from sealwire.custody.backups.manifest import MANIFEST, backups_in
from sealwire.custody.backups.opening import DrillOpener
from sealwire.custody.backups.refusals import (
    BackupDamaged,
    RestoreFailed,
)
from sealwire.custody.backups.restore import scratch_instance
from sealwire.custody.backups.sealing import backup_key
from sealwire.custody.backups.unpack import verify_chain
from sealwire.custody.forensics.attacker import attack
from sealwire.custody.forensics.patterns import audio_patterns, number_patterns
from sealwire.custody.forensics.sweep import sweep
from sealwire.vocabulary import AccountId, RecordId
from tests.promises.backup_house import CLOCK, Call, House, Opened, running_house

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Story:
    """Two calls, a backup, copies of the vault with and without its epoch slots; then one call was erased."""

    house: House
    backup: Opened
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
    """A copy of the opened backup, to be spoilt; the database user can reach it."""
    folder = story.house.copies / "spoilt" / story.backup.taken.manifest.name
    folder.parent.mkdir(mode=0o711)
    subprocess.run(["cp", "-a", "--no-target-directory", str(story.backup.folder), str(folder)], check=True)
    yield folder
    shutil.rmtree(folder.parent)


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
    opener = DrillOpener(keeper=house.custody.keeper, sequencer=house.custody.sequencer, clock=CLOCK)
    report = await drill_records(story.backup.folder, story.targets, house.settings, opener=opener)
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
    taken = story.backup.taken
    told = json.loads((taken.folder / MANIFEST).read_bytes())
    assert told["disaster_recoverable"] is False
    assert told["disaster_recovery"] == "not disaster-recoverable: one key holder"
    assert {entry.split(":")[0] for entry in told["left_out"]} >= {"keeper", "evidence", "secrets"}
    assert told["keeper_epoch"] > 0
    keeper = story.house.settings.keeper_dir
    secrets = [path.read_bytes() for path in (keeper / "root.key", story.snapshot / "epoch.slots")]
    files = [
        path.read_bytes()
        for folder in (taken.folder, story.backup.folder) for path in folder.rglob("*") if path.is_file()
    ]  # fmt: skip
    assert len(files) > 500
    assert not any(secret[:32] in file for secret in secrets for file in files)


async def test_a_whole_backup_verifies(story: Story) -> None:
    settings, taken = story.house.settings, story.backup.taken
    verified = verify_chain(str(taken.folder), settings, backup_key(settings))
    assert verified.chain.members == [taken.manifest]
    assert verified.chain.contents().logs[0].account == str(story.house.account)
    assert backups_in(settings.backups_dir) == [taken.folder]


async def test_a_copy_without_seal_is_not_taken_for_a_backup(story: Story, copy: Path) -> None:
    plain = msgspec.structs.replace(story.backup.taken.manifest, chain="")
    (copy / MANIFEST).write_bytes(plain.encode())
    with pytest.raises(BackupDamaged, match="plain copy"):
        verify_chain(str(copy), story.house.settings, backup_key(story.house.settings))


async def test_a_copy_that_does_not_start_is_told_and_leaves_nothing(story: Story, copy: Path) -> None:
    shutil.rmtree(copy / "postgres" / "pg_wal")
    with pytest.raises(RestoreFailed, match="verify the backup"):
        async with scratch_instance(copy / "postgres", story.house.settings, workspace=story.house.copies):
            pass
    assert not list(story.house.copies.glob("scratch-*"))
