"""Accounts: one controller's tenancy each, with its own log, its own key tree and its own object prefix."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from sealwire.errors import Malformed, Missing, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import E164, AccountId, Party

_queries = load_queries(__package__)
SERVICES = ("greeting",)


class AccountMissing(Missing):
    """Nothing is known under this id."""


class NumberTaken(Refused):
    """This number cannot be assigned: it already routes to a service here."""


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


async def create(
    connection: Connection, account: AccountId, *, name: str, log_origin: str, log_vkey: str, clock: Clock
) -> Account:
    """Write a new account in the caller's transaction (which is this account's), with its leaf."""
    if not 1 <= len(name.strip()) <= 200:
        raise Malformed("an account's name has 1 to 200 characters")
    created = Account(account, name.strip(), secrets.token_hex(16), log_origin, log_vkey, clock.now(), None)
    await connection.execute(
        _queries.insert_account, account.value, created.name, created.object_prefix,
        log_origin, log_vkey, created.created_at,
    )  # fmt: skip
    payload = {"log": log_origin, "at": rfc3339(created.created_at)}
    await post_event(connection, account, LeafClass.ACCOUNT_CREATED, payload, mentions=[])
    return created


async def find(connection: Connection, account: AccountId) -> Account:
    """The account of this transaction; AccountMissing for any other."""
    row = await connection.fetchrow(_queries.find_account, account.value)
    if row is None:
        raise AccountMissing
    return Account(account, *list(row)[1:])


async def assign_number(
    connection: Connection, account: AccountId, number: E164, *, service: str, clock: Clock
) -> None:
    """Route a number to a service of this account; only the operator does this."""
    if service not in SERVICES:
        raise Malformed(f"no such service; one of: {', '.join(SERVICES)}")
    try:
        await connection.execute(_queries.insert_number, account.value, number.text, service, clock.now())
    except asyncpg.UniqueViolationError:
        raise NumberTaken from None


async def list_numbers(connection: Connection, account: AccountId) -> list[dict[str, object]]:
    """The numbers that route to this account."""
    return [dict(row) for row in await connection.fetch(_queries.list_numbers, account.value)]


@dataclass(frozen=True, slots=True)
class NumberRoute:
    """Where a dialled number leads, and whether an agreement is in force there."""

    account: AccountId
    service: str
    agreed: bool


async def route_of(database: Database, callee: Party) -> NumberRoute | None:
    """Which account and service a dialled number belongs to, before any account is known."""
    async with database.system() as connection:
        row = await connection.fetchrow(_queries.route_number, callee.text)
    return NumberRoute(AccountId(row["account_id"]), row["service"], row["agreed"]) if row else None


async def accounts_with_numbers(database: Database) -> list[AccountId]:
    """Every account that takes calls."""
    async with database.system() as connection:
        return [AccountId(row["account_id"]) for row in await connection.fetch(_queries.accounts_with_numbers)]
