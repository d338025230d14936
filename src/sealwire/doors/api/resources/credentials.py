"""Credentials: made by an owner, shown once, ended at once."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    CredentialIdText,
    CredentialPath,
    IdempotencyKey,
    Moment,
    MomentOrNull,
    id_in_address,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import IdMalformed
from sealwire.governance import credentials
from sealwire.governance.credentials import CredentialMissing, NetworkMalformed, WouldLockOut
from sealwire.governance.principals import Scope
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import AccountId, CredentialId, Purpose

SHOWN_ONCE = "the secret is shown once, in the first answer, and not kept; if it is lost, make another credential"
SecretText = Annotated[
    str | None,
    Meta(
        description="Shown once; null in a replayed answer.",
        examples=["sealwire_3q2-7wEBAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhs"],
    ),
]
Label = Annotated[str, Meta(description="What it is for, in your words.", examples=["quality team"], max_length=100)]
Scopes = Annotated[
    list[Scope],
    Meta(
        description="`owner` (all of the account's), `records:list`, `records:open`, `records:erase`, "
        "`calls:control`, `messages:send`, `account:configure`.",
        examples=[["records:list", "records:open"]],
        min_length=1,
        max_length=8,
    ),
]
DefaultPurpose = Annotated[
    Purpose | None, Meta(description="Used when a request states no purpose.", examples=["quality-assurance"])
]
NETWORK = Meta(max_length=50, extra_json_schema={"pattern": "^[0-9a-fA-F:.]{2,45}(/[0-9]{1,3})?$"})
AllowedFrom = Annotated[
    Annotated[list[Annotated[str, NETWORK]], Meta(max_length=credentials.NETWORKS_MAX)] | None,
    Meta(
        description="Addresses and networks (CIDR) it is taken from; null: from anywhere. From elsewhere it is "
        "answered as a credential that does not exist.",
        examples=[["192.0.2.0/24", "2001:db8::7/128"]],
    ),
]


class NewCredential(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A credential to be made."""

    label: Label
    scopes: Scopes
    default_purpose: DefaultPurpose = None
    allowed_from: AllowedFrom = None


class CredentialChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where a credential may be used from, from now on."""

    allowed_from: AllowedFrom


class Rotation(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How long the old secret is taken beside the new one."""

    overlap_seconds: Annotated[
        int, Meta(ge=0, le=7 * 86_400, description="Up to a week; 0 ends the old one at once.", examples=[86400])
    ] = 86_400


class CredentialSeen(msgspec.Struct, kw_only=True):
    """A credential without its secret."""

    id: CredentialIdText
    label: Label
    scopes: Scopes
    default_purpose: DefaultPurpose
    allowed_from: AllowedFrom
    created_at: Moment
    revoked_at: MomentOrNull
    rotated_at: MomentOrNull
    old_secret_until: Annotated[
        dt.datetime | None, Meta(description="When the secret before the present one ends, or ended.", examples=[None])
    ]


class CredentialMade(CredentialSeen, kw_only=True):
    """A new credential and, once, its secret."""

    secret: SecretText
    note: Annotated[str, Meta(examples=[SHOWN_ONCE])]


class Credentials(msgspec.Struct, kw_only=True):
    """All credentials of the account, revoked ones included."""

    items: list[CredentialSeen]


@post(
    "/v1/credentials",
    **operation(
        "create-credential", "Credentials", Scope.OWNER, summary="Make a credential",
        raises=(NetworkMalformed, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def create_credential(
    here: Here, data: JSONBody[NewCredential], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[CredentialMade]:
    """The secret is in this answer only; we keep its hash. Give each program its own, with no more than it needs."""
    parts, account = here.parts, here.account
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        resource, secret = await once.seen(connection, account), None
        replayed = resource is not None
        if resource is None:
            issued = await credentials.issue(
                connection, account, label=data.label, scopes=data.scopes, default_purpose=data.default_purpose,
                issued_by=here.principal.credential, clock=parts.clock, allowed_from=data.allowed_from,
            )  # fmt: skip
            resource, secret = str(issued.credential), issued.secret
            await once.remember(connection, account, resource)
        found = await _find(connection, account, resource)
    made = CredentialMade(**msgspec.structs.asdict(found), secret=secret, note=SHOWN_ONCE)
    return Response(made, headers=REPLAYED if replayed else {})


@get("/v1/credentials", **operation("list-credentials", "Credentials", Scope.OWNER, summary="List credentials"))
async def list_credentials(here: Here) -> Credentials:
    """All of them, oldest first, with what each may do; never a secret."""
    async with here.parts.database.account(here.account) as connection:
        rows = await credentials.list_credentials(connection, here.account)
    return Credentials(items=[CredentialSeen(**_fields(row)) for row in rows])


@patch(
    "/v1/credentials/{credential_id:str}",
    **operation(
        "bind-credential", "Credentials", Scope.OWNER, summary="Bind a credential to addresses",
        raises=(CredentialMissing, NetworkMalformed, WouldLockOut, IdMalformed),
    ),
)  # fmt: skip
async def bind_credential(
    here: Here, credential_id: CredentialPath, data: JSONBody[CredentialChange]
) -> CredentialSeen:
    """From the next request on. The address that counts is the connection's own; no header changes it."""
    wanted, allowed = id_in_address(CredentialId, credential_id), data.allowed_from
    is_own = wanted == here.principal.credential
    if allowed is not None and is_own and not credentials.is_within(here.source, credentials.networks(allowed)):
        raise WouldLockOut
    async with here.parts.database.account(here.account) as connection:
        await credentials.bind(
            connection, here.account, wanted, allowed_from=allowed, by=here.principal.credential,
            clock=here.parts.clock,
        )  # fmt: skip
        return await _find(connection, here.account, str(wanted))


@post(
    "/v1/credentials/{credential_id:str}/secrets",
    **operation(
        "rotate-credential", "Credentials", Scope.OWNER, summary="Give a credential a new secret",
        raises=(CredentialMissing, IdMalformed, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def rotate_credential(
    here: Here,
    credential_id: CredentialPath,
    data: JSONBody[Rotation],
    request: Request[Any, Any, Any],
    idempotency_key: IdempotencyKey = None,
) -> Response[CredentialMade]:
    """Two secrets are good for a while, so that programs move one by one. A secret before those ends at once.

    Idempotency keys count for each secret by itself.
    """
    wanted, account = id_in_address(CredentialId, credential_id), here.account
    once = await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(account) as connection:
        seen, secret = await once.seen(connection, account), None
        if seen is None:
            secret, _ = await credentials.rotate(
                connection, account, wanted, overlap=dt.timedelta(seconds=data.overlap_seconds),
                by=here.principal.credential, clock=here.parts.clock,
            )  # fmt: skip
            await once.remember(connection, account, str(wanted))
        found = await _find(connection, account, str(wanted))
    made = CredentialMade(**msgspec.structs.asdict(found), secret=secret, note=SHOWN_ONCE)
    return Response(made, headers=REPLAYED if seen is not None else {})


@delete(
    "/v1/credentials/{credential_id:str}",
    **operation(
        "revoke-credential", "Credentials", Scope.OWNER, summary="Revoke a credential",
        raises=(CredentialMissing, IdMalformed),
    ),
)  # fmt: skip
async def revoke_credential(here: Here, credential_id: CredentialPath) -> None:
    """It is refused from the next request on. Revoking one that is revoked already changes nothing."""
    wanted = id_in_address(CredentialId, credential_id)
    async with here.parts.database.account(here.account) as connection:
        ended = await credentials.revoke(
            connection, here.account, wanted, by=here.principal.credential, clock=here.parts.clock
        )
        if not ended:
            await _find(connection, here.account, str(wanted))


async def _find(connection: Connection, account: AccountId, credential: str) -> CredentialSeen:
    """One credential of the account, revoked or not; CredentialMissing."""
    for row in await credentials.list_credentials(connection, account):
        if (fields := _fields(row))["id"] == credential:
            return CredentialSeen(**fields)
    raise CredentialMissing


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(CredentialId(row["credential_id"])),
        "label": row["label"],
        "scopes": [Scope(scope) for scope in row["scopes"]],
        "default_purpose": Purpose(row["default_purpose"]) if row["default_purpose"] else None,
        "allowed_from": row["allowed_from"],
        "created_at": row["created_at"],
        "revoked_at": row["revoked_at"],
        "rotated_at": row["rotated_at"],
        "old_secret_until": row["old_secret_until"],
    }
