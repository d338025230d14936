"""Recipients: the account's public keys, to which recordings are sealed while the call runs."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, post
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.communications.encryption import recipients
from sealwire.communications.encryption.age import RecipientMalformed, SecretKeySent
from sealwire.communications.encryption.recipients import (
    ExpiryPast,
    KnownRecipient,
    RecipientKnown,
    RecipientMissing,
    TooManyRecipients,
)
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import IdempotencyKey, Moment, MomentOrNull, RecipientPath, id_in_address
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import IdMalformed
from sealwire.governance.principals import Scope
from sealwire.vocabulary import RecipientId

_EXAMPLE_KEY = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
RecipientIdText = Annotated[
    str,
    Meta(
        description="The recipient's id; `key_id` of a recording names those it was sealed to.",
        examples=["rcp_5f0c1e2d9a7b4c6e8f10213243546576"],
    ),
]
PublicKey = Annotated[
    str,
    Meta(
        description="An age public key (X25519), as `age-keygen` prints it. Never the secret one.",
        examples=[_EXAMPLE_KEY],
        max_length=200,
        extra_json_schema={"pattern": "^age1[02-9ac-hj-np-z]{58}$"},
    ),
]
Label = Annotated[
    str, Meta(description="Which key it is, in your words.", examples=["2026, safe"], min_length=1, max_length=100)
]
ExpiresAt = Annotated[
    Annotated[dt.datetime, Meta(tz=True)] | None,
    Meta(description="No recording that begins after this is sealed to it; null for no end.", examples=[None]),
]


class NewRecipient(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A public key to be used."""

    public_key: PublicKey
    label: Label
    expires_at: ExpiresAt = None


class RecipientSeen(msgspec.Struct, kw_only=True):
    """A public key of the account."""

    id: RecipientIdText
    public_key: PublicKey
    label: Label
    valid: Annotated[bool, Meta(description="Whether recordings that begin now are sealed to it.")]
    created_at: Moment
    expires_at: MomentOrNull
    retired_at: MomentOrNull


class RecipientMade(RecipientSeen, kw_only=True):
    """A new recipient, and something to try its secret key on."""

    trial: Annotated[
        str,
        Meta(
            description="An age file in base64, sealed to this key alone: open it now, so that you know you can.",
            examples=["YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSAuLi4="],
        ),
    ]


class Recipients(msgspec.Struct, kw_only=True):
    """All recipients of the account, oldest first, retired ones included."""

    items: list[RecipientSeen]


@post(
    "/v1/recipients",
    **operation(
        "create-recipient", "Recipients", Scope.CONFIGURE, summary="Add a public key",
        raises=(
            RecipientMalformed, SecretKeySent, RecipientKnown, TooManyRecipients, ExpiryPast, IdempotencyConflict,
            IdempotencyKeyMalformed,
        ),
    ),
)  # fmt: skip
async def create_recipient(
    here: Here, data: JSONBody[NewRecipient], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[RecipientMade]:
    """From now on recordings of services with `sealed_to_customer` are sealed to it, and to every other valid one. To
    rotate: add the new key, retire the old one. Without a valid key such a service records nothing.
    """
    parts, account = here.parts, here.account
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen = await once.seen(connection, account)
        if seen is None:
            added = await recipients.add_recipient(
                connection, account, public_key=data.public_key, label=data.label, expires_at=data.expires_at,
                now=parts.clock.now(),
            )  # fmt: skip
            await once.remember(connection, account, str(added))
        known = await recipients.find_recipient(
            connection, account, RecipientId.parse(seen) if seen is not None else added
        )
    trial = base64.b64encode(recipients.trial(known)).decode()
    made = RecipientMade(**_fields(known, parts.clock.now()), trial=trial)
    return Response(made, headers=REPLAYED if seen is not None else {})


@get(
    "/v1/recipients",
    **operation("list-recipients", "Recipients", Scope.READ, summary="List public keys"),
)
async def list_recipients(here: Here) -> Recipients:
    """All of them with what became of them; a recording's `key_id` stays explained."""
    async with here.parts.database.account(here.account) as connection:
        known = await recipients.list_recipients(connection, here.account)
    now = here.parts.clock.now()
    return Recipients(items=[RecipientSeen(**_fields(one, now)) for one in known])


@get(
    "/v1/recipients/{recipient_id:str}",
    **operation(
        "get-recipient", "Recipients", Scope.READ, summary="Look at a public key",
        raises=(RecipientMissing, IdMalformed),
    ),
)  # fmt: skip
async def get_recipient(here: Here, recipient_id: RecipientPath) -> RecipientSeen:
    """One of the account's keys."""
    wanted = id_in_address(RecipientId, recipient_id)
    async with here.parts.database.account(here.account) as connection:
        known = await recipients.find_recipient(connection, here.account, wanted)
    return RecipientSeen(**_fields(known, here.parts.clock.now()))


@delete(
    "/v1/recipients/{recipient_id:str}",
    **operation(
        "retire-recipient", "Recipients", Scope.CONFIGURE, summary="Retire a public key",
        raises=(RecipientMissing, IdMalformed),
    ),
)  # fmt: skip
async def retire_recipient(here: Here, recipient_id: RecipientPath) -> None:
    """No recording that begins from now on is sealed to it. What was sealed to it stays so: keep the secret key."""
    wanted = id_in_address(RecipientId, recipient_id)
    async with here.parts.database.account(here.account) as connection:
        await recipients.retire_recipient(connection, here.account, wanted, now=here.parts.clock.now())


def _fields(known: KnownRecipient, now: dt.datetime) -> dict[str, Any]:
    return {
        "id": str(known.recipient),
        "public_key": known.public_key,
        "label": known.label,
        "valid": known.is_valid(now),
        "created_at": known.created_at,
        "expires_at": known.expires_at,
        "retired_at": known.retired_at,
    }
