"""Taking a sealed backup: a base or an increment of the chain there is; whole or not at all.

(1) what an interrupted backup left is removed, here and at the target; a folder with an unfinished name says where
    the new one goes;
(2) the chain that is continued is chosen: the last one at this target, while it is young enough and PostgreSQL still
    has the summaries of what changed; else a new base is made;
(3) write-ahead log is held, and the heads of all logs are read: the copy that follows is at least as far;
(4) PostgreSQL's own pg_basebackup streams the database, sealed on the way; its manifest is sealed beside it;
(5) the objects that no backup of this chain holds are packed, sealed on the way: whatever a row in (4) names is there;
(6) the sealed contents (heads, objects) and then manifest.json go to the target, the manifest last;
(7) the folder here gets its name; each account's log is told, if need be by whoever comes next (`owed`). A crash
    before (7) leaves nothing that counts.

All backups of a chain end on the day its base ends: an increment is nothing without it.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import errno
import fcntl
import os
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import asyncpg
import msgspec

import sealwire
from sealwire.config import Settings
from sealwire.custody.backups import manifest as papers
from sealwire.custody.backups.apart import require_apart
from sealwire.custody.backups.chain import continued, header_of
from sealwire.custody.backups.owed import MADE, owe, owed, settle
from sealwire.custody.backups.packing import object_names, pack_object
from sealwire.custody.backups.refusals import BackupFailed, BackupTargetFull, BackupUnderWay
from sealwire.custody.backups.sealing import BackupKey, backup_key, opening_from, sealing_into
from sealwire.custody.backups.target import READ_BYTES, Target
from sealwire.custody.backups.tarwatch import TarWatch
from sealwire.custody.backups.telling import connected, tell_logs
from sealwire.custody.keys.files import create_durably, sync_folder
from sealwire.custody.keys.holding.recoverable import recoverability
from sealwire.errors import SealwireError
from sealwire.evidence.crash import crash_point
from sealwire.evidence.leaves import LeafClass
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import OWNER, Cluster
from sealwire.ground.postgres.passwords import read_passwords, socket_folder
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId

DATABASE_FILE, DATABASE_MANIFEST, CONTENTS = "postgres.tar.age", "postgres-manifest.age", "contents.age"
PACK_BYTES = 1 << 30
_queries = load_queries(__package__)


@dataclass(frozen=True, slots=True)
class TakenBackup:
    """A whole sealed backup, where its manifest lies here, and how long it took."""

    folder: Path
    manifest: papers.Manifest
    seconds: float


@dataclass(slots=True)
class _Taking:
    """What is known while a backup is being made."""

    settings: Settings
    cluster: Cluster
    target: Target
    key: BackupKey
    name: str
    made_at: dt.datetime
    chain: list[papers.Manifest]
    files: list[papers.BackedUpFile]
    content_bytes: int = 0

    @property
    def base(self) -> str:
        return self.chain[0].name if self.chain else self.name

    @contextmanager
    def sealed(self, file: str) -> Iterator[IO[bytes]]:
        """A file of this backup: what is written goes out sealed, and is listed with its size and hash."""
        with self.target.writing(f"{self.name}/{file}") as measured, sealing_into(measured, self.key) as stream:
            yield stream
        self.files.append(papers.BackedUpFile(file, measured.bytes, measured.sha256))


async def take(
    settings: Settings,
    *,
    keeper_epoch: int,
    effaceability_class: str,
    clock: Clock,
    target: str | None = None,
    wants_base: bool = False,
) -> TakenBackup:
    """Back up the running cloud to its target, by default the folder `backups` of the data.

    BackupTargetFull, BackupTargetUnusable, BackupUnderWay or BackupFailed; then nothing of it is left that could be
    taken for one.
    """
    started = clock.monotonic_s()
    with _alone(settings):
        await _tell_what_is_owed(settings, clock)
        final, manifest = await _make(
            settings, clock.now(), target, wants_base=wants_base, keeper_epoch=keeper_epoch,
            effaceability_class=effaceability_class,
        )  # fmt: skip
        await _tell_what_is_owed(settings, clock)
    diagnostics.event("backup.made", backup=manifest.backup, chain=manifest.chain, bytes=manifest.total_bytes)
    return TakenBackup(final, manifest, clock.monotonic_s() - started)


async def _tell_what_is_owed(settings: Settings, clock: Clock) -> None:
    """Each account's log is told of every whole backup that it was not told of yet, also by one that was killed."""
    notes = await asyncio.to_thread(owed, settings.backups_dir, MADE)
    whole = [told for told in notes if (settings.backups_dir / told.name / papers.MANIFEST).exists()]
    if whole:
        await tell_logs(Cluster(settings), LeafClass.BACKUP_MADE, whole, clock)
    await asyncio.to_thread(settle, settings.backups_dir, notes, MADE)


async def _make(
    settings: Settings,
    made_at: dt.datetime,
    target: str | None,
    *,
    wants_base: bool,
    keeper_epoch: int,
    effaceability_class: str,
) -> tuple[Path, papers.Manifest]:
    where, cluster = target or settings.backup_target or str(settings.backups_dir), Cluster(settings)
    require_apart(settings, where)
    key = backup_key(settings, may_make=True)
    await asyncio.to_thread(remove_unfinished, settings)  # (1)
    name = _named(settings, made_at)
    chain = [] if wants_base else continued(settings, where=where, key=key, now=made_at)  # (2)
    place = await asyncio.to_thread(Target.open, where, settings)
    taking = _Taking(settings, cluster, place, key, name, made_at, chain, [])
    here = settings.backups_dir / (name + papers.UNFINISHED)
    with _whole_or_nothing(taking, here):
        try:
            manifest = await _fill(taking, keeper_epoch, effaceability_class)
        except _NoSummaries:
            diagnostics.event("backup.base-instead", reason="no summaries reach back to the last backup")
            await asyncio.to_thread(place.remove, name)
            taking = replace(taking, chain=[], files=[], content_bytes=0)
            manifest = await _fill(taking, keeper_epoch, effaceability_class)
        crash_point("backup-told-target")
        return await asyncio.to_thread(_name, here, manifest), manifest  # (7)


def _named(settings: Settings, made_at: dt.datetime) -> str:
    """A name that sorts after every backup made before, two of one second included: the newest is told by name."""
    second = f"{made_at:%Y%m%dT%H%M%SZ}"
    earlier = sum(1 for _ in settings.backups_dir.glob(f"{second}-*"))
    return f"{second}-{earlier:02x}{secrets.token_hex(3)}"


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One backup at a time: each removes what it takes for the leavings of another."""
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(settings.run_dir / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BackupUnderWay from None
    try:
        yield
    finally:
        os.close(descriptor)


async def _fill(taking: _Taking, keeper_epoch: int, effaceability_class: str) -> papers.Manifest:
    connection = await connected(taking.cluster)
    try:
        await connection.execute(_queries.hold_wal, f"backup_{secrets.token_hex(4)}")  # (3)
        heads = [
            papers.LogHead(
                str(AccountId(row["account_id"])), row["origin"], row["size"], base64.b64encode(row["root"]).decode()
            )
            for row in await connection.fetch(_queries.log_heads)
        ]
        identifier = await connection.fetchval(_queries.system_identifier)
        await asyncio.to_thread(_seal_database, taking)  # (4)
        crash_point("backup-database")
    except asyncpg.PostgresError as error:
        raise BackupFailed(f"the database did not answer ({type(error).__name__}); nothing was backed up") from None
    finally:
        await connection.close()
    objects = await asyncio.to_thread(_seal_objects, taking)  # (5)
    crash_point("backup-objects")
    return await asyncio.to_thread(
        _finish, taking, papers.Contents(logs=heads, objects=objects), identifier=identifier,
        keeper_epoch=keeper_epoch, effaceability_class=effaceability_class,
    )  # fmt: skip


def _finish(
    taking: _Taking,
    contents: papers.Contents,
    *,
    identifier: str,
    keeper_epoch: int,
    effaceability_class: str,
) -> papers.Manifest:
    """Step (6)."""
    with taking.sealed(CONTENTS) as stream:
        stream.write(msgspec.json.encode(contents))
    crash_point("backup-contents")
    ends_on = taking.made_at.astimezone(dt.UTC).date() + dt.timedelta(days=taking.settings.backup_cycle_days)
    recoverable = recoverability(taking.settings.keeper_dir)
    manifest = papers.Manifest(
        version=papers.VERSION, backup=f"bkp_{taking.name}", made_at=rfc3339(taking.made_at),
        product_version=sealwire.__version__, postgres_version=taking.cluster.programs.version,
        system_identifier=identifier, keeper_epoch=keeper_epoch, effaceability_class=effaceability_class,
        disaster_recoverable=recoverable.is_recoverable, disaster_recovery=recoverable.sentence,
        cycle_ends_on=taking.chain[0].cycle_ends_on if taking.chain else ends_on, logs=[],
        left_out=list(papers.LEFT_OUT), files=sorted(taking.files, key=lambda file: file.path), chain=taking.base,
        after=taking.chain[-1].name if taking.chain else "", sealed_to=str(taking.key.recipient),
        target=taking.target.where, content_bytes=taking.content_bytes,
    )  # fmt: skip
    manifest = msgspec.structs.replace(manifest, authenticator=taking.key.authenticator(header_of(manifest)))
    owe(taking.settings.backups_dir, manifest, MADE)  # before it can count: the target may be that very folder
    with taking.target.writing(f"{taking.name}/{papers.MANIFEST}") as stream:
        stream.write(manifest.encode())
    return manifest


class _NoSummaries(Exception):
    """PostgreSQL cannot say what changed since the last backup."""


def _seal_database(taking: _Taking) -> None:
    watch = TarWatch("backup_manifest")
    with _programs_files(taking) as (where, since), taking.sealed(DATABASE_FILE) as out:
        arguments: list[str | Path] = [
            "-d", where, "-w", "-D", "-", "-F", "tar", "-X", "fetch", "--checkpoint=fast",
            "--manifest-checksums=SHA256", "--no-estimate-size",
        ]  # fmt: skip
        if since is not None:
            arguments.append(f"--incremental={since}")
        with taking.cluster.begin("pg_basebackup", *arguments) as process:
            try:
                _pump(process, out, watch, taking)
            except BaseException:
                process.kill()
                raise
        _require_success(process)
    if (manifest := watch.found) is None:
        raise BackupFailed("PostgreSQL wrote no manifest, so the backup was not made; try again")
    with taking.sealed(DATABASE_MANIFEST) as out:
        out.write(manifest)


def _pump(process: subprocess.Popen[bytes], out: IO[bytes], watch: TarWatch, taking: _Taking) -> None:
    assert process.stdout is not None
    is_first = True
    while piece := process.stdout.read(READ_BYTES):
        watch.feed(piece)
        out.write(piece)
        taking.content_bytes += len(piece)
        if is_first:
            crash_point("backup-half-database", out.flush)
            is_first = False


def _require_success(process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None
    if process.wait() == 0:
        return
    told = [line for line in process.stderr.read().decode(errors="replace").splitlines() if "error" in line]
    reason = told[0].removeprefix("pg_basebackup: ") if told else f"exit code {process.returncode}"
    if "WAL summar" in reason or "incremental" in reason or "manifest" in reason:
        raise _NoSummaries
    raise BackupFailed(f"the database could not be copied: {reason}; what was written was removed")


@contextmanager
def _programs_files(taking: _Taking) -> Iterator[tuple[str, Path | None]]:
    """How pg_basebackup connects, and the manifest of the backup it continues: both where its user can read."""
    folder, user = socket_folder(taking.settings), taking.cluster.user
    password, since = folder / f"{taking.name}.pass", folder / f"{taking.name}.manifest"
    secret = read_passwords(taking.settings)[OWNER]
    contents = {password: f"*:*:*:{OWNER}:{secret}\n".encode()}
    if taking.chain:
        last = f"{taking.chain[-1].name}/{DATABASE_MANIFEST}"
        with taking.target.reading(last) as sealed, opening_from(sealed, taking.key, name=last) as stream:
            contents[since] = stream.read()
    try:
        for path, content in contents.items():
            path.touch(mode=0o600)
            path.write_bytes(content)
            if user.is_other:
                os.chown(path, user.uid, user.gid)
        where = f"host='{folder}' port=5432 user={OWNER} passfile='{password}'"
        yield where, since if taking.chain else None
    finally:
        for path in (password, since):
            path.unlink(missing_ok=True)


def _seal_objects(taking: _Taking) -> list[papers.BackedUpObject]:
    held = {held.name for member in taking.chain for held in contents_of(taking.target, member, taking.key).objects}
    objects = Objects.of(taking.settings)
    new = (name for name in object_names(objects) if name not in held)
    packed: list[papers.BackedUpObject] = []
    name, number = next(new, None), 0
    while name is not None:
        number, room = number + 1, PACK_BYTES
        pack = f"objects-{number:05d}.tar.age"
        with taking.sealed(pack) as out, tarfile.open(fileobj=out, mode="w|", bufsize=READ_BYTES) as archive:
            while name is not None and room > 0:
                if (one := pack_object(archive, name, objects, pack)) is not None:
                    packed.append(one)
                    room -= one.bytes
                    taking.content_bytes += one.bytes
                name = next(new, None)
    return packed


def contents_of(target: Target, manifest: papers.Manifest, key: BackupKey) -> papers.Contents:
    """What a sealed backup holds; BackupForeign or BackupDamaged when it does not open."""
    name = f"{manifest.name}/{CONTENTS}"
    with target.reading(name) as sealed, opening_from(sealed, key, name=name) as stream:
        return msgspec.json.decode(stream.read(), type=papers.Contents)


@contextmanager
def _whole_or_nothing(taking: _Taking, here: Path) -> Iterator[None]:
    """What is not finished is removed, here and at the target; a full disk is told as that."""
    here.mkdir(mode=0o700, parents=True)
    create_durably(here / "target", taking.target.where.encode())
    try:
        yield
    except BaseException as error:
        _remove_quietly(taking.target, taking.name)
        shutil.rmtree(here, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BackupTargetFull(
                f"{taking.target.where} is full; the half that was written was removed. Make room, then try again"
            ) from None
        if isinstance(error, OSError):
            raise BackupFailed(f"the backup was not written ({error.strerror}); what there was is removed") from error
        raise


def _remove_quietly(target: Target, name: str) -> None:
    try:
        target.remove(name)
        if target.folder is not None:
            shutil.rmtree(target.folder / name, ignore_errors=True)
    except (SealwireError, OSError) as error:
        diagnostics.failure("backup.left-over", error, backup=name)


def _name(here: Path, manifest: papers.Manifest) -> Path:
    """The manifest here, under the backup's own name: from now on it counts."""
    final = here.with_name(manifest.name)
    final.mkdir(mode=0o700, exist_ok=True)
    if not (final / papers.MANIFEST).exists():  # where the target is this folder, it counts already: leave it alone
        create_durably(final / papers.MANIFEST, manifest.encode())
    sync_folder(final.parent)
    shutil.rmtree(here)
    return final


def remove_unfinished(settings: Settings) -> int:
    """Remove what an interrupted backup left, here and at its target; how many there were."""
    found = 0
    for pattern in ("2*Z-*.pass", "2*Z-*.manifest"):
        for path in socket_folder(settings).glob(pattern):
            path.unlink(missing_ok=True)
    for left in settings.backups_dir.glob("*" + papers.UNFINISHED):
        name = left.name.removesuffix(papers.UNFINISHED)
        if (left / "target").exists() and not (settings.backups_dir / name / papers.MANIFEST).exists():
            _remove_quietly(Target.open((left / "target").read_text(), settings), name)
        shutil.rmtree(left)
        found += 1
    return found
