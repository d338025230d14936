"""Making a backup: whole or not at all.

(1) a folder with an unfinished name is made in the target, and what an interrupted backup left there is removed;
(2) the heads of all logs are read: the copy of the database that follows is at least as far;
(3) pg_basebackup copies the database, with its own SHA-256 manifest;
(4) the objects are copied: whatever a row in (3) names is there, unless it was erased meanwhile;
(5) every file is read back and hashed, and manifest.json is written last;
(6) the folder gets its name. A crash before (6) leaves nothing that could be taken for a backup.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import errno
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

import sealwire
from sealwire.config import Settings
from sealwire.custody.backups import manifest as papers
from sealwire.custody.backups.refusals import BackupFailed, BackupTargetFull, BackupTargetUnusable
from sealwire.custody.keys.files import sync_folder
from sealwire.custody.keys.holding.recoverable import recoverability
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.cluster import OWNER, Cluster
from sealwire.ground.postgres.passwords import read_passwords, socket_folder
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.service_user import first_closed_folder
from sealwire.vocabulary import AccountId

_UNFINISHED = ".unfinished"
_UNFINISHED_OBJECT = re.compile(r".+#\d+")  # the object store's name for an object that is still being written
_queries = load_queries(__package__)


@dataclass(frozen=True, slots=True)
class MadeBackup:
    """A whole backup and how long it took."""

    folder: Path
    manifest: papers.Manifest
    seconds: float


async def make(
    settings: Settings, *, keeper_epoch: int, effaceability_class: str, clock: Clock, target: Path | None = None
) -> MadeBackup:
    """Back up the running database and the objects into a new folder below `target`, by default `backups_dir`.

    BackupTargetFull, BackupTargetUnusable or BackupFailed; then nothing of it is left.
    """
    started, cluster, made_at = clock.monotonic_s(), Cluster(settings), clock.now()
    target = target or settings.backups_dir
    _prepare_target(target, settings, cluster)
    name = f"{made_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"
    async with _unfinished_folder(target / (name + _UNFINISHED), cluster) as folder:  # (1)
        heads, identifier = await _read_heads(cluster)  # (2)
        await asyncio.to_thread(_copy_database, folder, settings, cluster)  # (3)
        objects = await asyncio.to_thread(_copy_objects, settings.objects_dir, folder / papers.OBJECTS)  # (4)
        files = await asyncio.to_thread(_hash_database, folder)  # (5)
        recoverable = recoverability(settings.keeper_dir)
        manifest = papers.Manifest(
            version=papers.VERSION,
            backup=f"bkp_{name}",
            made_at=rfc3339(made_at),
            product_version=sealwire.__version__,
            postgres_version=cluster.programs.version,
            system_identifier=identifier,
            keeper_epoch=keeper_epoch,
            effaceability_class=effaceability_class,
            disaster_recoverable=recoverable.is_recoverable,
            disaster_recovery=recoverable.sentence,
            cycle_ends_on=made_at.astimezone(dt.UTC).date() + dt.timedelta(days=settings.backup_cycle_days),
            logs=heads,
            left_out=list(papers.LEFT_OUT),
            files=[*files, *objects],
        )
        await asyncio.to_thread(_finish, folder, manifest, target / name)  # (6)
    return MadeBackup(target / name, manifest, clock.monotonic_s() - started)


def backups_in(target: Path) -> list[Path]:
    """Whole backups, oldest first."""
    return sorted(file.parent for file in target.glob(f"*/{papers.MANIFEST}") if not _is_unfinished(file.parent))


def remove_ended(target: Path, *, clock: Clock) -> list[Path]:
    """Remove the backups whose cycle has ended: what was erased before it began is now gone from backups."""
    ended = [folder for folder in backups_in(target) if _has_ended(folder, clock.now().date())]
    for folder in ended:
        doomed = folder.with_name(folder.name + _UNFINISHED)
        folder.rename(doomed)
        shutil.rmtree(doomed)
    return ended


def _has_ended(folder: Path, today: dt.date) -> bool:
    """A backup whose manifest cannot be read stays, and keeps no other from being removed; `verify` tells of it."""
    try:
        return papers.read_manifest(folder).cycle_ends_on < today
    except SealwireError as error:
        diagnostics.event("backup.manifest-unreadable", folder=folder.name, reason=error.code())
        return False


def _is_unfinished(folder: Path) -> bool:
    return folder.name.endswith(_UNFINISHED)


def _prepare_target(target: Path, settings: Settings, cluster: Cluster) -> None:
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        if cluster.user.is_other and target == settings.backups_dir:
            os.chown(target, os.getuid(), cluster.user.gid)
            target.chmod(0o710)
        for left in target.glob("*" + _UNFINISHED):  # (1)
            shutil.rmtree(left)
    except OSError as error:
        raise BackupTargetUnusable(f"{target} cannot be written to: {error.strerror}; choose another folder") from None
    if (closed := first_closed_folder(target, cluster.user)) is not None:
        raise BackupTargetUnusable(
            f"the database runs as user {cluster.user.name}, which cannot enter {closed}; "
            "let it in, or choose another folder"
        )


@asynccontextmanager
async def _unfinished_folder(folder: Path, cluster: Cluster) -> AsyncIterator[Path]:
    """A folder that is gone afterwards unless it got another name; a full disk is told as that."""
    try:
        _make_folders(folder, cluster)
        yield folder
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BackupTargetFull(
                f"{folder.parent} is full; the half that was written was removed. Make room, then try again"
            ) from None
        raise BackupFailed(f"the backup was not written ({error.strerror}); what there was is removed") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_folders(folder: Path, cluster: Cluster) -> None:
    folder.mkdir(mode=0o710)
    (folder / papers.POSTGRES).mkdir(mode=0o700)
    (folder / papers.OBJECTS).mkdir(mode=0o700)
    if cluster.user.is_other:
        os.chown(folder, os.getuid(), cluster.user.gid)
        os.chown(folder / papers.POSTGRES, cluster.user.uid, cluster.user.gid)


async def _read_heads(cluster: Cluster) -> tuple[list[papers.LogHead], str]:
    try:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(cluster.dsn())
    except (OSError, asyncpg.PostgresError):
        raise BackupFailed("the database does not answer, so nothing was backed up: run bin/sealwire up") from None
    try:
        rows = await connection.fetch(_queries.log_heads)
        identifier = await connection.fetchval(_queries.system_identifier)
    finally:
        await connection.close()
    heads = [
        papers.LogHead(_account(row["account_id"]), row["origin"], row["size"], base64.b64encode(row["root"]).decode())
        for row in rows
    ]
    return heads, str(identifier)


def _account(value: UUID) -> str:
    return str(AccountId(value))


def _copy_database(folder: Path, settings: Settings, cluster: Cluster) -> None:
    """The password goes through a file that only the database user reads: an argument would be seen by everybody."""
    password_file = folder / ".pgpass"
    password_file.touch(mode=0o600)
    password_file.write_text(f"*:*:*:{OWNER}:{read_passwords(settings)[OWNER]}\n")
    if cluster.user.is_other:
        os.chown(password_file, cluster.user.uid, cluster.user.gid)
    where = f"host='{socket_folder(settings)}' port=5432 user={OWNER} passfile='{password_file}'"
    try:
        done = cluster.run(
            "pg_basebackup", "-d", where, "-w", "-D", folder / papers.POSTGRES, "-F", "plain", "-X", "stream",
            "--checkpoint=fast", "--manifest-checksums=SHA256", "--no-estimate-size",
        )  # fmt: skip
    finally:
        password_file.unlink()
    if done.returncode != 0:
        reasons = [line for line in done.stderr.decode(errors="replace").splitlines() if "error" in line]
        if any("No space left" in reason or "Disk quota exceeded" in reason for reason in reasons):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        reason = reasons[0].removeprefix("pg_basebackup: ") if reasons else f"exit code {done.returncode}"
        raise BackupFailed(f"the database could not be copied: {reason}; what was written was removed")


def _copy_objects(source: Path, target: Path) -> list[papers.BackedUpFile]:
    copied = []
    for path in papers.files_below(source):
        if _UNFINISHED_OBJECT.fullmatch(path.name) or path.is_symlink():
            continue
        name = path.relative_to(source)
        (target / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            size, digest = papers.hashed(path, copy_to=target / name)
        except FileNotFoundError:
            continue  # erased since the folder was listed
        copied.append(papers.BackedUpFile(f"{papers.OBJECTS}/{name}", size, digest))
    return copied


def _hash_database(folder: Path) -> list[papers.BackedUpFile]:
    found = []
    for path in papers.files_below(folder / papers.POSTGRES):
        size, digest = papers.hashed(path)
        found.append(papers.BackedUpFile(str(path.relative_to(folder)), size, digest))
    return found


def _finish(folder: Path, manifest: papers.Manifest, final: Path) -> None:
    file = folder / papers.MANIFEST
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(manifest.encode())
        stream.flush()
        os.fsync(stream.fileno())
    for directory in (folder / papers.OBJECTS, folder):
        sync_folder(directory)
    folder.rename(final)
    sync_folder(final.parent)
