"""Sealed for the target: what leaves for a backup target is an age file (age-encryption.org/v1), streamed both ways.

One age identity for each installation, in `secrets/backup.identity`, made with the first backup. It opens no record:
what lies under it is ciphertext of the key tree. Without it a backup is noise, so a copy belongs where the backups are
not. A second key, derived from it, authenticates manifests: anybody could seal to a public key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyrage

from sealwire.config import Settings
from sealwire.custody.backups.refusals import BackupDamaged, BackupForeign, BackupIdentityMissing
from sealwire.custody.keys.files import create_durably

SUFFIX = ".age"
_AUTHENTICATOR_INFO = b"sealwire/backup/manifest/1"


@dataclass(frozen=True, slots=True)
class BackupKey:
    """The identity that opens backups, the recipient they are sealed to, and what authenticates their manifests."""

    identity: Any
    recipient: Any

    @classmethod
    def parse(cls, text: str) -> BackupKey:
        """From the line that begins with AGE-SECRET-KEY-1; BackupIdentityMissing when there is none."""
        lines = [line.strip() for line in text.splitlines() if line.strip().startswith("AGE-SECRET-KEY-1")]
        try:
            identity = pyrage.x25519.Identity.from_str(lines[0])
        except (IndexError, pyrage.IdentityError):
            raise BackupIdentityMissing from None
        return cls(identity, identity.to_public())

    def __repr__(self) -> str:
        return f"BackupKey({self.recipient})"

    def authenticator(self, data: bytes) -> str:
        """What only the holder of the identity can write under a manifest."""
        key = hmac.digest(str(self.identity).encode(), _AUTHENTICATOR_INFO, "sha256")
        return hmac.new(key, data, hashlib.sha256).hexdigest()


def identity_file(settings: Settings) -> Path:
    """Where the identity of this installation is kept, 0600."""
    return settings.secrets_dir / "backup.identity"


def backup_key(settings: Settings, *, file: Path | None = None, may_make: bool = False) -> BackupKey:
    """The identity of this installation, or the one in `file`; made at the first backup."""
    path = file or identity_file(settings)
    if not path.exists():
        if file is not None or not may_make:
            raise BackupIdentityMissing(
                f"{path} is missing; a backup opens only with the identity that it was sealed to: put it back, or name "
                "your copy of it with --identity"
            )
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        identity = pyrage.x25519.Identity.generate()
        create_durably(path, f"# recipient: {identity.to_public()}\n{identity}\n".encode())
    return BackupKey.parse(path.read_text())


class Measured:
    """A writer that counts and hashes what goes through it, and keeps its own error: others wrap it."""

    def __init__(self, out: Any) -> None:
        self._out, self._digest = out, hashlib.sha256()
        self.bytes = 0
        self.error: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            self._out.write(data)
        except BaseException as error:
            self.error = error
            raise
        self._digest.update(data)
        self.bytes += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits in here."""

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@contextmanager
def sealing_into(out: Measured, key: BackupKey) -> Iterator[BinaryIO]:
    """A writer; what is written to it goes sealed into `out`, piece by piece."""
    read, write = os.pipe()
    failed: list[BaseException] = []

    def seal() -> None:
        with os.fdopen(read, "rb") as source:
            try:
                pyrage.encrypt_io(source, out, [key.recipient])
            except BaseException as error:
                failed.append(out.error or error)

    thread = threading.Thread(target=seal, name="seal-backup")
    thread.start()
    try:
        with os.fdopen(write, "wb") as stream:
            yield stream
    except BrokenPipeError:
        thread.join()
        raise (failed[0] if failed else BrokenPipeError()) from None
    finally:
        thread.join()
    if failed:
        raise failed[0]


@contextmanager
def opening_from(source: BinaryIO, key: BackupKey, *, name: str) -> Iterator[BinaryIO]:
    """A reader of what a sealed file holds. BackupForeign: sealed to another key; BackupDamaged: cut or changed.

    Whoever reads must read to the end: the last piece says that it is the last.
    """
    read, write = os.pipe()
    failed: list[BaseException] = []

    def unseal() -> None:
        with os.fdopen(write, "wb") as out:
            try:
                pyrage.decrypt_io(source, out, [key.identity])
                out.flush()
            except BaseException as error:
                failed.append(error)

    thread = threading.Thread(target=unseal, name="open-backup")
    thread.start()
    try:
        with os.fdopen(read, "rb") as stream:
            yield stream
    finally:
        thread.join()
        if failed:
            raise _told(failed[0], name) from None


def _told(error: BaseException, name: str) -> BaseException:
    if isinstance(error, pyrage.DecryptError) and "No matching keys" in str(error):
        return BackupForeign(f"{name} is sealed to another key; name the identity it was sealed to with --identity")
    if isinstance(error, BrokenPipeError) or not isinstance(error, OSError | pyrage.DecryptError):
        return error
    return BackupDamaged(f"{name} is cut short or was changed; take another backup, and make a new one now")
