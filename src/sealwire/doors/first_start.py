"""What a new installation needs beside its tables; safe to repeat at every start."""

from __future__ import annotations

import os
from pathlib import Path

import asyncpg

from sealwire.config import Settings
from sealwire.governance.credentials import new_secret, secret_hash
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import CredentialId

_queries = load_queries(__package__, "first_start.sql")


def operator_credential_file(settings: Settings) -> Path:
    """Where the operator's own credential is kept, 0600: it manages accounts and can open nothing."""
    return settings.secrets_dir / "operator-credential"


async def ensure_operator_credential(settings: Settings, dsn: str, clock: Clock) -> None:
    """Make the operator's own credential when there is none: it manages accounts and can open nothing."""
    if operator_credential_file(settings).exists():
        return
    secret = new_secret()
    connection = await asyncpg.connect(dsn)
    try:
        credential = CredentialId.new().value
        await connection.execute(_queries.store_operator_credential, credential, secret_hash(secret), clock.now())
    finally:
        await connection.close()
    file = operator_credential_file(settings)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(secret + "\n")
