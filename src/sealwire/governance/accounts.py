"""Accounts: one controller's tenancy each, with its own log, its own key tree and its own object prefix."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg

from sealwire.errors import Malformed, Missing, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.governance import service_book
from sealwire.governance.services import Direction
from sealwire.governance.standing import AccountIsClosed
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import E164, AccountId, ClosureId, CredentialId, NumberId, ServiceId

_queries = load_queries(__package__)


class AccountMissing(Missing):
    """Nothing is known under this id."""


class NumberTaken(Refused):
    """This number cannot be assigned: it already routes to a service here."""


class NumberMissing(Missing):
    """No number of this account is known under this id."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `object_prefix` is random, so that object names say nothing."""

    account: AccountId
    name: str
    object_prefix: str
    log_origin: str
    log_vkey: str
    created_at: datetime
    closed_at: datetime | None
    country: str | None = None
    closure: ClosureId | None = None


async def create(
    connection: Connection,
    account: AccountId,
    *,
    name: str,
    log_origin: str,
    log_vkey: str,
    clock: Clock,
    country: str | None = None,
) -> Account:
    """Write a new account in the caller's transaction (which is this account's), with its leaf.

    `country` decides how long its invoices are kept; None: as those of the operator.
    """
    if not 1 <= len(name.strip()) <= 200:
        raise Malformed("an account's name has 1 to 200 characters")
    created = Account(account, name.strip(), secrets.token_hex(16), log_origin, log_vkey, clock.now(), None, country)
    await connection.execute(
        _queries.insert_account, account.value, created.name, created.object_prefix,
        log_origin, log_vkey, created.created_at, country,
    )  # fmt: skip
    payload = {"log": log_origin, "at": rfc3339(created.created_at)}
    await post_event(connection, account, LeafClass.ACCOUNT_CREATED, payload, mentions=[])
    return created


async def find(connection: Connection, account: AccountId) -> Account:
    """The account of this transaction; AccountMissing for any other."""
    row = await connection.fetchrow(_queries.find_account, account.value)
    if row is None:
        raise AccountMissing
    closure = ClosureId(row["closure_id"]) if row["closure_id"] is not None else None
    named = ("name", "object_prefix", "log_origin", "log_vkey", "created_at", "closed_at", "country")
    return Account(account=account, closure=closure, **{name: row[name] for name in named})


async def find_open(connection: Connection, account: AccountId) -> Account:
    """The same, for what changes it; AccountIsClosed once it is closed."""
    found = await find(connection, account)
    if found.closed_at is not None and found.closure is not None:
        raise AccountIsClosed.since(found.closed_at, found.closure)
    return found


@dataclass(frozen=True, slots=True)
class AssignedNumber:
    """One number of an account: the service that answers it (None: nothing does), or shown as caller only."""

    id: NumberId
    number: str = field(repr=False)
    service: ServiceId | None
    service_name: str | None
    built_in: str | None
    caller_only: bool
    assigned_at: datetime


async def assign_number(
    connection: Connection,
    account: AccountId,
    number: E164,
    *,
    service: ServiceId | str | None,
    caller_only: bool = False,
    clock: Clock,
) -> NumberId:
    """Give the account a number, with its leaf; only the operator does this.

    A built-in's name in place of a service finds that built-in's service, or makes it. A number that is shown as
    caller only is one the operator has verified: it routes nowhere.
    """
    if isinstance(service, str):
        service = await service_book.built_in_service(connection, account, service, clock=clock)
    elif service is not None:
        await service_book.find_service(connection, account, service)
    if caller_only and service is not None:
        raise Malformed("a number that is shown as caller only is answered by no service")
    assigned, now = NumberId.new(), clock.now()
    try:
        await connection.execute(
            _queries.insert_number, account.value, assigned.value, number.text, service and service.value, caller_only,
            now,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise NumberTaken from None
    await service_book.note_change(connection, account, "number.assigned", assigned, by=None, clock=clock)
    return assigned


async def point_number(
    connection: Connection,
    account: AccountId,
    number: NumberId,
    *,
    service: ServiceId | None,
    by: CredentialId,
    clock: Clock,
) -> AssignedNumber:
    """From the next call on this service answers; None: nothing does. NumberMissing, ServiceMissing."""
    found = await find_number(connection, account, number)
    if service is not None:
        kept = await service_book.find_service(connection, account, service)
        if found.caller_only:
            raise Malformed("this number is shown as caller only: calls to it are not routed here")
        if kept.direction is Direction.OUTBOUND:
            raise Malformed("this service is for outbound calls only; choose one for inbound calls")
    await connection.execute(_queries.point_number, account.value, number.value, service and service.value)
    await service_book.note_change(connection, account, "number.pointed", number, by=by, clock=clock)
    return await find_number(connection, account, number)


async def remove_number(connection: Connection, account: AccountId, number: NumberId, *, clock: Clock) -> None:
    """It stops routing with this transaction's end; only the operator does this. NumberMissing."""
    if await connection.fetchrow(_queries.remove_number, account.value, number.value) is None:
        raise NumberMissing
    await service_book.note_change(connection, account, "number.removed", number, by=None, clock=clock)


async def find_number(connection: Connection, account: AccountId, number: NumberId) -> AssignedNumber:
    """One number of this account; NumberMissing."""
    for each in await list_numbers(connection, account):
        if each.id == number:
            return each
    raise NumberMissing


async def list_numbers(connection: Connection, account: AccountId) -> list[AssignedNumber]:
    """The numbers of this account."""
    rows = await connection.fetch(_queries.list_numbers, account.value)
    return [
        AssignedNumber(
            NumberId(row["number_id"]), row["number"], ServiceId(row["service_id"]) if row["service_id"] else None,
            row["name"], json.loads(row["logic"]).get("name") if row["logic"] else None, row["caller_only"],
            row["assigned_at"],
        )
        for row in rows
    ]  # fmt: skip


async def numbers_shown(connection: Connection, account: AccountId) -> list[str]:
    """The numbers this account may show as caller, its own first, oldest first."""
    return [row["number"] for row in await connection.fetch(_queries.numbers_shown, account.value)]


async def accounts_with_numbers(database: Database) -> list[AccountId]:
    """Every account whose calls may have been up: it has numbers or services."""
    async with database.system() as connection:
        return [AccountId(row["account_id"]) for row in await connection.fetch(_queries.accounts_with_numbers)]
