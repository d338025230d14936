"""Health: which parts are ready, and what the keeper says of itself. The one operation without a credential."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from msgspec import Meta

from sealwire.custody.store import queries
from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.parts import PartsHere
from sealwire.errors import SealwireError
from sealwire.ground.postgres.database import Database

CHECK_S_MAX = 3.0
ONE_HOLDER = "not disaster-recoverable: one key holder; if its disk is lost, everything that was sealed is lost"

ONE_DEVICE = "not disaster-recoverable: all key holders lie on one device"


class Ready(msgspec.Struct, kw_only=True):
    """Which parts answer."""

    database: bool
    keeper: Annotated[bool, Meta(description="Without it nothing is opened and nothing is kept.")]
    sequencer: Annotated[bool, Meta(description="Without it nothing is opened.")]
    index: Annotated[bool, Meta(description="Without it questions by number are answered 503 until it is rebuilt.")]


class KeeperSeen(msgspec.Struct, kw_only=True):
    """What the keeper says of itself."""

    effaceability_class: Annotated[
        str, Meta(description="Whether 32 bytes can really be destroyed here.", examples=["verified in place"])
    ]
    reason: Annotated[str, Meta(examples=["the overwritten block was read back from the device"])]
    disaster_recoverable: bool
    note: Annotated[str | None, Meta(examples=[ONE_HOLDER])]


class Health(msgspec.Struct, kw_only=True):
    """Whether this installation is ready to work."""

    is_ready: bool
    ready: Ready
    keeper: KeeperSeen | None


@get("/v1/health", **operation("get-health", "Health", Who.ANYBODY, summary="Is it ready?"))
async def get_health(parts: PartsHere) -> Response[Health]:
    """200 when every part is ready, 503 with the same body otherwise."""
    index, sequencer, status = await asyncio.gather(
        _answer(_index_is_whole(parts.database)),
        _answer(parts.sequencer.status()),
        _answer(parts.custody.keeper.status()),
    )
    ready = Ready(
        database=index is not None, keeper=status is not None, sequencer=sequencer is not None, index=bool(index)
    )
    health = Health(
        is_ready=ready.database and ready.keeper and ready.sequencer and ready.index,
        ready=ready, keeper=_seen(status) if status is not None else None,
    )  # fmt: skip
    return Response(health, status_code=200 if health.is_ready else 503)


async def _index_is_whole(database: Database) -> bool:
    async with database.system() as connection:
        return bool(await connection.fetchval(queries.index_is_whole))


async def _answer(question: Any) -> Any:
    """What a part answers, or None when it does not."""
    try:
        return await asyncio.wait_for(question, CHECK_S_MAX)
    except (SealwireError, TimeoutError):
        return None


def _note(status: Any) -> str | None:
    if status.holders_away:
        here = status.holders - len(status.holders_away)
        return f"{here} of {status.holders} key holders answer; erasures are pending until all have signed"
    if status.disaster_recoverable:
        return None
    return ONE_HOLDER if status.holders == 1 else ONE_DEVICE


def _seen(status: Any) -> KeeperSeen:
    return KeeperSeen(
        effaceability_class=status.effaceability_class,
        reason=status.reason,
        disaster_recoverable=status.disaster_recoverable,
        note=_note(status),
    )
