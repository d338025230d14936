"""Webhooks: where an account is told of events. What came of each delivery is in `webhook_deliveries`."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from sealwire.communications.egress import AddressMalformed, AddressPlain, AddressRefused, require_usable
from sealwire.communications.webhooks import endpoints
from sealwire.communications.webhooks.endpoints import (
    Endpoint,
    EndpointMissing,
    EndpointNotActive,
    TooManyEndpoints,
)
from sealwire.communications.webhooks.events import Event
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import IdempotencyKey, Moment, MomentOrNull, NextCursor, id_in_address, in_path
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, cut_page, read_cursor
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.governance.principals import Scope
from sealwire.vocabulary import EndpointId

NAME = "webhooks"
WRONG = (AddressMalformed, AddressPlain, AddressRefused)
_EXAMPLE = "whk_5f0c1e2d9a7b4c6e8f10213243546576"
EndpointIdText = Annotated[str, Meta(description="The endpoint's id.", examples=[_EXAMPLE])]
EndpointPath = Annotated[str, in_path("The endpoint's id.", _EXAMPLE)]
Address = Annotated[
    str,
    Meta(
        description="An https address of yours, with nothing personal in it. Where its name leads is judged each time.",
        examples=["https://example.org/sealwire"], min_length=1, max_length=2000,
        extra_json_schema={"pattern": r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s]+$"},
    ),
]  # fmt: skip
Label = Annotated[str, Meta(description="In your words.", examples=["order desk"], max_length=100)]
Events = Annotated[
    list[Event], Meta(description="What to be told of.", examples=[["call.ended"]], min_length=1, max_length=50)
]
SigningSecret = Annotated[
    str | None,
    Meta(
        description="The key deliveries are signed with (Standard Webhooks); shown once, then null.",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    ),
]


class NewWebhook(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An endpoint to be made."""

    address: Address
    events: Events
    label: Label = ""


class WebhookChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; a field that is left out stays as it is."""

    address: Address | UnsetType = UNSET
    events: Events | UnsetType = UNSET
    label: Label | UnsetType = UNSET
    state: Annotated[Literal["active", "paused"], Meta(examples=["active"])] | UnsetType = UNSET


class WebhookSeen(msgspec.Struct, kw_only=True):
    """An endpoint without its secret."""

    id: EndpointIdText
    address: Address
    events: Events
    label: Label
    state: Annotated[
        Literal["active", "paused", "disabled"],
        Meta(description="`disabled`: it took nothing for three days, or said 410.", examples=["active"]),
    ]
    failing_since: MomentOrNull
    disabled_at: MomentOrNull
    signs_with_old_secret_until: MomentOrNull
    created_at: Moment
    changed_at: Moment


class WebhookMade(WebhookSeen, kw_only=True):
    """An endpoint and, once, its signing secret."""

    signing_secret: SigningSecret


class WebhookPage(msgspec.Struct, kw_only=True):
    """A page of endpoints, newest first."""

    items: list[WebhookSeen]
    next_cursor: NextCursor


class SigningSecretMade(msgspec.Struct, kw_only=True):
    """A new signing secret."""

    signing_secret: SigningSecret
    signs_with_old_secret_until: MomentOrNull


class DeliveryBegun(msgspec.Struct, kw_only=True):
    """A delivery that is on its way."""

    delivery_id: Annotated[
        str, Meta(description="The delivery's id.", examples=["dlv_5f0c1e2d9a7b4c6e8f10213243546576"])
    ]


@post(
    "/v1/webhooks",
    **operation(
        "create-webhook", "Webhooks", Scope.CONFIGURE, summary="Make a webhook endpoint",
        raises=(*WRONG, TooManyEndpoints, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def create_webhook(
    here: Here, data: JSONBody[NewWebhook], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[WebhookMade]:
    """Events carry references: ids, codes and counts, never contents. The signing secret is in this answer only."""
    account, parts = here.account, here.parts
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen, secret = await once.seen(connection, account), None
        if seen is None:
            require_usable(data.address, parts.reach)
            made, secret = await endpoints.create_endpoint(
                connection, account, address=data.address, label=data.label, events=data.events,
                by=here.principal.credential, box=parts.secretbox, clock=parts.clock,
            )  # fmt: skip
            await once.remember(connection, account, str(made.endpoint))
        else:
            made = await endpoints.find_endpoint(connection, account, EndpointId.parse(seen))
    headers = {"Location": f"/v1/webhooks/{made.endpoint}"}
    body = WebhookMade(**_fields(made), signing_secret=secret)
    return Response(body, headers=headers | (REPLAYED if seen is not None else {}))


@get(
    "/v1/webhooks",
    **operation("list-webhooks", "Webhooks", Scope.READ, summary="List webhook endpoints", raises=(CursorMalformed,)),
)
async def list_webhooks(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> WebhookPage:
    """Newest first, without their secrets."""
    before = read_cursor(NAME, cursor)
    async with here.parts.database.account(here.account) as connection:
        rows = await endpoints.list_endpoints(connection, here.account, before=before, limit=limit + 1)
    page, next_cursor = cut_page(NAME, rows, limit=limit, position=_position)
    return WebhookPage(items=[WebhookSeen(**_fields(row)) for row in page], next_cursor=next_cursor)


@get(
    "/v1/webhooks/{endpoint_id:str}",
    **operation(
        "get-webhook", "Webhooks", Scope.READ, summary="Look at a webhook endpoint",
        raises=(EndpointMissing, IdMalformed),
    ),
)  # fmt: skip
async def get_webhook(here: Here, endpoint_id: EndpointPath) -> WebhookSeen:
    """As it is now; whether it takes what it is sent is in `failing_since`."""
    wanted = id_in_address(EndpointId, endpoint_id)
    async with here.parts.database.account(here.account) as connection:
        return WebhookSeen(**_fields(await endpoints.find_endpoint(connection, here.account, wanted)))


@patch(
    "/v1/webhooks/{endpoint_id:str}",
    **operation(
        "change-webhook", "Webhooks", Scope.CONFIGURE, summary="Change a webhook endpoint",
        raises=(EndpointMissing, *WRONG, IdMalformed), body={"events": ["call.ended"], "state": "active"},
    ),
)  # fmt: skip
async def change_webhook(here: Here, endpoint_id: EndpointPath, data: JSONBody[WebhookChange]) -> WebhookSeen:
    """Fields that are left out stay. A paused endpoint is told of nothing new, and what waited goes on waiting."""
    wanted, account = id_in_address(EndpointId, endpoint_id), here.account
    stated = {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not UNSET}
    if data.address is not UNSET:
        require_usable(data.address, here.parts.reach)
    async with here.parts.database.account(account) as connection:
        now = await endpoints.find_endpoint(connection, account, wanted)
        changed = await endpoints.change_endpoint(
            connection, account, dataclasses.replace(now, **stated), by=here.principal.credential,
            clock=here.parts.clock,
        )  # fmt: skip
    return WebhookSeen(**_fields(changed))


@delete(
    "/v1/webhooks/{endpoint_id:str}",
    **operation(
        "remove-webhook", "Webhooks", Scope.CONFIGURE, summary="Remove a webhook endpoint",
        raises=(EndpointMissing, IdMalformed),
    ),
)  # fmt: skip
async def remove_webhook(here: Here, endpoint_id: EndpointPath) -> None:
    """Nothing is sent there any more. What waited is kept as not delivered; earlier deliveries stay in custody."""
    wanted = id_in_address(EndpointId, endpoint_id)
    async with here.parts.database.account(here.account) as connection:
        await endpoints.remove_endpoint(
            connection, here.account, wanted, by=here.principal.credential, clock=here.parts.clock
        )


@post(
    "/v1/webhooks/{endpoint_id:str}/signing-secret",
    **operation(
        "rotate-webhook-secret", "Webhooks", Scope.CONFIGURE, summary="Change an endpoint's signing secret",
        raises=(EndpointMissing, IdMalformed, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def rotate_webhook_secret(
    here: Here, endpoint_id: EndpointPath, request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[SigningSecretMade]:
    """For a day deliveries carry a signature by the old secret too, so that the receiver can change in its own time."""
    wanted, account, parts = id_in_address(EndpointId, endpoint_id), here.account, here.parts
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen, secret = await once.seen(connection, account), None
        if seen is None:
            secret = await endpoints.rotate_secret(
                connection, account, wanted, by=here.principal.credential, box=parts.secretbox, clock=parts.clock
            )
            await once.remember(connection, account, str(wanted))
        now = await endpoints.find_endpoint(connection, account, wanted)
    made = SigningSecretMade(signing_secret=secret, signs_with_old_secret_until=now.old_secret_until)
    return Response(made, headers=REPLAYED if seen is not None else {})


@post(
    "/v1/webhooks/{endpoint_id:str}/test",
    status_code=202,
    **operation(
        "test-webhook", "Webhooks", Scope.CONFIGURE, summary="Send a test event",
        raises=(EndpointMissing, EndpointNotActive, IdMalformed, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def send_test_event(
    here: Here, endpoint_id: EndpointPath, request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[DeliveryBegun]:
    """A `webhook.test` event goes to this endpoint, whichever events it wants; see what came of it by its id."""
    wanted, account = id_in_address(EndpointId, endpoint_id), here.account
    once = await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(account) as connection:
        resource = await once.seen(connection, account)
        headers = REPLAYED if resource is not None else {}
        if resource is None:
            begun = await endpoints.tell_one(
                connection, account, wanted, Event.TEST.value, {"endpoint": str(wanted)}, clock=here.parts.clock
            )
            resource = str(begun)
            await once.remember(connection, account, resource)
    return Response(DeliveryBegun(delivery_id=resource), headers=headers, status_code=202)


def _position(row: Endpoint) -> Position:
    return row.created_at, row.endpoint.value


def _fields(row: Endpoint) -> dict[str, Any]:
    return {
        "id": str(row.endpoint), "address": row.address, "events": row.events, "label": row.label, "state": row.state,
        "failing_since": row.failing_since, "disabled_at": row.disabled_at,
        "signs_with_old_secret_until": row.old_secret_until, "created_at": row.created_at,
        "changed_at": row.changed_at,
    }  # fmt: skip
