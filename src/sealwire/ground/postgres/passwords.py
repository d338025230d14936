"""Passwords of the database roles: made at first start, kept in one 0600 file, never sent in the clear."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from urllib.parse import quote

from sealwire.config import Settings
from sealwire.errors import Unavailable

OWNER = "sealwire_owner"
ROLES = ("sealwire_service", "sealwire_sequencer", "sealwire_worker")
DATABASE = "sealwire"
_ITERATIONS = 4096


class DatabaseNeverStarted(Unavailable):
    """The database of this data folder was never started; run bin/sealwire up."""


def passwords_file(settings: Settings) -> Path:
    return settings.secrets_dir / "postgres.json"


def socket_folder(settings: Settings) -> Path:
    """Where the database's Unix socket lies; nothing listens on TCP."""
    return settings.run_dir / "postgres"


def dsn(settings: Settings, role: str, *, database: str = DATABASE) -> str:
    """How to connect as `role`; DatabaseNeverStarted when no password is known for it."""
    password = read_passwords(settings).get(role)
    if password is None:
        raise DatabaseNeverStarted
    host = quote(str(socket_folder(settings)), safe="")
    return f"postgresql://{role}:{password}@/{database}?host={host}&port=5432"


def read_passwords(settings: Settings) -> dict[str, str]:
    """The passwords by role; empty before the first start."""
    try:
        return dict(json.loads(passwords_file(settings).read_text()))
    except FileNotFoundError:
        return {}


def ensure_passwords(settings: Settings) -> dict[str, str]:
    """The passwords by role, made now for roles that have none."""
    known = read_passwords(settings)
    wanted = {role: known.get(role) or secrets.token_hex(24) for role in (OWNER, *ROLES)}
    if wanted != known:
        settings.secrets_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = passwords_file(settings)
        unfinished = file.with_suffix(".unfinished")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(wanted, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)
    return wanted


def scram_verifier(password: str) -> str:
    """What the server keeps instead of the password (RFC 5802, RFC 7677), as PostgreSQL writes it."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, _ITERATIONS)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored_text, server_text = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_ITERATIONS}:{salt_text}${stored_text}:{server_text}"
