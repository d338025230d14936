"""What a backup says about itself: manifest.json, written last, so that a folder with one is a whole backup."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from sealwire.custody.backups.refusals import BackupDamaged, BackupMissing

VERSION = 2
MANIFEST = "manifest.json"
UNFINISHED = ".unfinished"
POSTGRES, OBJECTS = "postgres", "objects"
NOT_RECOVERABLE = "not disaster-recoverable: one key holder"
LEFT_OUT = (
    "keeper: keys are never backed up, which is what makes erasure reach every backup",
    "evidence: the log key and the last signed heads, so that a restored log is seen to be an older one",
    "secrets: database passwords and the private keys of certificates are made anew",
    "blind index: rebuilt after a restore",
    "logs, tmp, run: nothing in them is needed to restore",
)
_READ_BYTES = 1 << 20


class BackedUpFile(msgspec.Struct, frozen=True):
    """One file of a backup, by its path inside the folder."""

    path: str
    bytes: int
    sha256: str


class LogHead(msgspec.Struct, frozen=True):
    """How far an account's log was when the backup began; the restored one is at least as far."""

    account: str
    origin: str
    size: int
    root: str


class BackedUpObject(msgspec.Struct, frozen=True):
    """One object, and in which file of the backup it is."""

    name: str
    bytes: int
    sha256: str
    pack: str


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """What a sealed backup says only to whoever may open it."""

    logs: list[LogHead]
    objects: list[BackedUpObject]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of a backup in one file. Of a sealed one it is what may be read by anybody: no account stands in it."""

    version: int
    backup: str
    made_at: str
    product_version: str
    postgres_version: str
    system_identifier: str
    keeper_epoch: int
    effaceability_class: str
    disaster_recoverable: bool
    disaster_recovery: str
    cycle_ends_on: dt.date
    logs: list[LogHead]
    left_out: list[str]
    files: list[BackedUpFile]
    chain: str = ""
    """The base that this backup begins or belongs to; empty for a plain copy, which is whole by itself."""
    after: str = ""
    """The backup of the chain that this increment continues; empty for the base."""
    target: str = ""
    """Where its files are; empty when they lie beside this manifest."""
    sealed_to: str = ""
    content_bytes: int = 0
    authenticator: str = ""

    @property
    def is_sealed(self) -> bool:
        return bool(self.chain)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.backup.removeprefix("bkp_")

    def encode(self) -> bytes:
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"

    @property
    def total_bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def backups_in(target: Path) -> list[Path]:
    """Whole backups, oldest first."""
    found = (file.parent for file in target.glob(f"*/{MANIFEST}"))
    return sorted(folder for folder in found if not folder.name.endswith(UNFINISHED))


def elsewhere(manifest: Manifest, where: str) -> Manifest:
    """The same backup, with the place where its files are; its authenticator does not cover that."""
    return msgspec.structs.replace(manifest, target=where)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a whole backup; BackupMissing where there is none, BackupDamaged when it cannot be read."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except FileNotFoundError:
        raise BackupMissing(
            f"{folder} is not a whole backup: it has no {MANIFEST}, which is written last; take another one"
        ) from None
    return decoded(data, name=str(folder / MANIFEST))


def decoded(data: bytes, *, name: str) -> Manifest:
    """A manifest's bytes; BackupDamaged when they are not one that this version knows."""
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.DecodeError:
        raise BackupDamaged(
            f"{name} is cut short or changed, so nothing here can be checked; take another backup"
        ) from None
    if manifest.version > VERSION:
        raise BackupDamaged(f"{name} was made by a newer version of Sealwire; use that version or a later one")
    return manifest


def hashed(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    with path.open("rb", buffering=0) as source:
        digest = hashlib.file_digest(source, "sha256")
        return source.tell(), digest.hexdigest()


class Hashing:
    """A file that is hashed while somebody else reads it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        return data

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder; a link is told as a file, so that it is seen and not followed."""
    for top, folders, names in os.walk(folder):
        here = Path(top)
        yield from (here / name for name in sorted(names))
        yield from (here / name for name in folders if (here / name).is_symlink())


def system_identifier(postgres_dir: Path) -> str | None:
    """Which cluster a database folder is (the first eight bytes of pg_control); None when that cannot be read."""
    try:
        with (postgres_dir / "global" / "pg_control").open("rb") as file:
            return str(struct.unpack("<Q", file.read(8))[0])
    except (OSError, struct.error):
        return None
