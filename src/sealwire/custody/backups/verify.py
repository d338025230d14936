"""Verifying a backup: every byte of it is what was made, nothing is missing, nothing was added.

(1) manifest.json is there and whole: a half-made backup has none;
(2) the backup is of this installation (the cluster's own identifier), in manifest and database alike;
(3) every file has the size and SHA-256 of the manifest, none is missing, none is extra, none is a link;
(4) PostgreSQL itself agrees (pg_verifybackup: its own manifest, and the write-ahead log needed to start).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from sealwire.config import Settings
from sealwire.custody.backups.manifest import (
    MANIFEST,
    POSTGRES,
    BackedUpFile,
    Manifest,
    files_below,
    hashed,
    read_manifest,
    system_identifier,
)
from sealwire.custody.backups.refusals import BackupDamaged, BackupForeign
from sealwire.ground.postgres.cluster import Cluster

_WAY_OUT = "do not restore it; take another backup, and make a new one now"


@dataclass(frozen=True, slots=True)
class VerifiedBackup:
    """A backup that is whole, and how long that took to see."""

    folder: Path
    manifest: Manifest
    seconds: float


async def verify(folder: Path, settings: Settings) -> VerifiedBackup:
    """Check a backup against itself and against the installation it is for.

    BackupMissing, BackupForeign or BackupDamaged, each naming the file and what to do.
    """
    started = time.perf_counter()
    manifest = read_manifest(folder)  # (1)
    _require_ours(folder, manifest, settings)  # (2)
    await asyncio.to_thread(_require_files, folder, manifest)  # (3)
    await asyncio.to_thread(_require_postgres_agrees, folder, Cluster(settings))  # (4)
    return VerifiedBackup(folder, manifest, time.perf_counter() - started)


def _require_ours(folder: Path, manifest: Manifest, settings: Settings) -> None:
    ours = system_identifier(settings.postgres_dir)
    if ours is not None and manifest.system_identifier != ours:
        raise BackupForeign(
            f"{folder} is a backup of another installation (database {manifest.system_identifier}, here {ours}); "
            "use it with the data folder it was made from"
        )
    inside = system_identifier(folder / POSTGRES)
    if inside is not None and inside != manifest.system_identifier:
        raise BackupForeign(
            f"{folder / POSTGRES} is the database of another installation than {MANIFEST} says; {_WAY_OUT}"
        )


def _require_files(folder: Path, manifest: Manifest) -> None:
    listed = {file.path: file for file in manifest.files}
    found = {str(path.relative_to(folder)) for path in files_below(folder)} - {MANIFEST}
    if missing := sorted(set(listed) - found):
        raise BackupDamaged(f"{folder / missing[0]} is missing ({len(missing)} in all); {_WAY_OUT}")
    if extra := sorted(found - set(listed)):
        raise BackupDamaged(f"{folder / extra[0]} does not belong to this backup ({len(extra)} in all); {_WAY_OUT}")
    for file in manifest.files:
        _require_file(folder / file.path, file)


def _require_file(path: Path, file: BackedUpFile) -> None:
    if path.is_symlink():
        raise BackupDamaged(f"{path} is a link and not the file that was backed up; {_WAY_OUT}")
    try:
        size, digest = hashed(path)
    except OSError as error:
        raise BackupDamaged(f"{path} cannot be read ({error.strerror}); {_WAY_OUT}") from None
    if size != file.bytes:
        how = "cut short" if size < file.bytes else "longer than it was"
        raise BackupDamaged(f"{path} is {how}: {size} bytes, not {file.bytes}; {_WAY_OUT}")
    if digest != file.sha256:
        raise BackupDamaged(f"{path} was changed since the backup was made; {_WAY_OUT}")


def _require_postgres_agrees(folder: Path, cluster: Cluster) -> None:
    done = cluster.run("pg_verifybackup", "--quiet", "--exit-on-error", folder / POSTGRES)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[0].removeprefix("pg_verifybackup: error: ") if lines else f"exit code {done.returncode}"
        raise BackupDamaged(f"{folder / POSTGRES}: {reason}; {_WAY_OUT}")
