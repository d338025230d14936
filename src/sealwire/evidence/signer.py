"""The log key: one Ed25519 key for all logs here, under a name of its own (the origin) for each."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealwire.errors import Broken
from sealwire.evidence.heads import Head
from sealwire_verifier.checkpoint import Checkpoint
from sealwire_verifier.note import SigningKey

SEED_BYTES = 32


class LogKeyLost(Broken):
    """The log key is missing or damaged although logs were signed with it; put evidence/log.key back."""


class LogSigner:
    """Signs heads. It knows no rules: who calls it has moved the lock file first."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @classmethod
    def load(cls, folder: Path, *, may_make: bool) -> LogSigner:
        """Read evidence/log.key, or make it at the very first start."""
        file = folder / "log.key"
        if not file.exists():
            if not may_make:
                raise LogKeyLost
            _write_new(file, secrets.token_bytes(SEED_BYTES))
        seed = file.read_bytes()
        if len(seed) != SEED_BYTES:
            raise LogKeyLost
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def key(self, origin: str) -> SigningKey:
        return SigningKey(origin, self._private)

    def vkey(self, origin: str) -> str:
        """What an auditor pins for this log."""
        return str(self.key(origin).vkey)

    def sign(self, origin: str, head: Head) -> bytes:
        """A checkpoint (C2SP tlog-checkpoint). Ed25519 gives the same bytes for the same head each time."""
        return Checkpoint(origin, head.size, head.root).sign(self.key(origin))


def new_origin() -> str:
    """A log's name: random, so that it says nothing about the account."""
    return f"sealwire.local/log/{secrets.token_hex(8)}"


def _write_new(file: Path, content: bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, content)
    os.fsync(descriptor)
    os.close(descriptor)
    unfinished.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
