"""Billing records: what was charged, kept through custody; and sums of them from plain columns, which open nothing."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid5

from sealwire.communications.accounting.port import Charge
from sealwire.custody.categories import BillingRecord
from sealwire.custody.lifecycle import Custody, RecordErased
from sealwire.governance.spending import forget_billed
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, CallId, MessageId, Party, RecordId

_queries = load_queries(__package__)
NOBODY = Party("anonymous")


async def keep_charges(
    custody: Custody,
    account: AccountId,
    charges: list[Charge],
    *,
    call: CallId | None,
    message: MessageId | None,
    destination: Party,
    ended_at: dt.datetime,
) -> None:
    """Keep one billing record for each charge; told again, it is kept once.

    What they were settled from is forgotten only then, so that a crash before finds it again.
    """
    settled_from = await keep_billed(
        custody, account, charges, call=call, message=message, destination=destination, ended_at=ended_at
    )
    async with custody.database.account(account) as connection:
        await forget_billed(connection, account, settled_from)


async def keep_billed(
    custody: Custody,
    account: AccountId,
    charges: list[Charge],
    *,
    call: CallId | None,
    message: MessageId | None,
    destination: Party,
    ended_at: dt.datetime,
) -> set[UUID]:
    """As `keep_charges`, without forgetting: what they were settled from, for `forget_billed` of many at once.

    When the call or message was erased while it went on, the amounts are kept without it and without the number.
    """
    for place, charge in enumerate(charges):
        record_id = _record_id(charge, place, call.value if call else message.value if message else None)
        try:
            await custody.keep(
                account, _record(charge, call, message, destination, ended_at), record_id=record_id
            )  # fmt: skip
        except RecordErased:
            await custody.keep(account, _record(charge, None, None, NOBODY, ended_at), record_id=record_id)
    return {charge.reservation for charge in charges if charge.reservation is not None}


def _record(
    charge: Charge, call: CallId | None, message: MessageId | None, destination: Party, ended_at: dt.datetime
) -> BillingRecord:
    return BillingRecord(
        call_id=call, message_id=message, ended_at=ended_at, destination=destination, item=charge.item,
        seconds_charged=charge.units if charge.item.endswith("-minute") else 0, units=charge.units,
        amount_millicents=charge.amount_millicents, tariff=charge.tariff,
    )  # fmt: skip


def _record_id(charge: Charge, place: int, of: UUID | None) -> RecordId:
    """The same for the same charge: by what it was settled from, or by its place among those of its call."""
    origin = charge.reservation.hex if charge.reservation else f"{of.hex if of else 'nothing'}/{place}"
    return RecordId(uuid5(NAMESPACE_OID, f"sealwire/charge/{origin}/{charge.item}"))


@dataclass(frozen=True, slots=True)
class Period:
    """From the first moment to before the last, both in UTC."""

    begins: dt.datetime
    ends: dt.datetime


async def sums(connection: Connection, account: AccountId, period: Period) -> list[dict[str, Any]]:
    """By UTC day, item and tariff: how many charges, units and millicents."""
    return await _rows(connection, _queries.sums, account, period)


async def calls_by_day(connection: Connection, account: AccountId, period: Period) -> list[dict[str, Any]]:
    """By UTC day and direction: calls, those answered, and their seconds."""
    return await _rows(connection, _queries.calls_by_day, account, period)


async def messages_by_day(connection: Connection, account: AccountId, period: Period) -> list[dict[str, Any]]:
    """By UTC day and direction: messages and their segments."""
    return await _rows(connection, _queries.messages_by_day, account, period)


async def _rows(connection: Connection, statement: str, account: AccountId, period: Period) -> list[dict[str, Any]]:
    return [dict(row) for row in await connection.fetch(statement, account.value, period.begins, period.ends)]
