"""A manifest says what it must, reads back as it was written, and is refused when it is not whole."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import msgspec
import pytest

from sealwire.config import Settings
from sealwire.custody.backups.ending import destroy_ended
from sealwire.custody.backups.manifest import (
    LEFT_OUT,
    MANIFEST,
    NOT_RECOVERABLE,
    VERSION,
    BackedUpFile,
    LogHead,
    Manifest,
    backups_in,
    files_below,
    hashed,
    read_manifest,
    system_identifier,
)
from sealwire.custody.backups.refusals import BackupDamaged, BackupMissing
from sealwire.ground.clock import TestClock

SAMPLE = Manifest(
    version=VERSION,
    backup="bkp_20261123T120000Z-00000000",
    made_at="2026-11-23T12:00:00.000Z",
    product_version="0.1.0",
    postgres_version="18.6.3",
    system_identifier="7412345678901234567",
    keeper_epoch=7,
    effaceability_class="unverified",
    disaster_recoverable=False,
    disaster_recovery=NOT_RECOVERABLE,
    cycle_ends_on=dt.date(2026, 12, 21),
    logs=[LogHead("acc_" + "0" * 32, "sealwire.local/log/0", 3, "AAAA")],
    left_out=list(LEFT_OUT),
    files=[BackedUpFile("objects/a/b", 3, hashlib.sha256(b"abc").hexdigest())],
)


def write(folder: Path, manifest: Manifest) -> Path:
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_bytes(manifest.encode())
    return folder


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_manifest(write(tmp_path / "whole", SAMPLE)) == SAMPLE


def test_a_manifest_cut_anywhere_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "cut", SAMPLE)
    whole = SAMPLE.encode().rstrip()
    for length in range(0, len(whole), 7):
        (folder / MANIFEST).write_bytes(whole[:length])
        with pytest.raises(BackupDamaged, match="take another backup"):
            read_manifest(folder)


def test_no_manifest_is_no_backup_and_a_newer_one_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(BackupMissing, match="written last"):
        read_manifest(tmp_path)
    newer = msgspec.structs.replace(SAMPLE, version=VERSION + 1)
    with pytest.raises(BackupDamaged, match="newer version"):
        read_manifest(write(tmp_path / "newer", newer))


def test_a_file_is_hashed_whole(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"x" * 3_000_000)
    assert hashed(source) == (3_000_000, hashlib.sha256(b"x" * 3_000_000).hexdigest())


def test_links_are_listed_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").touch()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file").touch()
    (inside / "link").symlink_to(tmp_path / "outside")
    assert {path.name for path in files_below(inside)} == {"file", "link"}


def test_what_is_no_database_has_no_identifier(tmp_path: Path) -> None:
    assert system_identifier(tmp_path) is None
    (tmp_path / "global").mkdir()
    (tmp_path / "global" / "pg_control").write_bytes((1 << 62).to_bytes(8, "little") + bytes(100))
    assert system_identifier(tmp_path) == str(1 << 62)


def test_backups_are_destroyed_when_their_cycle_has_ended_and_not_before(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    old = write(settings.backups_dir / "1", SAMPLE)
    new = write(settings.backups_dir / "2", msgspec.structs.replace(SAMPLE, cycle_ends_on=dt.date(2026, 12, 22)))
    write(settings.backups_dir / "3.unfinished", SAMPLE)
    assert backups_in(settings.backups_dir) == [old, new]
    clock = TestClock(dt.datetime(2026, 12, 21, 23, 59, tzinfo=dt.UTC))
    assert destroy_ended(settings, clock) == []
    clock.advance(minutes=2)
    assert destroy_ended(settings, clock) == [SAMPLE]
    assert backups_in(settings.backups_dir) == [new]
