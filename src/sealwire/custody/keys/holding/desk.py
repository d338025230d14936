"""What an operator asks the running keeper about its holders, over the keeper's own socket."""

from __future__ import annotations

from typing import Any

import msgspec

from sealwire.custody.keys.holding.rotation import rotate_root
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.rootkey import OpenBao
from sealwire.ground.wire import Handler, Peer


def holder_handlers(keeper: Keeper) -> dict[str, Handler]:
    """Handlers by name, beside those of `service`."""

    async def join(_peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        member = await keeper.companions.join(str(body["address"]), str(body["pin"]), str(body["code"]))
        return dict(msgspec.to_builtins(member))

    async def remove(_peer: Peer, body: dict[str, Any]) -> None:
        await keeper.companions.remove(str(body["holder"]))

    async def describe(_peer: Peer, _body: dict[str, Any]) -> list[dict[str, Any]]:
        return keeper.companions.describe()

    async def pending(_peer: Peer, body: dict[str, Any]) -> str | None:
        return keeper.companions.pending.told_of(str(body["erasure"]))

    async def rotate(_peer: Peer, body: dict[str, Any]) -> int:
        bao = body["openbao"]
        return await rotate_root(keeper, None if bao is None else OpenBao(**msgspec.convert(bao, dict[str, str])))

    return {
        "holder_join": join,
        "holder_remove": remove,
        "holders": describe,
        "erasure_pending": pending,
        "rotate_root": rotate,
    }
