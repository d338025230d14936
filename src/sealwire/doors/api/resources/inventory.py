"""The inventory: what is held for the account, by category; opens nothing."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated

import msgspec
from litestar import get
from msgspec import Meta

from sealwire.custody.backups.cycle import cycle
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


class BackupsSeen(msgspec.Struct, kw_only=True):
    """The backups of the whole installation: what is removed here lies in them until they are destroyed."""

    cycle_days: Annotated[
        int, Meta(description="Days from the base of a chain until all of the chain is destroyed.", examples=[28])
    ]
    backups: Annotated[int, Meta(description="How many there are.", examples=[3])]
    oldest_made_at: Annotated[Moment | None, Meta(description="When the oldest of them was begun.")]
    newest_made_at: Annotated[Moment | None, Meta(description="When the newest of them was begun.")]
    next_end: Annotated[
        dt.date | None, Meta(description="After this day the next of them is destroyed.", examples=["2026-12-21"])
    ]


class Inventory(msgspec.Struct, kw_only=True):
    """Everything held for the account, and the backups that hold copies of it."""

    categories: list[InventoryLineSeen]
    backups: BackupsSeen


@get(
    "/v1/inventory", **operation("get-inventory", "Inventory", Scope.READ, summary="What do you hold for this account?")
)
async def get_inventory(here: Here) -> Inventory:
    """One line per category, empty ones included: absence is an answer too."""
    lines = await inventory(here.parts.custody, here.account)
    now = await asyncio.to_thread(cycle, here.parts.settings, clock=here.parts.clock)
    return Inventory(
        categories=[msgspec.convert(line, InventoryLineSeen, from_attributes=True) for line in lines],
        backups=BackupsSeen(
            cycle_days=now.days,
            backups=now.backups,
            oldest_made_at=now.oldest_made_at,
            newest_made_at=now.newest_made_at,
            next_end=now.next_end,
        ),
    )
