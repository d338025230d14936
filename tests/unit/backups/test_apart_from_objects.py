"""Backups are refused where the objects lie, at a command and at start, before anything is written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from sealwire.config import Settings
from sealwire.custody.backups.apart import require_apart
from sealwire.custody.backups.refusals import BackupTargetUnusable
from sealwire.custody.backups.take import take
from sealwire.doors.supervisor import Cloud
from sealwire.ground.clock import SystemClock
from sealwire.ground.datafolder import DataFolder


def on_s3(folder: Path, *, backup_target: str = "", backup_endpoint: str = "http://127.0.0.1:8333") -> Settings:
    settings = Settings(
        data_dir=folder,
        objects_endpoint="http://localhost:8333/",
        objects_bucket="sealwire",
        backup_target=backup_target,
    )
    settings.secrets_dir.mkdir(parents=True, exist_ok=True)
    (settings.secrets_dir / "backup-target.json").write_text(json.dumps({"endpoint": backup_endpoint}))
    return settings


@pytest.mark.parametrize("where", ["s3://sealwire", "s3://sealwire/", "s3://sealwire/backups/of/this"])
def test_a_target_in_the_bucket_of_the_objects_is_refused_whatever_its_prefix(tmp_path: Path, where: str) -> None:
    with pytest.raises(BackupTargetUnusable, match="another bucket"):
        require_apart(on_s3(tmp_path), where)


def test_another_bucket_another_service_or_a_folder_is_taken(tmp_path: Path) -> None:
    require_apart(on_s3(tmp_path / "a"), "s3://sealwire-backups/sealwire")
    require_apart(on_s3(tmp_path / "b", backup_endpoint="https://s3.example"), "s3://sealwire/backups")
    require_apart(on_s3(tmp_path / "c"), str(tmp_path / "backups"))
    require_apart(on_s3(tmp_path / "d"))


@pytest.mark.parametrize("below", ["", "backups", "x/../backups"])
def test_a_folder_among_the_objects_is_refused(tmp_path: Path, below: str) -> None:
    settings = Settings(data_dir=tmp_path)
    with pytest.raises(BackupTargetUnusable, match="outside"):
        require_apart(settings, str(settings.objects_dir / below))
    require_apart(settings, str(settings.data_dir / "objects-of-others"))


def test_backup_refuses_before_it_writes_anything(tmp_path: Path) -> None:
    settings = on_s3(tmp_path, backup_target="s3://sealwire/backups")
    with pytest.raises(BackupTargetUnusable, match="backup_target"):
        asyncio.run(take(settings, keeper_epoch=1, effaceability_class="unverified", clock=SystemClock()))
    assert not settings.backups_dir.exists() or not any(settings.backups_dir.iterdir())


def test_the_cloud_does_not_start_with_such_a_target(tmp_path: Path) -> None:
    with DataFolder(Settings(data_dir=tmp_path)):
        settings = on_s3(tmp_path, backup_target="s3://sealwire/backups")
    with pytest.raises(BackupTargetUnusable, match="backup_target"):
        asyncio.run(Cloud(settings).start())
    assert not (tmp_path / "postgres").exists()
