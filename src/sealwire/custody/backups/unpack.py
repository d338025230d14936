"""A chain of sealed backups, looked through and laid out again as a database folder and objects.

(1) the manifest of each backup of the chain is there, authentic, and of this installation; each continues the last;
(2) every file has the size and SHA-256 of its manifest, none is missing, none is there that does not belong;
(3) each database copy is opened and unpacked, and PostgreSQL checks it against its own manifest (pg_verifybackup);
(4) base and increments become one folder (pg_combinebackup);
(5) the objects are opened and unpacked, each hashed against the sealed contents.

(1) and (2) are what `verify` does; nothing is unpacked that did not pass them.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sealwire.config import Settings
from sealwire.custody.backups import manifest as papers
from sealwire.custody.backups.chain import chain_to, require_authentic, where_is
from sealwire.custody.backups.refusals import BackupDamaged, BackupForeign, BackupMissing, RestoreFailed
from sealwire.custody.backups.sealing import BackupKey, backup_key, opening_from
from sealwire.custody.backups.take import DATABASE_FILE, contents_of
from sealwire.custody.backups.target import READ_BYTES, Target
from sealwire.ground.postgres.cluster import Cluster

_WAY_OUT = "do not restore it; take another backup, and make a new one now"


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain that was looked through: base first, the wanted backup last."""

    target: Target
    key: BackupKey
    members: list[papers.Manifest]

    @property
    def last(self) -> papers.Manifest:
        return self.members[-1]

    @property
    def total_bytes(self) -> int:
        return sum(member.total_bytes for member in self.members)

    def contents(self) -> papers.Contents:
        """Heads when the last backup was begun, and the objects of all of the chain."""
        each = [contents_of(self.target, member, self.key) for member in self.members]
        return papers.Contents(logs=each[-1].logs, objects=[held for contents in each for held in contents.objects])


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """A chain whose every byte is what was made, and how long that took to see."""

    chain: Chain
    seconds: float


def find_source(manifest: papers.Manifest, settings: Settings) -> str:
    """Where a backup that is known here is to be looked for."""
    if manifest.target.startswith("s3://"):
        return f"{manifest.target}/{manifest.name}"
    return str(settings.backups_dir / manifest.name)


def find_chain(source: str, settings: Settings, key: BackupKey) -> Chain:
    """Step (1) for the backup at `source`: its folder here, or s3://BUCKET/PREFIX/NAME."""
    if source.startswith("s3://"):
        where, _, name = source.rstrip("/").rpartition("/")
    else:
        folder = Path(source).resolve()
        manifest = papers.read_manifest(folder)
        if not manifest.is_sealed:
            raise BackupDamaged(f"{folder} is a plain copy and not a sealed backup; it cannot be restored by this")
        where, name = where_is(folder, manifest), manifest.name
    target = Target.open(where, settings)
    members = [_authentic(target, name, key)]
    while members[0].after and len(members) < 10_000:
        members.insert(0, _authentic(target, members[0].after, key))
    return Chain(target, key, chain_to(members[-1], members))


def verify_chain(source: str, settings: Settings, key: BackupKey, *, ours: str | None = None) -> VerifiedChain:
    """Steps (1) and (2). `ours` is the identifier of the database that it must be of, when one is known.

    BackupMissing, BackupForeign or BackupDamaged, each naming the file and what to do.
    """
    started = time.perf_counter()
    chain = find_chain(source, settings, key)
    identifier = ours or papers.system_identifier(settings.postgres_dir) or chain.last.system_identifier
    for member in chain.members:
        if member.system_identifier != identifier:
            raise BackupForeign(
                f"{member.backup} is a backup of another installation (database {member.system_identifier}, here "
                f"{identifier}); use it with the data folder it was made from"
            )
        _require_files(chain.target, member)  # (2)
    return VerifiedChain(chain, time.perf_counter() - started)


def _authentic(target: Target, name: str, key: BackupKey) -> papers.Manifest:
    try:
        data = target.read(f"{name}/{papers.MANIFEST}")
    except BackupMissing:
        raise BackupMissing(
            f"{target.where}/{name} is not a whole backup: it has no {papers.MANIFEST}, which is written last, and "
            "what continues it is of no use either; take another one"
        ) from None
    manifest = papers.decoded(data, name=f"{target.where}/{name}/{papers.MANIFEST}")
    require_authentic(manifest, key)
    if manifest.name != name:
        raise BackupDamaged(f"{target.where}/{name} holds the manifest of {manifest.backup}; {_WAY_OUT}")
    return manifest


def _require_files(target: Target, member: papers.Manifest) -> None:
    listed = {f"{member.name}/{file.path}": file for file in member.files}
    found = target.sizes(member.name)
    found.pop(f"{member.name}/{papers.MANIFEST}", None)
    if missing := sorted(set(listed) - set(found)):
        raise BackupDamaged(f"{target.where}/{missing[0]} is missing ({len(missing)} in all); {_WAY_OUT}")
    if extra := sorted(set(found) - set(listed)):
        raise BackupDamaged(f"{target.where}/{extra[0]} does not belong to this backup; {_WAY_OUT}")
    for name, file in listed.items():
        if found[name] != file.bytes:
            how = "cut short" if found[name] < file.bytes else "longer than it was"
            raise BackupDamaged(f"{target.where}/{name} is {how}: {found[name]} bytes, not {file.bytes}; {_WAY_OUT}")
        if _hash_of(target, name) != file.sha256:
            raise BackupDamaged(f"{target.where}/{name} was changed since the backup was made; {_WAY_OUT}")


def _hash_of(target: Target, name: str) -> str:
    digest = hashlib.sha256()
    with target.reading(name) as stream:
        while piece := stream.read(READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def unpack(chain: Chain, folder: Path, settings: Settings, *, is_scratch: bool = False) -> papers.Contents:
    """Steps (3) to (5): `folder/postgres` and `folder/objects`, owned by whom they must be; what the backup holds."""
    cluster = Cluster(settings)
    parts = [folder / f"part-{number}" for number in range(len(chain.members))]
    for member, part in zip(chain.members, parts, strict=True):
        _unpack_database(chain, member, part, cluster)  # (3)
    _combine(parts, folder / papers.POSTGRES, cluster, is_scratch=is_scratch)  # (4)
    contents = chain.contents()
    (folder / papers.OBJECTS).mkdir(mode=0o700)
    for member in chain.members:  # (5)
        for file in member.files:
            if file.path.startswith("objects-"):
                _unpack_objects(chain, f"{member.name}/{file.path}", folder / papers.OBJECTS, contents)
    return contents


def _unpack_database(chain: Chain, member: papers.Manifest, part: Path, cluster: Cluster) -> None:
    part.mkdir(mode=0o700)
    name = f"{member.name}/{DATABASE_FILE}"
    with chain.target.reading(name) as sealed, opening_from(sealed, chain.key, name=name) as stream:
        _extract(stream, part, name)
    _hand_over(part, cluster)
    done = cluster.run("pg_verifybackup", "--quiet", "--exit-on-error", part)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[0].removeprefix("pg_verifybackup: error: ") if lines else f"exit code {done.returncode}"
        raise BackupDamaged(f"{member.backup}: {reason}; {_WAY_OUT}")


def _extract(stream: IO[bytes], folder: Path, name: str) -> None:
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=READ_BYTES) as archive:
            archive.extractall(folder, filter="data")
        while stream.read(READ_BYTES):  # to the end: only then is it known that nothing was cut off
            pass
    except tarfile.TarError:
        raise BackupDamaged(f"{name} does not hold an archive; {_WAY_OUT}") from None


def _unpack_objects(chain: Chain, name: str, folder: Path, contents: papers.Contents) -> None:
    with chain.target.reading(name) as sealed, opening_from(sealed, chain.key, name=name) as stream:
        _extract(stream, folder, name)
    pack = name.rpartition("/")[2]
    for held in contents.objects:
        if held.pack == pack and (folder / held.name).exists():
            size, digest = papers.hashed(folder / held.name)
            if (size, digest) != (held.bytes, held.sha256):
                raise BackupDamaged(f"object {held.name} in {name} is not what was backed up; {_WAY_OUT}")


def _combine(parts: list[Path], whole: Path, cluster: Cluster, *, is_scratch: bool) -> None:
    if len(parts) == 1:
        parts[0].rename(whole)
        return
    done = cluster.run("pg_combinebackup", "--link", *(["--no-sync"] if is_scratch else []), "-o", whole, *parts)
    for part in parts:
        shutil.rmtree(part, ignore_errors=True)
    if done.returncode != 0:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if "error" in line]
        raise RestoreFailed(f"base and increments could not be combined: {lines[0] if lines else 'no reason given'}")


def _hand_over(folder: Path, cluster: Cluster) -> None:
    """To the database user, who runs PostgreSQL's programs on it."""
    folder.chmod(0o700)
    if cluster.user.is_other:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, cluster.user.uid, cluster.user.gid, follow_symlinks=False)


def opened_into(folder: Path, manifest: papers.Manifest, settings: Settings) -> Path:
    """Unpack a backup that is known here, and all that it continues, into a new folder: what its identity opens."""
    chain = find_chain(find_source(manifest, settings), settings, backup_key(settings))
    _make_folder(folder, settings)
    unpack(chain, folder, settings, is_scratch=True)
    return folder


def _make_folder(folder: Path, settings: Settings) -> None:
    """One that the database user, who runs PostgreSQL's programs on what is in it, may write to."""
    user = Cluster(settings).user
    folder.mkdir(mode=0o710)
    if user.is_other:
        os.chown(folder, user.uid, user.gid)


@asynccontextmanager
async def unpacked(chain: Chain, settings: Settings, *, workspace: Path) -> AsyncIterator[Path]:
    """A folder with `postgres` and `objects` of this chain; gone afterwards."""
    folder = workspace / f"scratch-unpacked-{chain.last.name}-{os.getpid()}"
    _make_folder(folder, settings)
    try:
        await asyncio.to_thread(unpack, chain, folder, settings, is_scratch=True)
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
