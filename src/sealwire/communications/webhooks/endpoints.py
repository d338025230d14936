"""Endpoints as they are stored: where an account wants to be told, of what, and signed with which secret."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sealwire.communications.egress import read_address
from sealwire.communications.signing import new_secret
from sealwire.communications.webhooks.announcer import reference_json
from sealwire.communications.webhooks.events import Event
from sealwire.errors import Missing, Refused
from sealwire.governance.service_book import note_change
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import AccountId, CredentialId, DeliveryId, EndpointId

_queries = load_queries(__package__)
ENDPOINTS_MAX = 20
ROTATION_OVERLAP = dt.timedelta(hours=24)


class EndpointMissing(Missing):
    """Nothing is known under this id."""


class TooManyEndpoints(Refused):
    """An account has at most 20 webhook endpoints; remove one that is not used."""


class EndpointNotActive(Refused):
    """This endpoint is paused or disabled, so nothing is sent there; make it active first."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint, without its secret."""

    endpoint: EndpointId
    address: str
    label: str
    events: list[Event]
    state: str
    old_secret_until: dt.datetime | None
    failing_since: dt.datetime | None
    disabled_at: dt.datetime | None
    created_at: dt.datetime
    changed_at: dt.datetime


async def create_endpoint(
    connection: Connection,
    account: AccountId,
    *,
    address: str,
    label: str,
    events: list[Event],
    by: CredentialId,
    box: SecretBox,
    clock: Clock,
) -> tuple[Endpoint, str]:
    """A new endpoint and its signing secret, which is told here only. AddressMalformed, TooManyEndpoints."""
    read_address(address)
    if await connection.fetchval(_queries.count_endpoints, account.value) >= ENDPOINTS_MAX:
        raise TooManyEndpoints
    endpoint, secret = EndpointId.new(), new_secret()
    sealed = box.seal(secret, owner=secret_owner(account, endpoint))
    await connection.execute(
        _queries.insert_endpoint, account.value, endpoint.value, address, label, sorted(set(events)), sealed,
        clock.now(),
    )  # fmt: skip
    await note_change(connection, account, "webhook.made", endpoint, by=by, clock=clock)
    return await find_endpoint(connection, account, endpoint), secret


async def find_endpoint(connection: Connection, account: AccountId, endpoint: EndpointId) -> Endpoint:
    """The endpoint as it is now; EndpointMissing."""
    row = await connection.fetchrow(_queries.find_endpoint, account.value, endpoint.value)
    if row is None:
        raise EndpointMissing
    return _endpoint(row)


async def list_endpoints(
    connection: Connection, account: AccountId, *, before: tuple[dt.datetime, UUID] | None, limit: int
) -> list[Endpoint]:
    """The account's endpoints, newest first."""
    moment, last = before or (None, None)
    return [
        _endpoint(row) for row in await connection.fetch(_queries.list_endpoints, account.value, moment, last, limit)
    ]


async def change_endpoint(
    connection: Connection,
    account: AccountId,
    wanted: Endpoint,
    *,
    by: CredentialId,
    clock: Clock,
) -> Endpoint:
    """Store what is stated in `wanted`: address, label, events and state. What waited is tried when it is due."""
    read_address(wanted.address)
    await connection.execute(
        _queries.change_endpoint, account.value, wanted.endpoint.value, wanted.address, wanted.label,
        sorted(set(wanted.events)), wanted.state, clock.now(),
    )  # fmt: skip
    await note_change(connection, account, "webhook.changed", wanted.endpoint, by=by, clock=clock)
    return await find_endpoint(connection, account, wanted.endpoint)


async def rotate_secret(
    connection: Connection, account: AccountId, endpoint: EndpointId, *, by: CredentialId, box: SecretBox, clock: Clock
) -> str:
    """A new signing secret, told here only; for a day everything is signed with both."""
    secret, now = new_secret(), clock.now()
    sealed, until = box.seal(secret, owner=secret_owner(account, endpoint)), now + ROTATION_OVERLAP
    done = await connection.fetchrow(_queries.rotate_secret, account.value, endpoint.value, sealed, until, now)
    if done is None:
        raise EndpointMissing
    await note_change(connection, account, "webhook.secret-rotated", endpoint, by=by, clock=clock)
    return secret


async def remove_endpoint(
    connection: Connection, account: AccountId, endpoint: EndpointId, *, by: CredentialId, clock: Clock
) -> None:
    """Nothing is sent there any more; what waited is kept as not delivered. EndpointMissing."""
    now = clock.now()
    if await connection.fetchrow(_queries.remove_endpoint, account.value, endpoint.value, now) is None:
        raise EndpointMissing
    await connection.execute(_queries.hurry, account.value, endpoint.value, now)
    await note_change(connection, account, "webhook.removed", endpoint, by=by, clock=clock)


async def tell_one(
    connection: Connection,
    account: AccountId,
    endpoint: EndpointId,
    event: str,
    references: dict[str, str | int | bool],
    *,
    clock: Clock,
) -> DeliveryId:
    """Put one event on its way to this endpoint alone, as a test or once more. EndpointMissing, EndpointNotActive."""
    if (await find_endpoint(connection, account, endpoint)).state != "active":
        raise EndpointNotActive
    delivery, told = DeliveryId.new(), reference_json(references)
    await connection.execute(_queries.tell_one, account.value, delivery.value, endpoint.value, event, told, clock.now())
    return delivery


def secret_owner(account: AccountId, endpoint: EndpointId) -> str:
    """What a sealed signing secret belongs to."""
    return f"{account}|webhook|{endpoint}"


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        endpoint=EndpointId(row["endpoint_id"]), address=row["address"], label=row["label"],
        events=[Event(event) for event in row["events"]], state=row["state"],
        old_secret_until=row["secret_before_until"], failing_since=row["failing_since"],
        disabled_at=row["disabled_at"], created_at=row["created_at"], changed_at=row["changed_at"],
    )  # fmt: skip
