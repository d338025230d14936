"""Credentials: made by an owner, shown once, ended at once."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
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
from sealwire.errors import Missing
from sealwire.governance import credentials
from sealwire.governance.principals import Scope
from sealwire.vocabulary import CredentialId, Purpose

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
        description="`owner` (all of the account's), `records:list`, `records:open`, `records:erase`.",
        examples=[["records:list", "records:open"]],
        min_length=1,
        max_length=4,
    ),
]
DefaultPurpose = Annotated[
    Purpose | None, Meta(description="Used when a request states no purpose.", examples=["quality-assurance"])
]


class CredentialMissing(Missing):
    """Nothing is known under this id."""


class NewCredential(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A credential to be made."""

    label: Label
    scopes: Scopes
    default_purpose: DefaultPurpose = None


class CredentialSeen(msgspec.Struct, kw_only=True):
    """A credential without its secret."""

    id: CredentialIdText
    label: Label
    scopes: Scopes
    default_purpose: DefaultPurpose
    created_at: Moment
    revoked_at: MomentOrNull


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
        raises=(IdempotencyConflict, IdempotencyKeyMalformed),
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
                issued_by=here.principal.credential, clock=parts.clock,
            )  # fmt: skip
            resource, secret = str(issued.credential), issued.secret
            await once.remember(connection, account, resource)
        rows = await credentials.list_credentials(connection, account)
    (seen,) = (fields for row in rows if (fields := _fields(row))["id"] == resource)
    made = CredentialMade(**seen, secret=secret, note=SHOWN_ONCE)
    return Response(made, headers=REPLAYED if replayed else {})


@get("/v1/credentials", **operation("list-credentials", "Credentials", Scope.OWNER, summary="List credentials"))
async def list_credentials(here: Here) -> Credentials:
    """All of them, oldest first, with what each may do; never a secret."""
    async with here.parts.database.account(here.account) as connection:
        rows = await credentials.list_credentials(connection, here.account)
    return Credentials(items=[CredentialSeen(**_fields(row)) for row in rows])


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
            rows = await credentials.list_credentials(connection, here.account)
            if all(row["credential_id"] != wanted.value for row in rows):
                raise CredentialMissing


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": str(CredentialId(row["credential_id"])),
        "label": row["label"],
        "scopes": [Scope(scope) for scope in row["scopes"]],
        "default_purpose": Purpose(row["default_purpose"]) if row["default_purpose"] else None,
        "created_at": row["created_at"],
        "revoked_at": row["revoked_at"],
    }
