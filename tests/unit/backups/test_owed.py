"""What is made or destroyed and not told yet stays owed to the logs, whenever the process was killed."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import msgspec
from tests.unit.backups.test_manifest import SAMPLE

from sealwire.config import load_settings
from sealwire.custody.backups.ending import destroy_ended
from sealwire.custody.backups.manifest import MANIFEST
from sealwire.custody.backups.owed import DESTROYED, MADE, owe, owed, settle
from sealwire.ground.clock import TestClock

LATER = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def test_what_is_owed_stays_until_it_is_settled(tmp_path: Path) -> None:
    owe(tmp_path, SAMPLE, MADE)
    assert owed(tmp_path, MADE) == [SAMPLE]
    assert owed(tmp_path, DESTROYED) == []
    settle(tmp_path, [SAMPLE], MADE)
    assert owed(tmp_path, MADE) == []


def test_a_backup_that_was_destroyed_and_not_told_is_destroyed_and_told_by_the_next(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    plain = msgspec.structs.replace(SAMPLE, chain="", target="")
    folder = settings.backups_dir / plain.name
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_bytes(plain.encode())
    assert destroy_ended(settings, TestClock(LATER)) == [plain]
    assert not folder.exists()
    assert destroy_ended(settings, TestClock(LATER)) == [plain], "killed before it told: the next one tells"
    settle(settings.backups_dir, [plain], DESTROYED)
    assert destroy_ended(settings, TestClock(LATER)) == []


def test_what_a_kill_left_half_destroyed_is_removed_whole(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    plain = msgspec.structs.replace(SAMPLE, chain="", target="")
    half = settings.backups_dir / f"{plain.name}.unfinished"
    half.mkdir(parents=True)
    (half / "postgres.tar.age").write_bytes(b"what is left")
    owe(settings.backups_dir, plain, DESTROYED)
    assert destroy_ended(settings, TestClock(LATER)) == [plain]
    assert not half.exists()
    shutil.rmtree(settings.backups_dir)
