"""Trunks: where calls go out to and come in from; an account's own, or the operator's for all."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.communications.addresses import AddressRefused, Reach
from sealwire.communications.carriers import book
from sealwire.communications.carriers.book import (
    OPERATORS,
    CallerNotYours,
    TooManyTrunks,
    Trunk,
    TrunkChange,
    TrunkMissing,
)
from sealwire.communications.carriers.dialling import TrunkSettings
from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.fields import IdempotencyKey, Moment, NextCursor, TrunkPath, id_in_address
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, cut_page, read_cursor
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.governance.credentials import NetworkMalformed
from sealwire.vocabulary import AccountId, TrunkId

MAY = Who.CONFIGURER_OR_OPERATOR
WRONG = (CallerNotYours, AddressRefused, NetworkMalformed)
NAME = "trunks"


class NewTrunk(TrunkSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trunk to be made."""

    secret: Annotated[
        Annotated[str, Meta(min_length=1, max_length=200)] | None,
        Meta(description="The password for digest authentication; never shown again.", examples=["correct horse"]),
    ] = None

    def __repr__(self) -> str:
        return "NewTrunk(...)"


class TrunkSeen(TrunkSettings, frozen=True, kw_only=True):
    """A trunk without its password."""

    id: Annotated[str, Meta(description="The trunk's id.", examples=["trk_5f0c1e2d9a7b4c6e8f10213243546576"])]
    has_secret: Annotated[bool, Meta(examples=[True])]
    created_at: Moment
    changed_at: Moment


class TrunkPage(msgspec.Struct, kw_only=True):
    """A page of trunks, newest first."""

    items: list[TrunkSeen]
    next_cursor: NextCursor


@post(
    "/v1/trunks",
    **operation(
        "create-trunk", "Trunks", MAY, summary="Connect a trunk",
        raises=(*WRONG, TooManyTrunks, IdempotencyConflict, IdempotencyKeyMalformed),
        body={"name": "carrier", "host": "sip.carrier.example", "port": 5061, "transport": "tls",
              "username": "u1234", "secret": "correct horse", "rules": [{"prefix": "+44", "strip": 1, "add": ""}]},
    ),
)  # fmt: skip
async def create_trunk(
    here: Here, data: JSONBody[NewTrunk], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[TrunkSeen]:
    """With an account's credential it carries that account's calls; with the operator's, everybody's."""
    owner, parts = _owner(here), here.parts
    settings = TrunkSettings(**{name: getattr(data, name) for name in TrunkSettings.__struct_fields__})
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(owner) as connection:
        seen = await once.seen(connection, owner)
        if seen is None:
            trunk = await book.create_trunk(
                connection, owner, settings, secret=data.secret, by=here.principal.credential, box=parts.secretbox,
                reach=Reach.parse(parts.settings.egress_allow), clock=parts.clock,
            )  # fmt: skip
            await once.remember(connection, owner, str(trunk.trunk))
        else:
            trunk = await book.find_trunk(connection, owner, TrunkId.parse(seen))
    headers = {"Location": f"/v1/trunks/{trunk.trunk}"}
    return Response(_seen(trunk), headers=headers | (REPLAYED if seen is not None else {}))


@get("/v1/trunks", **operation("list-trunks", "Trunks", MAY, summary="List trunks", raises=(CursorMalformed,)))
async def list_trunks(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> TrunkPage:
    """The account's own, newest first; with the operator's credential the operator's."""
    owner, before = _owner(here), read_cursor(NAME, cursor)
    async with here.parts.database.account(owner) as connection:
        rows = await book.list_trunks(connection, owner, before=before, limit=limit + 1)
    page, next_cursor = cut_page(NAME, rows, limit=limit, position=_position)
    return TrunkPage(items=[_seen(trunk) for trunk in page], next_cursor=next_cursor)


@get(
    "/v1/trunks/{trunk_id:str}",
    **operation("get-trunk", "Trunks", MAY, summary="Look at a trunk", raises=(TrunkMissing, IdMalformed)),
)
async def get_trunk(here: Here, trunk_id: TrunkPath) -> TrunkSeen:
    """Its password is never shown."""
    owner, wanted = _owner(here), id_in_address(TrunkId, trunk_id)
    async with here.parts.database.account(owner) as connection:
        return _seen(await book.find_trunk(connection, owner, wanted))


@patch(
    "/v1/trunks/{trunk_id:str}",
    **operation(
        "change-trunk", "Trunks", MAY, summary="Change a trunk", raises=(TrunkMissing, *WRONG, IdMalformed),
        body={"priority": 20, "secret": "another horse"},
    ),
)  # fmt: skip
async def change_trunk(here: Here, trunk_id: TrunkPath, data: JSONBody[TrunkChange]) -> TrunkSeen:
    """Fields that are left out stay. It counts from the next call on."""
    owner, wanted, parts = _owner(here), id_in_address(TrunkId, trunk_id), here.parts
    async with parts.database.account(owner) as connection:
        trunk = await book.change_trunk(
            connection, owner, wanted, data, by=here.principal.credential, box=parts.secretbox,
            reach=Reach.parse(parts.settings.egress_allow), clock=parts.clock,
        )  # fmt: skip
    return _seen(trunk)


@delete(
    "/v1/trunks/{trunk_id:str}",
    **operation("remove-trunk", "Trunks", MAY, summary="Disconnect a trunk", raises=(TrunkMissing, IdMalformed)),
)
async def remove_trunk(here: Here, trunk_id: TrunkPath) -> None:
    """Calls that are up go on to their end."""
    owner, wanted = _owner(here), id_in_address(TrunkId, trunk_id)
    async with here.parts.database.account(owner) as connection:
        await book.remove_trunk(connection, owner, wanted, by=here.principal.credential, clock=here.parts.clock)


def _owner(here: Visit) -> AccountId:
    return here.principal.account or OPERATORS


def _position(trunk: Trunk) -> Position:
    return trunk.created_at, trunk.trunk.value


def _seen(trunk: Trunk) -> TrunkSeen:
    return TrunkSeen(
        **{name: getattr(trunk.settings, name) for name in TrunkSettings.__struct_fields__}, id=str(trunk.trunk),
        has_secret=trunk.secret is not None, created_at=trunk.created_at, changed_at=trunk.changed_at,
    )  # fmt: skip
