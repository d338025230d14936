"""API credentials: 256 random bits, shown once, kept as a hash, carrying their account."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from sealwire.errors import Malformed, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CredentialId, Purpose

_queries = load_queries(__package__)
SECRET_PREFIX = "sealwire_"  # noqa: S105 - what secret scanners look for


class NotAuthenticated(Refused):
    """The credential is missing, unknown or revoked: send `Authorization: Bearer sealwire_...`."""


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """A new credential; the secret is not kept and cannot be shown again."""

    credential: CredentialId
    secret: str


def new_secret() -> str:
    """A secret that scanners recognise by its prefix: `sealwire_` and 43 URL-safe characters."""
    return SECRET_PREFIX + secrets.token_urlsafe(32)


def secret_hash(secret: str) -> bytes:
    """SHA-256 is enough here: the secret has 256 random bits, so there is nothing to guess."""
    return hashlib.sha256(secret.encode()).digest()


async def issue(
    connection: Connection,
    account: AccountId,
    *,
    label: str,
    scopes: list[Scope],
    default_purpose: Purpose | None,
    issued_by: CredentialId,
    clock: Clock,
) -> IssuedCredential:
    """Make a credential for this account in the caller's transaction, with its leaf."""
    if Scope.OPERATOR in scopes:
        raise Malformed("an account's credential cannot have the scope operator")
    if not scopes:
        raise Malformed("a credential needs at least one scope")
    issued = IssuedCredential(CredentialId.new(), new_secret())
    now = clock.now()
    await connection.execute(
        _queries.insert_credential, account.value, issued.credential.value, secret_hash(issued.secret), label,
        [scope.value for scope in scopes], default_purpose and default_purpose.value, now,
    )  # fmt: skip
    payload = {"credential": str(issued.credential), "issued_by": str(issued_by), "at": rfc3339(now)}
    await post_event(connection, account, LeafClass.CREDENTIAL_ISSUED, payload, mentions=[])
    return issued


async def revoke(
    connection: Connection, account: AccountId, credential: CredentialId, *, by: CredentialId, clock: Clock
) -> bool:
    """End a credential at once; False when there was none in force."""
    now = clock.now()
    row = await connection.fetchrow(_queries.revoke_credential, account.value, credential.value, now)
    if row is None:
        return False
    payload = {"credential": str(credential), "revoked_by": str(by), "at": rfc3339(now)}
    await post_event(connection, account, LeafClass.CREDENTIAL_REVOKED, payload, mentions=[])
    return True


async def authenticate(database: Database, secret: str) -> Principal:
    """Who this secret belongs to; looked up at every request, so that a revocation holds at once."""
    if not secret.startswith(SECRET_PREFIX) or len(secret) > 100:
        raise NotAuthenticated
    async with database.system() as connection:
        row = await connection.fetchrow(_queries.find_credential, secret_hash(secret))
    if row is None:
        raise NotAuthenticated
    return Principal(
        credential=CredentialId(row["credential_id"]),
        account=AccountId(row["account_id"]) if row["account_id"] else None,
        scopes=frozenset(map(Scope, row["scopes"])),
        default_purpose=Purpose(row["default_purpose"]) if row["default_purpose"] else None,
    )


async def list_credentials(connection: Connection, account: AccountId) -> list[dict[str, object]]:
    """The account's credentials without their secrets."""
    return [dict(row) for row in await connection.fetch(_queries.list_credentials, account.value)]
