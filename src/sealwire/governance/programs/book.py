"""Which programs an account has, and whether a certificate is still in force."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from sealwire.errors import Missing, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.governance.programs.authority import ProgramAuthority
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CredentialId, ProgramId

_queries = load_queries(__package__)


class ProgramMissing(Missing):
    """Nothing is known under this id."""


class ProgramRevoked(Refused):
    """This program was revoked, which cannot be taken back; register another one."""


@dataclass(frozen=True, slots=True)
class RegisteredProgram:
    """One program with its newest certificate (PEM)."""

    program: ProgramId
    label: str
    created_at: dt.datetime
    revoked_at: dt.datetime | None
    certificate: str
    valid_until: dt.datetime


async def register(
    connection: Connection,
    account: AccountId,
    *,
    label: str,
    request: str,
    by: CredentialId,
    authority: ProgramAuthority,
    clock: Clock,
) -> ProgramId:
    """Make a program and its first certificate in the caller's transaction, with its leaf."""
    program, now = ProgramId.new(), clock.now()
    certificate = authority.sign(request, account, program, at=now)
    await connection.execute(_queries.insert_program, account.value, program.value, label, now)
    await write(connection, account, program, certificate=certificate, by=by, at=now)
    return program


async def renew(
    connection: Connection,
    account: AccountId,
    program: ProgramId,
    *,
    request: str,
    by: CredentialId | ProgramId,
    authority: ProgramAuthority,
    clock: Clock,
) -> None:
    """Another certificate for the same program; the one before goes on until its own end."""
    if (await find(connection, account, program)).revoked_at is not None:
        raise ProgramRevoked
    now = clock.now()
    await write(connection, account, program, certificate=authority.sign(request, account, program, at=now), by=by,
                 at=now)  # fmt: skip


async def write(
    connection: Connection,
    account: AccountId,
    program: ProgramId,
    *,
    certificate: x509.Certificate,
    by: CredentialId | ProgramId,
    at: dt.datetime,
) -> None:
    """Enter a signed certificate of a program: from now on it lets the program in."""
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    await connection.execute(
        _queries.insert_program_certificate, account.value, program.value, certificate.fingerprint(hashes.SHA256()),
        text, at, certificate.not_valid_after_utc,
    )  # fmt: skip
    payload = {"program": str(program), "issued_by": str(by), "at": rfc3339(at)}
    await post_event(connection, account, LeafClass.CREDENTIAL_ISSUED, payload, mentions=[])


async def revoke(
    connection: Connection, account: AccountId, program: ProgramId, *, by: CredentialId, clock: Clock
) -> None:
    """End all its certificates at once; nothing happens when that was done before. ProgramMissing for no such one."""
    now = clock.now()
    if await connection.fetchrow(_queries.revoke_program, account.value, program.value, now) is None:
        await find(connection, account, program)
        return
    payload = {"program": str(program), "revoked_by": str(by), "at": rfc3339(now)}
    await post_event(connection, account, LeafClass.CREDENTIAL_REVOKED, payload, mentions=[])


async def find(connection: Connection, account: AccountId, program: ProgramId) -> RegisteredProgram:
    """One program of the account; ProgramMissing for any other id."""
    row = await connection.fetchrow(_queries.find_program, account.value, program.value)
    if row is None:
        raise ProgramMissing
    return _read(row)


async def programs(
    connection: Connection, account: AccountId, *, before: tuple[dt.datetime, UUID] | None, limit: int
) -> list[RegisteredProgram]:
    """The account's programs, newest first, revoked ones included."""
    at, last = before or (None, None)
    return [_read(row) for row in await connection.fetch(_queries.list_programs, account.value, at, last, limit)]


async def in_force(database: Database, fingerprints: Iterable[bytes]) -> dict[bytes, tuple[AccountId, ProgramId]]:
    """Those of these certificates whose program is not revoked and whose account is not closed."""
    async with database.system() as connection:
        rows = await connection.fetch(_queries.programs_in_force, list(fingerprints))
    return {row["fingerprint"]: (AccountId(row["account_id"]), ProgramId(row["program_id"])) for row in rows}


def _read(row: Any) -> RegisteredProgram:
    program, *rest = row
    return RegisteredProgram(ProgramId(program), *rest)
