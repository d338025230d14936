"""Secrets of customers that must be read back (trunk passwords, signing secrets): sealed before the database has them.

AES-256-GCM under one key in `secrets/service.key`, made at first use; what it belongs to is the associated data, so
a sealed secret cannot be moved to another account or place.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealwire.config import Settings
from sealwire.errors import Broken

_NONCE_BYTES = 12
_KEY_BYTES = 32


class SecretUnreadable(Broken):
    """A stored secret does not open: secrets/service.key is not the one it was sealed with; bring that one back."""


class SecretBox:
    """Seals and opens small secrets."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    @classmethod
    def open(cls, settings: Settings) -> SecretBox:
        """With this installation's key; it is made when there is none."""
        return cls(_key_at(settings.secrets_dir / "service.key"))

    def seal(self, secret: str, *, owner: str) -> bytes:
        """`owner` says whose and what for: `acc_…|trunk|trk_…`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, secret.encode(), owner.encode())

    def unseal(self, sealed: bytes, *, owner: str) -> str:
        """SecretUnreadable when it was sealed with another key or for another owner."""
        try:
            return self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], owner.encode()).decode()
        except InvalidTag:
            raise SecretUnreadable from None


def _key_at(file: Path) -> bytes:
    """Read the key; two processes that make it at once agree on one, as a link cannot replace a file."""
    if not file.exists():
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = file.with_name(f"{file.name}.{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as made:
            made.write(secrets.token_bytes(_KEY_BYTES))
            made.flush()
            os.fsync(made.fileno())
        with suppress(FileExistsError):
            os.link(fresh, file)
        fresh.unlink()
    key = file.read_bytes()
    if len(key) != _KEY_BYTES:
        raise SecretUnreadable
    return key
