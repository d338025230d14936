"""API credentials: 256 random bits, shown once, kept as a hash, carrying their account."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sealwire.errors import Malformed, Missing, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.governance.principals import Principal, Scope
from sealwire.governance.standing import AccountIsClosed
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, ClosureId, CredentialId, Purpose

_queries = load_queries(__package__)
NETWORKS_MAX = 50
SECRET_PREFIX = "sealwire_"  # noqa: S105 - what secret scanners look for


class NotAuthenticated(Refused):
    """The credential is missing, unknown or revoked: send `Authorization: Bearer sealwire_...`."""


class CredentialMissing(Missing):
    """Nothing is known under this id."""


class NetworkMalformed(Malformed):
    """An address or network is written as 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32, without host bits; at most 50."""


class WouldLockOut(Refused):
    """This request came from an address that is not in the list, so this very credential would be of no more use."""


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
    allowed_from: Sequence[str] | None = None,
) -> IssuedCredential:
    """Make a credential for this account in the caller's transaction, with its leaf. None: from any address."""
    if Scope.OPERATOR in scopes:
        raise Malformed("an account's credential cannot have the scope operator")
    if not scopes:
        raise Malformed("a credential needs at least one scope")
    issued = IssuedCredential(CredentialId.new(), new_secret())
    now = clock.now()
    await connection.execute(
        _queries.insert_credential, account.value, issued.credential.value, secret_hash(issued.secret), label,
        [scope.value for scope in scopes], default_purpose and default_purpose.value, now,
        None if allowed_from is None else networks(allowed_from),
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


async def bind(
    connection: Connection,
    account: AccountId,
    credential: CredentialId,
    *,
    allowed_from: Sequence[str] | None,
    by: CredentialId,
    clock: Clock,
) -> None:
    """From the next request on it is taken from these networks only (None: from anywhere). CredentialMissing."""
    listed = None if allowed_from is None else networks(allowed_from)
    if await connection.fetchrow(_queries.bind_credential, account.value, credential.value, listed) is None:
        raise CredentialMissing
    payload = {"what": "credential.bound", "which": str(credential), "by": str(by), "at": rfc3339(clock.now())}
    await post_event(connection, account, LeafClass.CONFIGURATION_CHANGED, payload, mentions=[])


async def rotate(
    connection: Connection,
    account: AccountId,
    credential: CredentialId,
    *,
    overlap: dt.timedelta,
    by: CredentialId,
    clock: Clock,
) -> tuple[str, dt.datetime]:
    """A new secret beside the present one, which ends after `overlap`; one before that ends now. CredentialMissing."""
    now, secret = clock.now(), new_secret()
    whose, until = (account.value, credential.value), now + overlap
    await connection.execute(_queries.end_older_secrets, *whose, until, now)
    if await connection.fetchrow(_queries.end_first_secret, *whose, until, now) is None:
        raise CredentialMissing
    await connection.execute(_queries.insert_secret, *whose, secret_hash(secret), now)
    payload = {"what": "credential.rotated", "which": str(credential), "by": str(by), "at": rfc3339(now)}
    await post_event(connection, account, LeafClass.CONFIGURATION_CHANGED, payload, mentions=[])
    return secret, until


async def authenticate(database: Database, secret: str, *, source: str | None, now: dt.datetime) -> Principal:
    """Who this secret belongs to; looked up at every request, so that a revocation or an allow-list holds at once.

    A good secret from an address outside its credential's networks is answered as one that does not exist: whoever
    found it must not learn that it is good. The operator sees the credential's id in the diagnostics. AccountIsClosed
    for a good one of an account that is closed.
    """
    if not secret.startswith(SECRET_PREFIX) or len(secret) > 100:
        raise NotAuthenticated
    row = await database.call(_queries.find_credential, secret_hash(secret), _address(source), now)
    if row is None:
        raise NotAuthenticated
    account, credential, scopes, default_purpose, in_place, closed_at, closure = row
    if not in_place:
        diagnostics.event("api.credential-out-of-place", credential=CredentialId(credential))
        raise NotAuthenticated
    if closed_at is not None:
        raise AccountIsClosed.since(closed_at, ClosureId(closure))
    return Principal(
        credential=CredentialId(credential),
        account=AccountId(account) if account else None,
        scopes=frozenset(map(Scope, scopes)),
        default_purpose=Purpose(default_purpose) if default_purpose else None,
    )


def networks(listed: Sequence[str]) -> list[str]:
    """Addresses and networks as CIDR; NetworkMalformed when one is not."""
    try:
        parsed = [str(ipaddress.ip_network(each.strip())) for each in listed]
    except ValueError:
        raise NetworkMalformed from None
    if not 1 <= len(parsed) <= NETWORKS_MAX:
        raise NetworkMalformed
    return parsed


def is_within(source: str | None, listed: Sequence[str]) -> bool:
    """Whether an address lies in one of these networks."""
    address = _address(source)
    return address is not None and any(address in ipaddress.ip_network(each) for each in listed)


def _address(source: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The peer's address; an IPv4 one that a dual socket shows as IPv6 counts as what it is."""
    if source is None:
        return None
    address = ipaddress.ip_address(source.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


async def list_credentials(connection: Connection, account: AccountId) -> list[dict[str, object]]:
    """The account's credentials without their secrets."""
    return [dict(row) for row in await connection.fetch(_queries.list_credentials, account.value)]
