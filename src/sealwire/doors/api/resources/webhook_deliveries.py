"""Deliveries of webhooks: those on their way, those that have ended and are kept, and sending one again."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from msgspec import Meta

from sealwire.communications.webhooks import deliveries
from sealwire.communications.webhooks.deliveries import DELIVERIES, Pending
from sealwire.communications.webhooks.endpoints import EndpointMissing, EndpointNotActive
from sealwire.custody.holds import Restricted
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    DueOn,
    IdempotencyKey,
    IsRestricted,
    Moment,
    MomentOrNull,
    NextCursor,
    PurposeHeader,
    PurposeText,
    id_in_address,
    in_path,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, cut_page, read_cursor
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.records import find_one, open_one, page_of
from sealwire.doors.api.resources.webhooks import DeliveryBegun, EndpointIdText
from sealwire.errors import Malformed
from sealwire.governance.principals import PurposeMissing, Scope
from sealwire.vocabulary import DeliveryId, RecordId

_EXAMPLE = "dlv_5f0c1e2d9a7b4c6e8f10213243546576"
DeliveryIdText = Annotated[str, Meta(description="The delivery's id; it is sent as `webhook-id`.", examples=[_EXAMPLE])]
DeliveryPath = Annotated[str, in_path("The delivery's id.", _EXAMPLE)]
EventText = Annotated[str, Meta(description="The event's name.", examples=["call.ended"])]
Attempts = Annotated[int, Meta(description="How often it was tried.", examples=[1])]
LastStatus = Annotated[int | None, Meta(description="The last answer's status; null: there was none.", examples=[200])]


class DeliveryPending(msgspec.Struct, kw_only=True):
    """A delivery on its way."""

    id: DeliveryIdText
    endpoint_id: EndpointIdText
    event: EventText
    announced_at: Moment
    next_attempt_at: Moment
    attempts: Attempts
    last_status: LastStatus


class PendingPage(msgspec.Struct, kw_only=True):
    """A page of deliveries on their way, newest first."""

    items: list[DeliveryPending]
    next_cursor: NextCursor


class DeliverySeen(msgspec.Struct, kw_only=True):
    """A delivery, without what was sent. `ended_at` null: it is on its way, and not kept yet."""

    id: DeliveryIdText
    endpoint_id: EndpointIdText
    event: EventText
    delivered: Annotated[bool, Meta(description="Whether it was taken.", examples=[True])]
    attempts: Attempts
    last_status: LastStatus
    ended_at: MomentOrNull
    due_on: DueOn | None
    restricted: IsRestricted = False


class DeliveryPage(msgspec.Struct, kw_only=True):
    """A page of deliveries that have ended, newest first."""

    items: list[DeliverySeen]
    next_cursor: NextCursor


class DeliveryContent(msgspec.Struct, kw_only=True):
    """What was sent, and where."""

    address: Annotated[str, Meta(examples=["https://example.org/sealwire"])]
    body: Annotated[str, Meta(examples=['{"type":"call.ended","timestamp":"2026-11-23T11:30:00.000Z","data":{}}'])]


class OpenedDelivery(msgspec.Struct, kw_only=True):
    """An opened delivery."""

    id: DeliveryIdText
    purpose: PurposeText
    content: DeliveryContent


@get(
    "/v1/webhook-deliveries",
    **operation(
        "list-webhook-deliveries", "Webhooks", Scope.READ, summary="List deliveries that have ended",
        raises=(CursorMalformed,),
    ),
)  # fmt: skip
async def list_webhook_deliveries(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> DeliveryPage:
    """Newest first, of all endpoints, without what was sent."""
    page, next_cursor = await page_of(here, DELIVERIES, kind="webhook-deliveries", cursor=cursor, limit=limit)
    return DeliveryPage(items=[_kept(row) for row in page], next_cursor=next_cursor)


@get(
    "/v1/webhook-deliveries/pending",
    **operation(
        "list-pending-deliveries", "Webhooks", Scope.READ, summary="List deliveries on their way",
        raises=(CursorMalformed,),
    ),
)  # fmt: skip
async def list_pending_deliveries(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> PendingPage:
    """Newest first, with when each is tried next."""
    before = read_cursor("pending-deliveries", cursor)
    async with here.parts.database.account(here.account) as connection:
        rows = await deliveries.list_pending(connection, here.account, before=before, limit=limit + 1)
    page, next_cursor = cut_page("pending-deliveries", rows, limit=limit, position=_pending_position)
    items = [
        DeliveryPending(
            id=str(row.delivery), endpoint_id=str(row.endpoint), event=row.event, announced_at=row.announced_at,
            next_attempt_at=row.due_at, attempts=row.attempts, last_status=row.last_status,
        )
        for row in page
    ]  # fmt: skip
    return PendingPage(items=items, next_cursor=next_cursor)


@get(
    "/v1/webhook-deliveries/{delivery_id:str}",
    **operation(
        "get-webhook-delivery", "Webhooks", Scope.READ, summary="Look at a delivery",
        raises=(RecordMissing, RecordErased, IdMalformed),
    ),
)  # fmt: skip
async def get_webhook_delivery(here: Here, delivery_id: DeliveryPath) -> DeliverySeen:
    """On its way or ended, without what was sent."""
    wanted = id_in_address(DeliveryId, delivery_id)
    async with here.parts.database.account(here.account) as connection:
        row = await deliveries.find_pending(connection, here.account, wanted)
    if row is not None:
        return DeliverySeen(
            id=str(row.delivery), endpoint_id=str(row.endpoint), event=row.event, delivered=False,
            attempts=row.attempts, last_status=row.last_status, ended_at=None, due_on=None,
        )  # fmt: skip
    return _kept(await find_one(here, DELIVERIES, RecordId(wanted.value)))


@get(
    "/v1/webhook-deliveries/{delivery_id:str}/content",
    **operation(
        "open-webhook-delivery", "Webhooks", Scope.OPEN, summary="Open what was sent",
        raises=(RecordMissing, RecordErased, Restricted, PurposeMissing, IdMalformed, Malformed),
    ),
)  # fmt: skip
async def open_webhook_delivery(here: Here, delivery_id: DeliveryPath, purpose: PurposeHeader = None) -> OpenedDelivery:
    """The address and the body of a delivery that has ended. One leaf in the log."""
    stated = here.principal.purpose(purpose)
    record = RecordId(id_in_address(DeliveryId, delivery_id).value)
    opened = await open_one(here, await find_one(here, DELIVERIES, record), purpose=stated)
    content = opened.content.reveal()
    return OpenedDelivery(
        id=delivery_id, purpose=stated.value,
        content=DeliveryContent(address=str(content["address"]), body=str(content["body"])),
    )  # fmt: skip


@post(
    "/v1/webhook-deliveries/{delivery_id:str}/retry",
    status_code=202,
    **operation(
        "retry-webhook-delivery", "Webhooks", Scope.CONFIGURE, summary="Send a delivery again",
        raises=(
            RecordMissing, RecordErased, EndpointMissing, EndpointNotActive, IdMalformed, IdempotencyConflict,
            IdempotencyKeyMalformed,
        ),
    ),
)  # fmt: skip
async def retry_webhook_delivery(
    here: Here, delivery_id: DeliveryPath, request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[DeliveryBegun]:
    """One on its way is tried at once. One that has ended is sent again as a new delivery, with the same references."""
    wanted, account, parts = id_in_address(DeliveryId, delivery_id), here.account, here.parts
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        resource = await once.seen(connection, account)
        is_pending = await deliveries.find_pending(connection, account, wanted) is not None
    headers = REPLAYED if resource is not None else {}
    if resource is None:
        told = None if is_pending else await deliveries.references_of(parts.custody, here.principal, wanted)
        async with parts.database.account(account) as connection:
            begun = wanted
            if told is None:
                await deliveries.try_now(connection, account, wanted, clock=parts.clock)
            else:
                begun = await deliveries.send_again(connection, account, told, clock=parts.clock)
            resource = str(begun)
            await once.remember(connection, account, resource)
    return Response(DeliveryBegun(delivery_id=resource), headers=headers, status_code=202)


def _pending_position(row: Pending) -> tuple[dt.datetime, Any]:
    return row.announced_at, row.delivery.value


def _kept(row: StoredRecord) -> DeliverySeen:
    plain = row.plain
    return DeliverySeen(
        id=str(plain["delivery_id"]), endpoint_id=str(plain["endpoint_id"]), event=plain["event"],
        delivered=plain["delivered"], attempts=plain["attempts"], last_status=plain["last_status"],
        ended_at=plain["ended_at"], due_on=row.due_day.date, restricted=row.restricted,
    )  # fmt: skip
