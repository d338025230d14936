"""Putting a backup back into a data folder. What was put back is served by nobody before the gate (`gate`) let it.

(1) the folder holds no database and no objects, and no cloud runs on it;
(2) the chain is looked through (`unpack`): nothing is laid out of a backup that is cut short, changed or foreign;
(3) it is unpacked beside its place;
(4) keeper, evidence and secrets are moved here when they are in another folder: moved, never copied, because a copy of
    the keeper opens what is erased after it was made;
(5) `restore.pending` is written: from here on the gate stands;
(6) the objects and then the database get their place; every backup at the target is known here again.

A crash before (5) leaves a folder without a database. A crash after it: run the same again, or remove the folder.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import obstore

from sealwire.config import Settings
from sealwire.custody.backups import manifest as papers
from sealwire.custody.backups.gate import Pending, mark_pending, pending
from sealwire.custody.backups.refusals import RestoreOccupied
from sealwire.custody.backups.sealing import backup_key, identity_file
from sealwire.custody.backups.unpack import Chain, unpack, verify_chain
from sealwire.custody.keys.files import create_durably, sync_folder
from sealwire.errors import SealwireError
from sealwire.evidence.crash import crash_point
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import Cluster

_LIVING = ("keeper", "evidence", "secrets")
_WORKSPACE = "restore.unfinished"


@dataclass(frozen=True, slots=True)
class PutBack:
    """What was put back, and how long it took. It still has to pass the gate."""

    manifest: papers.Manifest
    members: int
    objects: int
    seconds: float


async def put_back(
    source: str, settings: Settings, *, clock: Clock, living: Path | None = None, identity: Path | None = None
) -> PutBack:
    """Put the backup at `source` into the data folder of `settings`.

    `living` is the data folder whose keeper, evidence and secrets go on; `identity` a file with the backup identity.
    RestoreOccupied, BackupMissing, BackupForeign, BackupDamaged or BackupIdentityMissing: then nothing was put back.
    """
    started = time.perf_counter()
    _require_room(settings)  # (1)
    _require_stopped(living)
    secrets = living / "secrets" if living is not None else settings.secrets_dir
    key = backup_key(settings, file=identity or secrets / identity_file(settings).name)
    checked = await asyncio.to_thread(verify_chain, source, settings, key)  # (2)
    with DataFolder(settings):
        return await asyncio.to_thread(_lay_out, checked.chain, settings, living, clock, started)


def _lay_out(chain: Chain, settings: Settings, living: Path | None, clock: Clock, started: float) -> PutBack:
    cluster, workspace = Cluster(settings), settings.data_dir / _WORKSPACE
    shutil.rmtree(workspace, ignore_errors=True)
    workspace.mkdir(mode=0o710)
    if cluster.user.is_other:
        os.chown(workspace, cluster.user.uid, cluster.user.gid)
        os.chown(settings.data_dir, os.getuid(), cluster.user.gid)
        settings.data_dir.chmod(0o710)
    try:
        contents = unpack(chain, workspace, settings)  # (3)
        crash_point("restore-unpacked")
        for name in _LIVING if living is not None else ():  # (4)
            _move_living(living / name, settings.data_dir / name)  # type: ignore[operator]
        last = chain.last
        mark_pending(settings, Pending(last.backup, last.made_at, last.keeper_epoch, rfc3339(clock.now())))  # (5)
        crash_point("restore-marked")
        _place_objects(workspace / papers.OBJECTS, settings)  # (6)
        crash_point("restore-objects")
        if settings.postgres_dir.exists():
            settings.postgres_dir.rmdir()
        (workspace / papers.POSTGRES).rename(settings.postgres_dir)
        sync_folder(settings.data_dir)
        _know_again(chain, settings)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
    diagnostics.event("restore.put-back", backup=chain.last.backup, members=len(chain.members))
    return PutBack(chain.last, len(chain.members), len(contents.objects), time.perf_counter() - started)


def _require_room(settings: Settings) -> None:
    """A folder with a database, or objects that no restore left, is not written over."""
    for folder in (settings.postgres_dir, settings.objects_dir):
        is_ours = folder == settings.objects_dir and pending(settings) is not None
        if not is_ours and folder.exists() and any(folder.iterdir()):
            raise RestoreOccupied(
                f"{folder} is not empty; restore into an empty folder (--data DIR), or move {folder} away first"
            )


def _require_stopped(living: Path | None) -> None:
    """DataFolderInUse while a cloud runs on the folder whose keeper is to move."""
    if living is not None:
        with DataFolder(Settings(data_dir=living.resolve())):
            pass


def _move_living(source: Path, place: Path) -> None:
    if not source.exists() or not any(source.iterdir()):
        return
    if place.exists() and any(place.iterdir()):
        raise RestoreOccupied(f"{place} is not empty, so {source} was not moved there; nothing was put back")
    if place.exists():
        place.rmdir()
    if source.stat().st_dev != place.parent.stat().st_dev:
        raise RestoreOccupied(
            f"{source} is on another file system than {place.parent}: the keeper is moved and never copied; choose a "
            "folder on the same one"
        )
    source.rename(place)
    sync_folder(place.parent)


def _place_objects(source: Path, settings: Settings) -> None:
    """Into the folder, or into the S3 service that the settings name."""
    objects = Objects.of(settings)
    for path in papers.files_below(source):
        name = path.relative_to(source)
        if not settings.objects_endpoint:
            (settings.objects_dir / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.replace(settings.objects_dir / name)
        else:
            obstore.put(objects.store, str(name), path)


def _know_again(chain: Chain, settings: Settings) -> None:
    """Every whole backup at the target is known here: what is in one of them is not gone from backups."""
    for name in chain.target.sizes(""):
        folder, _, file = name.rpartition("/")
        if file != papers.MANIFEST or not folder:
            continue
        try:
            manifest = papers.decoded(chain.target.read(name), name=name)
        except SealwireError as error:
            diagnostics.failure("restore.backup-unread", error, backup=folder)
            continue
        place = settings.backups_dir / folder
        if not (place / papers.MANIFEST).exists():
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            told = msgspec.structs.replace(manifest, target=chain.target.where)  # its authenticator leaves that out
            create_durably(place / papers.MANIFEST, told.encode())
