"""Accounts with something of every category and of every kind of configuration, made of nothing but declarations."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any
from uuid import uuid4

import asyncpg

from sealwire.custody.categories import CATALOGUE, Category, standard_periods
from sealwire.custody.categories.codec import bare_type
from sealwire.custody.lifecycle import Custody
from sealwire.custody.retention.periods import admit
from sealwire.governance import accounts, agreements, credentials
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import E164, AccountId, CallId, CredentialId, Day, OpaqueId, Party, Purpose, RecordId

AUDIO_BYTES = 4000
_inserts = load_queries(__package__, "configuration.sql")
CONFIGURED = (
    _inserts.trunk, _inserts.endpoint, _inserts.delivery, _inserts.recipient, _inserts.message, _inserts.segment,
    _inserts.part, _inserts.words, _inserts.sender_name, _inserts.report, _inserts.program, _inserts.destination,
    _inserts.idempotency, _inserts.spending,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Resident:
    """One account of the drill and the records it was given, by category."""

    principal: Principal
    number: str
    records: dict[str, list[RecordId]] = field(default_factory=dict)

    @property
    def account(self) -> AccountId:
        return self.principal.in_account()

    @property
    def all_records(self) -> list[RecordId]:
        return [record for records in self.records.values() for record in records]


async def settle_in(custody: Custody, owner_dsn: str, number: str, *, each: int) -> Resident:
    """A new account with an agreement, a number, configuration of every kind and some records of every category."""
    principal = Principal(CredentialId.new(), AccountId.new(), frozenset({Scope.OWNER}), Purpose.SERVICE_OPERATION)
    resident, account = Resident(principal, number), principal.in_account()
    log = await custody.sequencer.open_log(account)
    await custody.keeper.create_account(account, log_vkey=log.vkey, periods=standard_periods())
    sha256, clock = agreements.document_sha256(agreements.standard_document()), custody.clock
    async with custody.database.account(account) as connection:
        await accounts.create(connection, account, name="Drill", log_origin=log.origin, log_vkey=log.vkey, clock=clock)
        await admit(connection, account, standard_periods())
        await agreements.accept_standard(
            connection, account, sha256=sha256, annex={}, accepted_by=principal.credential, clock=clock
        )
        await accounts.assign_number(connection, account, E164(number), service="greeting", clock=clock)
        await credentials.issue(
            connection, account, label="drill", scopes=[Scope.OWNER], default_purpose=None,
            issued_by=principal.credential, clock=clock,
        )  # fmt: skip
    await _configure(owner_dsn, account, clock.now())
    for category in CATALOGUE:
        resident.records[category.name] = [await keep_one(custody, account, category) for _ in range(each)]
    return resident


async def keep_one(custody: Custody, account: AccountId, category: Category) -> RecordId:
    """One record of a category, with audio where it has some."""
    at = custody.clock.now()
    values = {each.name: _value(each.type, each.name, at, is_sealed=each.is_sealed) for each in category.fields}
    if not category.has_media:
        return (await custody.keep(account, category.record(**values))).record
    media = await custody.begin_media(account, category.record, starts_at_day=Day.of(at))
    await media.write(secrets.token_bytes(AUDIO_BYTES))
    digest = await media.finish()
    values |= {each.name: digest for each in category.sealed_fields if "sha256" in each.name}
    if category.identified_by is not None:
        values[category.identified_by] = type(values[category.identified_by])(media.record.value)
    return (await custody.keep(account, category.record(**values), media=media)).record


def _value(hint: Any, name: str, at: dt.datetime, *, is_sealed: bool) -> Any:
    kind, may_be_empty = bare_type(hint)
    if may_be_empty and not is_sealed and name != "call_id":
        return None
    if name == "call_id":
        return CallId.new()
    if issubclass(kind, OpaqueId):
        return kind.new()
    if issubclass(kind, IntEnum):
        return next(iter(kind))
    made: dict[type, Any] = {
        Party: Party(f"+44163296{secrets.randbelow(10_000):04d}"), dt.datetime: at, bool: False, int: 1,
        bytes: secrets.token_bytes(32), str: f"{name} {secrets.token_hex(12)}",
    }  # fmt: skip
    return made[kind]


async def _configure(owner_dsn: str, account: AccountId, now: dt.datetime) -> None:
    """What the API's operations and the parts would have written: one row of each, as the owner of the database."""
    connection = await asyncpg.connect(owner_dsn)
    try:
        for insert in CONFIGURED:
            await connection.execute(insert, account.value, uuid4(), now)
    finally:
        await connection.close()
