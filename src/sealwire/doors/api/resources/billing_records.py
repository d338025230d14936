"""Billing records: what was charged, listed and summed without content. A number in one is opened for a purpose."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from sealwire.communications.accounting import billing
from sealwire.custody.categories import BillingRecord, category_of
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.store import StoredRecord
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    Commitment,
    DueOn,
    IsRestricted,
    Moment,
    NextCursor,
    NumberText,
    PurposeHeader,
    PurposeText,
    RecordIdText,
    RecordPath,
    base64_text,
    id_in_address,
)
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit
from sealwire.doors.api.parts import Here
from sealwire.doors.api.periods import From, PeriodWrong, To, period_of
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.doors.api.records import OPENING, find_one, open_one, page_of
from sealwire.doors.api.resources.usage import AmountMillicents, ItemUsage
from sealwire.governance.principals import Scope
from sealwire.vocabulary import RecordId

BILLING = category_of(BillingRecord)
NAME = "billing-records"


class BillingSeen(msgspec.Struct, kw_only=True):
    """A billing record without its number."""

    id: RecordIdText
    call_id: Annotated[str | None, Meta(examples=["call_5f0c1e2d9a7b4c6e8f10213243546576"])]
    message_id: Annotated[str | None, Meta(examples=[None])]
    ended_at: Moment
    item: Annotated[str | None, Meta(description="In the tariff's words.", examples=["pstn-minute"])]
    units: Annotated[int | None, Meta(description="Billed seconds, or segments.", examples=[60])]
    amount_millicents: AmountMillicents
    tariff: Annotated[str | None, Meta(description="Its name and hash.", examples=["standard-2026-11@b82a4ba29302"])]
    detached: Annotated[
        bool, Meta(description="The person was erased: the number is gone, the amount stays.", examples=[False])
    ]
    due_on: DueOn
    commitment: Commitment
    restricted: IsRestricted = False


class BillingPage(msgspec.Struct, kw_only=True):
    """A page of billing records, newest first."""

    items: list[BillingSeen]
    next_cursor: NextCursor


class TariffSums(ItemUsage, kw_only=True):
    """What one item came to by one tariff."""

    tariff: Annotated[str, Meta(examples=["standard-2026-11@b82a4ba29302"])]
    day: Annotated[dt.date, Meta(examples=["2026-11-23"])]


class BillingSums(msgspec.Struct, kw_only=True):
    """Sums by UTC day, item and tariff."""

    begins: Moment
    ends: Moment
    amount_millicents: AmountMillicents
    items: list[TariffSums]


class BillingContent(msgspec.Struct, kw_only=True):
    """What was sealed in a billing record."""

    destination: NumberText


class OpenedBilling(msgspec.Struct, kw_only=True):
    """An opened billing record."""

    id: RecordIdText
    purpose: PurposeText
    content: BillingContent


@get(
    "/v1/billing-records",
    **operation("list-billing-records", "Usage", Scope.READ, summary="List billing records", raises=(CursorMalformed,)),
)
async def list_billing_records(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> BillingPage:
    """Newest first, without numbers. They are kept as long as the law on invoices demands."""
    page, next_cursor = await page_of(here, BILLING, kind=NAME, cursor=cursor, limit=limit)
    return BillingPage(items=[_seen(row) for row in page], next_cursor=next_cursor)


@get(
    "/v1/billing-records/sums",
    **operation("sum-billing-records", "Usage", Scope.READ, summary="Sum billing records", raises=(PeriodWrong,)),
)
async def sum_billing_records(here: Here, from_: From = None, to: To = None) -> BillingSums:
    """What an invoice shows; those whose number was erased are in it."""
    period = period_of(from_, to, here.parts.clock)
    async with here.parts.database.account(here.account) as connection:
        rows = await billing.sums(connection, here.account, period)
    items = [msgspec.convert(row, TariffSums) for row in rows]
    total = sum(item.amount_millicents for item in items)
    return BillingSums(begins=period.begins, ends=period.ends, amount_millicents=total, items=items)


@get(
    "/v1/billing-records/{record_id:str}",
    **operation(
        "get-billing-record", "Usage", Scope.READ, summary="Look at a billing record",
        raises=(RecordMissing, RecordErased, IdMalformed),
    ),
)  # fmt: skip
async def get_billing_record(here: Here, record_id: RecordPath) -> BillingSeen:
    """Without its number."""
    return _seen(await find_one(here, BILLING, id_in_address(RecordId, record_id)))


@get(
    "/v1/billing-records/{record_id:str}/content",
    **operation(
        "open-billing-record", "Usage", Scope.OPEN, summary="Open the number in a billing record",
        raises=OPENING,
    ),
)  # fmt: skip
async def open_billing_record(here: Here, record_id: RecordPath, purpose: PurposeHeader = None) -> OpenedBilling:
    """Who opens it, and why, stands in the log first. Once its person was erased there is nothing left to open."""
    stated, record = here.principal.purpose(purpose), id_in_address(RecordId, record_id)
    stored = await find_one(here, BILLING, record)
    if stored.is_detached:
        raise await here.parts.custody.erasure_of_person(here.account, record)
    opened = await open_one(here, stored, purpose=stated)
    content = BillingContent(destination=str(opened.content.reveal()["destination"]))
    return OpenedBilling(id=str(record), purpose=stated.value, content=content)


def _seen(row: StoredRecord) -> BillingSeen:
    plain = row.plain
    return BillingSeen(
        id=str(row.record), call_id=str(plain["call_id"]) if plain["call_id"] else None,
        message_id=str(plain["message_id"]) if plain["message_id"] else None, ended_at=plain["ended_at"],
        item=plain["item"], units=plain["units"], amount_millicents=plain["amount_millicents"],
        tariff=plain["tariff"], detached=row.is_detached, due_on=row.due_day.date,
        commitment=base64_text(row.commitment), restricted=row.restricted,
    )  # fmt: skip
