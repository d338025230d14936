"""What is on its way to endpoints, as the account sees it, and sending once more what has ended."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from sealwire.communications.webhooks import endpoints
from sealwire.custody.categories import WebhookDelivery
from sealwire.custody.categories import category_of as _category_of
from sealwire.custody.lifecycle import Custody
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, DeliveryId, EndpointId, Purpose, RecordId

_queries = load_queries(__package__)
DELIVERIES = _category_of(WebhookDelivery)


@dataclass(frozen=True, slots=True)
class Pending:
    """One delivery that has not ended."""

    delivery: DeliveryId
    endpoint: EndpointId
    event: str
    announced_at: dt.datetime
    due_at: dt.datetime
    attempts: int
    last_status: int | None


async def find_pending(connection: Connection, account: AccountId, delivery: DeliveryId) -> Pending | None:
    """One delivery, if it has not ended."""
    row = await connection.fetchrow(_queries.find_pending, account.value, delivery.value)
    return _pending(row) if row is not None else None


async def list_pending(
    connection: Connection, account: AccountId, *, before: tuple[dt.datetime, UUID] | None, limit: int
) -> list[Pending]:
    """What is on its way, newest first."""
    moment, last = before or (None, None)
    return [_pending(row) for row in await connection.fetch(_queries.list_pending, account.value, moment, last, limit)]


async def try_now(connection: Connection, account: AccountId, delivery: DeliveryId, *, clock: Clock) -> None:
    """Do not wait any longer with this one."""
    await connection.execute(_queries.try_now, account.value, delivery.value, clock.now())


async def references_of(
    custody: Custody, principal: Principal, delivery: DeliveryId
) -> tuple[EndpointId, str, dict[str, str | int | bool]]:
    """Endpoint, event and references of a delivery that has ended; RecordMissing, RecordErased.

    Its body is opened for service operation, under the credential that asked: nobody is shown it, it is sent again.
    """
    account = principal.in_account()
    opener = Principal(principal.credential, account, frozenset({Scope.OPEN}), Purpose.SERVICE_OPERATION)
    record = RecordId(delivery.value)
    (opened,) = await custody.open(opener, [record], purpose=Purpose.SERVICE_OPERATION, category=DELIVERIES)
    told = msgspec.json.decode(str(opened.content.reveal()["body"]))
    return opened.stored.plain["endpoint_id"], str(opened.stored.plain["event"]), told["data"]


async def send_again(
    connection: Connection,
    account: AccountId,
    told: tuple[EndpointId, str, dict[str, str | int | bool]],
    *,
    clock: Clock,
) -> DeliveryId:
    """A new delivery of the same references. EndpointMissing when the endpoint was removed, EndpointNotActive."""
    endpoint, event, references = told
    return await endpoints.tell_one(connection, account, endpoint, event, references, clock=clock)


def _pending(row: Any) -> Pending:
    return Pending(
        delivery=DeliveryId(row["delivery_id"]), endpoint=EndpointId(row["endpoint_id"]), event=row["event"],
        announced_at=row["announced_at"], due_at=row["due_at"], attempts=row["attempts"],
        last_status=row["last_status"],
    )  # fmt: skip
