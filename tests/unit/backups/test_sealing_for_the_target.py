"""Sealed streams: whole, to the right key, or an error; and the one file that is taken out of a passing archive."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from sealwire.config import Settings
from sealwire.custody.backups.refusals import BackupDamaged, BackupForeign, BackupIdentityMissing
from sealwire.custody.backups.sealing import BackupKey, Measured, backup_key, identity_file, opening_from, sealing_into
from sealwire.custody.backups.target import Target
from sealwire.custody.backups.tarwatch import TarWatch


@pytest.fixture
def key(tmp_path: Path) -> BackupKey:
    return backup_key(Settings(data_dir=tmp_path), may_make=True)


def sealed(data: bytes, key: BackupKey) -> bytes:
    out = io.BytesIO()
    with sealing_into(Measured(out), key) as stream:
        stream.write(data)
    return out.getvalue()


def opened(data: bytes, key: BackupKey) -> bytes:
    with opening_from(io.BytesIO(data), key, name="it") as stream:
        return stream.read()


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_what_is_sealed_opens_again(key: BackupKey, size: int) -> None:
    data = os.urandom(size)
    assert opened(sealed(data, key), key) == data
    assert data[:64] not in sealed(data, key) or size < 2


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_what_is_cut_short_is_damaged(key: BackupKey, keep: float) -> None:
    whole = sealed(os.urandom(300_000), key)
    with pytest.raises(BackupDamaged, match="cut short"):
        opened(whole[: int(len(whole) * keep)], key)


def test_what_was_changed_is_damaged_and_what_is_for_another_is_foreign(key: BackupKey, tmp_path: Path) -> None:
    whole = bytearray(sealed(os.urandom(300_000), key))
    whole[200_000] ^= 1
    with pytest.raises(BackupDamaged):
        opened(bytes(whole), key)
    other = backup_key(Settings(data_dir=tmp_path / "other"), may_make=True)
    with pytest.raises(BackupForeign, match="--identity"):
        opened(sealed(b"x", other), key)


def test_the_identity_is_made_once_closed_to_others_and_never_guessed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(BackupIdentityMissing, match="--identity"):
        backup_key(settings)
    first = backup_key(settings, may_make=True)
    assert identity_file(settings).stat().st_mode & 0o077 == 0
    assert str(backup_key(settings, may_make=True).recipient) == str(first.recipient)
    assert "SECRET" not in repr(first)
    with pytest.raises(BackupIdentityMissing):
        backup_key(settings, file=tmp_path / "nowhere", may_make=True)
    (tmp_path / "bad").write_text("AGE-SECRET-KEY-1NONSENSE")
    with pytest.raises(BackupIdentityMissing):
        backup_key(settings, file=tmp_path / "bad")


def test_an_error_of_the_target_is_what_the_writer_hears(key: BackupKey) -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

    def write_much() -> None:
        with sealing_into(Measured(Full()), key) as stream:
            for _ in range(100):
                stream.write(os.urandom(100_000))

    with pytest.raises(OSError, match="No space left"):
        write_much()


@pytest.mark.parametrize("step", [1, 511, 512, 513, 100_000])
def test_one_file_is_taken_out_of_an_archive_that_passes_by(step: int) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in {"a": b"x" * 700, "dir/backup_manifest": b"no", "backup_manifest": b"yes" * 400}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    watch = TarWatch("backup_manifest")
    for start in range(0, len(archive.getvalue()), step):
        watch.feed(archive.getvalue()[start : start + step])
    assert watch.found == b"yes" * 400


def test_an_archive_without_it_gives_nothing() -> None:
    watch = TarWatch("backup_manifest")
    watch.feed(bytes(1024))
    assert watch.found is None


def test_a_folder_is_a_target_and_a_manifest_goes_first(tmp_path: Path) -> None:
    target = Target.open(str(tmp_path / "t"), Settings(data_dir=tmp_path))
    for name in ("b/a", "b/manifest.json"):
        with target.writing(name) as out:
            out.write(b"12345")
    assert target.sizes("b") == {"b/a": 5, "b/manifest.json": 5}
    assert target.read("b/a") == b"12345"

    def write_half() -> None:
        with target.writing("b/half") as out:
            out.write(b"12345" * 10_000_000)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert "b/half" not in target.sizes("b")
    assert target.remove("b") == 2
    assert target.sizes("b") == {}
