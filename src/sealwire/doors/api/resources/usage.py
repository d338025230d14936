"""Usage: calls, minutes, messages, money and storage of an account, day by day. From plain columns: opens nothing."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.params import QueryParameter
from msgspec import Meta

from sealwire.communications.accounting import billing
from sealwire.custody.inventory import inventory
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import Moment
from sealwire.doors.api.parts import Here
from sealwire.doors.api.periods import From, PeriodWrong, To, period_of
from sealwire.governance.principals import Scope

By = Annotated[Literal["day", "total"], QueryParameter(description="`day`: one entry a UTC day; `total`: one in all.")]
AmountMillicents = Annotated[int, Meta(description="In 1/1000 cent of the tariff's currency.", examples=[12_300])]


class ItemUsage(msgspec.Struct, kw_only=True):
    """What was charged for one item of the tariff."""

    item: Annotated[str, Meta(examples=["pstn-minute"])]
    charges: Annotated[int, Meta(examples=[12])]
    units: Annotated[
        int, Meta(description="Billed seconds of a -minute item; segments of sms-segment.", examples=[720])
    ]
    amount_millicents: AmountMillicents


class Usage(msgspec.Struct, kw_only=True):
    """What was used in one day, or in all."""

    day: Annotated[dt.date | None, Meta(description="UTC; null for the total.", examples=["2026-11-23"])]
    calls_in: Annotated[int, Meta(examples=[10])] = 0
    calls_out: Annotated[int, Meta(examples=[4])] = 0
    calls_answered: Annotated[int, Meta(examples=[12])] = 0
    minutes: Annotated[float, Meta(description="From answer to end, all calls.", examples=[31.5])] = 0.0
    messages_in: Annotated[int, Meta(examples=[3])] = 0
    messages_out: Annotated[int, Meta(examples=[8])] = 0
    segments: Annotated[int, Meta(examples=[14])] = 0
    amount_millicents: AmountMillicents = 0
    items: list[ItemUsage] = []


class StorageUsage(msgspec.Struct, kw_only=True):
    """What is stored now."""

    category: Annotated[str, Meta(examples=["recording"])]
    records: Annotated[int, Meta(examples=[12])]
    bytes: Annotated[int, Meta(examples=[1_598_720])]


class UsageSeen(msgspec.Struct, kw_only=True):
    """Usage of a period, and what is stored at this moment."""

    begins: Moment
    ends: Moment
    items: list[Usage]
    storage: list[StorageUsage]


@get("/v1/usage", **operation("get-usage", "Usage", Scope.READ, summary="What the account used", raises=(PeriodWrong,)))
async def get_usage(here: Here, from_: From = None, to: To = None, by: By = "day") -> UsageSeen:
    """Counted by the day on which a call ended or a message was accepted. What was erased is in no count but the
    amounts. Days without anything are left out.
    """
    period, account = period_of(from_, to, here.parts.clock), here.account
    async with here.parts.database.account(account) as connection:
        calls = await billing.calls_by_day(connection, account, period)
        messages = await billing.messages_by_day(connection, account, period)
        charges = await billing.sums(connection, account, period)
    found: dict[dt.date | None, Usage] = {} if by == "day" else {None: Usage(day=None, items=[])}
    for rows, add in ((calls, _add_calls), (messages, _add_messages), (charges, _add_charges)):
        for day, row in _by(by, rows):
            add(found.setdefault(day, Usage(day=day, items=[])), row)
    lines = await inventory(here.parts.custody, account)
    return UsageSeen(
        begins=period.begins, ends=period.ends, items=[found[day] for day in sorted(found, key=str)],
        storage=[StorageUsage(category=line.category, records=line.records, bytes=line.bytes) for line in lines],
    )  # fmt: skip


def _by(by: str, rows: list[dict[str, Any]]) -> Iterable[tuple[dt.date | None, dict[str, Any]]]:
    return ((row["day"] if by == "day" else None, row) for row in rows)


def _add_calls(usage: Usage, row: dict[str, Any]) -> None:
    if str(row["direction"]).startswith("in"):
        usage.calls_in += row["calls"]
    else:
        usage.calls_out += row["calls"]
    usage.calls_answered += row["answered"]
    usage.minutes = round(usage.minutes + row["seconds"] / 60, 3)


def _add_messages(usage: Usage, row: dict[str, Any]) -> None:
    if str(row["direction"]).startswith("in"):
        usage.messages_in += row["messages"]
    else:
        usage.messages_out += row["messages"]
    usage.segments += row["segments"]


def _add_charges(usage: Usage, row: dict[str, Any]) -> None:
    usage.amount_millicents += row["amount_millicents"]
    item = next((each for each in usage.items if each.item == row["item"]), None)
    if item is None:
        item = ItemUsage(item=row["item"], charges=0, units=0, amount_millicents=0)
        usage.items.append(item)
    item.charges += row["charges"]
    item.units += row["units"]
    item.amount_millicents += row["amount_millicents"]
