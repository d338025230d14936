"""Delivers what is in the outbox: at least once, however often this process dies.

(1) Rows that are due are claimed for a minute, a few for each endpoint and some for each account, those with the
fewest first, so that servers that hang hold up nobody else's.
(2) Each is sent, signed; the row then says what came of it. An answer from 200 to 299 is a delivery; anything else is
tried again, later each time. (3) When it is delivered or given up, that is kept in custody, and only then the row goes.

Whoever dies in between leaves a claim that runs out: the event is sent again, under the same `webhook-id`. The rows
belong to the worker's role, custody to the service's: each does what its own role may.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from sealwire.communications.egress import Egress
from sealwire.communications.signing import signed_headers
from sealwire.communications.webhooks.announcer import OutboxAnnouncer
from sealwire.communications.webhooks.endpoints import secret_owner
from sealwire.communications.webhooks.events import Event
from sealwire.custody.categories import WebhookDelivery
from sealwire.custody.lifecycle import Custody, RecordErased
from sealwire.errors import Malformed, Refused, Unavailable
from sealwire.governance.agreements import NoAgreement
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import AccountId, DeliveryId, EndpointId

_queries = load_queries(__package__)
ANSWER_S_MAX = 15.0
ANSWER_BYTES_MAX = 64 * 1024
CLAIM = dt.timedelta(seconds=60)
AT_ONCE = 32
AT_ONCE_PER_ENDPOINT = 4
AT_ONCE_PER_ACCOUNT = 12
GONE = 410
_HOUR = 3600.0
RETRIES_S = (5.0, 300.0, 1800.0, 2 * _HOUR, 5 * _HOUR, 10 * _HOUR, 14 * _HOUR, 20 * _HOUR, 24 * _HOUR)
"""After each failed attempt; three days in all."""
KEPT_LATER = dt.timedelta(seconds=10)
GIVEN_UP_AFTER = dt.timedelta(days=3)
"""An endpoint that has taken nothing for so long is disabled."""


class Deliverer:
    """The deliveries of all accounts. One per installation."""

    def __init__(
        self,
        *,
        database: Database,
        custody: Custody,
        egress: Egress,
        box: SecretBox,
        clock: Clock,
        on_room: Callable[[], None],
    ) -> None:
        self._database, self._custody, self._egress, self._box, self._clock = database, custody, egress, box, clock
        self._announcer = OutboxAnnouncer(custody.database, clock)
        self._on_room, self._has_begun = on_room, False
        self._under_way: set[asyncio.Task[None]] = set()

    async def deliver_due(self) -> None:
        """Start delivering what is due, as far as there is room; `on_room` is called whenever one has ended."""
        room = AT_ONCE - len(self._under_way)
        if room <= 0:
            return
        now = self._clock.now()
        async with self._database.system() as connection:  # (1)
            if not self._has_begun:  # what an earlier life of this process had claimed is free
                await connection.execute(_queries.release_claims)
            rows = await connection.fetch(
                _queries.claim, now, now + CLAIM, AT_ONCE_PER_ENDPOINT, room, AT_ONCE_PER_ACCOUNT
            )
            await connection.execute(_queries.forget_removed)
        self._has_begun = True
        for row in rows:
            task = asyncio.create_task(self._deliver(_Delivery(row, clock=self._clock)))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Stop what is under way; it is delivered again after the next start."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._egress.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._on_room()

    async def _deliver(self, delivery: _Delivery) -> None:
        try:
            if delivery.ended_at is None and not await self._attempt(delivery):
                return
            await self._keep(delivery)
        except Exception as error:  # its claim runs out, and it is looked at again
            diagnostics.failure("webhook.not-handled", error, delivery=delivery.delivery)

    async def _attempt(self, delivery: _Delivery) -> bool:
        """(2) Whether the delivery has ended by this."""
        if delivery.state in ("removed", "disabled"):
            await self._note_end(delivery, delivered=False)
            return True
        delivery.attempts += 1
        delivery.last_status = await self._send(delivery)
        if delivery.last_status is not None and 200 <= delivery.last_status < 300:
            await self._execute(_queries.note_success, *delivery.whose)
            await self._note_end(delivery, delivered=True)
            return True
        is_given_up = await self._note_failure(delivery)
        if is_given_up or delivery.attempts > len(RETRIES_S):
            await self._note_end(delivery, delivered=False)
            return True
        due_at = self._clock.now() + _pause_after(delivery.attempts)
        await self._execute(
            _queries.try_later, *delivery.key, due_at, delivery.attempts, delivery.last_status
        )  # fmt: skip
        return False

    async def _send(self, delivery: _Delivery) -> int | None:
        """The status of the answer; None when there was none."""
        body = delivery.body()
        headers = signed_headers(
            body, message=str(delivery.delivery), signing_secrets=delivery.open_secrets(self._box), clock=self._clock
        )
        try:
            answered = await self._egress.post(
                delivery.address, body, headers=headers | {"Content-Type": "application/json"},
                seconds_max=ANSWER_S_MAX, bytes_max=ANSWER_BYTES_MAX, whose=str(delivery.account),
            )  # fmt: skip
        except (Malformed, Refused, Unavailable):
            return None
        return answered.status

    async def _note_failure(self, delivery: _Delivery) -> bool:
        """Whether the endpoint is given up: it says that it is gone, or it has taken nothing for days."""
        now = self._clock.now()
        async with self._database.system() as connection:
            since = await connection.fetchval(_queries.note_failure, *delivery.whose, now)
            is_given_up = delivery.last_status == GONE or (since is not None and now - since >= GIVEN_UP_AFTER)
            if not is_given_up:
                return False
            done = await connection.fetchval(_queries.disable_endpoint, *delivery.whose, now)
            await connection.execute(_queries.hurry, *delivery.whose, now)
        if done is not None:
            diagnostics.event("webhook.endpoint-disabled", account=delivery.account, endpoint=delivery.endpoint)
            await self._announcer.announce(
                delivery.account, Event.ENDPOINT_DISABLED, endpoint=str(delivery.endpoint)
            )  # fmt: skip
        return True

    async def _note_end(self, delivery: _Delivery, *, delivered: bool) -> None:
        delivery.ended_at, delivery.delivered = self._clock.now(), delivered
        await self._execute(
            _queries.end_delivery, *delivery.key, delivery.ended_at, delivery.attempts, delivery.last_status, delivered
        )

    async def _keep(self, delivery: _Delivery) -> None:
        """(3)"""
        try:
            await self._custody.keep(delivery.account, delivery.record())
        except (NoAgreement, RecordErased):
            pass  # nothing may be kept for this account, or its day was erased meanwhile
        except Unavailable:
            await self._execute(_queries.keep_later, *delivery.key, self._clock.now() + KEPT_LATER)
            return
        await self._execute(_queries.forget_delivery, *delivery.key)

    async def _execute(self, statement: str, *arguments: object) -> None:
        async with self._database.system() as connection:
            await connection.execute(statement, *arguments)


class _Delivery:
    """One row of the outbox that was claimed, with its endpoint."""

    def __init__(self, row: Any, *, clock: Clock) -> None:
        self.account, self.endpoint = AccountId(row["account_id"]), EndpointId(row["endpoint_id"])
        self.delivery = DeliveryId(row["delivery_id"])
        self.key = (row["account_id"], row["delivery_id"])
        self.whose = (row["account_id"], row["endpoint_id"])
        self.event, self.address, self.state = str(row["event"]), str(row["address"]), str(row["state"])
        self.attempts, self.last_status = int(row["attempts"]), row["last_status"]
        self.delivered, self.ended_at = bool(row["delivered"]), row["ended_at"]
        self._reference, self._announced_at = row["reference"], row["announced_at"]
        self._sealed = [row["secret"]]
        if row["secret_before"] is not None and row["secret_before_until"] > clock.now():
            self._sealed.append(row["secret_before"])

    def open_secrets(self, box: SecretBox) -> list[str]:
        return [box.unseal(sealed, owner=secret_owner(self.account, self.endpoint)) for sealed in self._sealed]

    def body(self) -> bytes:
        """The same for every attempt, as is the id it is sent under."""
        told = {
            "type": self.event, "timestamp": rfc3339(self._announced_at), "data": msgspec.json.decode(self._reference)
        }  # fmt: skip
        return msgspec.json.encode(told)

    def record(self) -> WebhookDelivery:
        return WebhookDelivery(
            delivery_id=self.delivery, endpoint_id=self.endpoint, event=self.event, ended_at=self.ended_at,
            attempts=self.attempts, last_status=self.last_status, delivered=self.delivered, address=self.address,
            body=self.body().decode(),
        )  # fmt: skip


def _pause_after(attempts: int) -> dt.timedelta:
    """How long to wait, up to a tenth longer so that what failed together does not come back together."""
    return dt.timedelta(seconds=RETRIES_S[attempts - 1] * (1 + secrets.randbelow(100) / 1000))
