"""Who is told that something of a person was erased, corrected or restricted (GDPR Art. 19), beside the request.

The rows are written in the transaction in which the request is done, with the events that tell: neither is there
without the other. Whom this installation cannot tell is listed all the same, for the controller to tell.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from sealwire.custody.categories import BY_CODE, Category
from sealwire.custody.requests.workflow import Request
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, DeliveryId, SubjectRequestId

OnDone = Callable[[Connection, Request], Awaitable[None]]
"""What else is written in the transaction in which a request is done."""
_queries = load_queries(__package__)


@dataclass(frozen=True, slots=True)
class Notice:
    """One recipient of a request: what they are, their id, and the event that tells them; none: the controller does."""

    kind: str
    recipient: UUID
    delivery: DeliveryId | None
    at: dt.datetime


async def nothing_else(connection: Connection, request: Request) -> None:
    """For who has nobody to tell."""


async def categories_touched(connection: Connection, request: Request) -> list[Category]:
    """Of which categories something was erased, corrected or restricted for this request."""
    rows = await connection.fetch(_queries.categories_touched, request.account.value, request.request.value)
    return [BY_CODE[row["category"]] for row in rows]


async def put_notice(connection: Connection, request: Request, notice: Notice) -> None:
    """Write one down; once for each recipient."""
    delivery = notice.delivery.value if notice.delivery is not None else None
    await connection.execute(
        _queries.insert_notice, request.account.value, request.request.value, notice.kind, notice.recipient, delivery,
        notice.at,
    )  # fmt: skip


async def notices_of(connection: Connection, account: AccountId, request: SubjectRequestId) -> list[Notice]:
    """The recipients of this request."""
    rows = await connection.fetch(_queries.notices_of, account.value, request.value)
    return [
        Notice(row["kind"], row["recipient_id"], DeliveryId(row["delivery_id"]) if row["delivery_id"] else None,
               row["noted_at"])
        for row in rows
    ]  # fmt: skip
