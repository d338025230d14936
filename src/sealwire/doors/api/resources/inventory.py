"""The inventory: what is held for the account, by category; opens nothing."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from sealwire.custody.inventory import inventory
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import Moment
from sealwire.doors.api.parts import Here
from sealwire.governance.principals import Scope


class InventoryLineSeen(msgspec.Struct, kw_only=True):
    """One category."""

    category: Annotated[str, Meta(examples=["recording"])]
    purpose: Annotated[str, Meta(description="Why it is kept.", examples=["what was said, kept on instruction"])]
    role: Annotated[str, Meta(examples=["processor"])]
    records: Annotated[int, Meta(examples=[2])]
    bytes: Annotated[int, Meta(description="Sealed size, audio included.", examples=[159872])]
    oldest: Annotated[Moment | None, Meta(description="When the oldest one's retention clock started.")]
    next_expiry: Annotated[dt.date | None, Meta(description="When the next of them is due.", examples=["2026-12-21"])]
    retention_days: Annotated[int, Meta(examples=[28])]
    where: Annotated[list[str], Meta(description="The stores it lies in.", examples=[["database", "objects"]])]


class Inventory(msgspec.Struct, kw_only=True):
    """Everything held for the account."""

    categories: list[InventoryLineSeen]


@get(
    "/v1/inventory", **operation("get-inventory", "Inventory", Scope.READ, summary="What do you hold for this account?")
)
async def get_inventory(here: Here) -> Inventory:
    """One line per category, empty ones included: absence is an answer too."""
    lines = await inventory(here.parts.custody, here.account)
    return Inventory(categories=[msgspec.convert(line, InventoryLineSeen, from_attributes=True) for line in lines])
