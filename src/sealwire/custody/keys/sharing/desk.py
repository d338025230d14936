"""What an account's owner asks the keeper about its share, over the keeper's own socket."""

from __future__ import annotations

from typing import Any

from sealwire.custody.keys.keeper import Keeper
from sealwire.ground.wire import Handler, Peer
from sealwire.vocabulary import AccountId


def share_handlers(keeper: Keeper) -> dict[str, Handler]:
    """Handlers by name, beside those of `service`."""

    async def join(_peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        account = AccountId.parse(body["account"])
        address, pin, code = str(body["address"]), str(body["pin"]), str(body["code"])
        return await keeper.shares.join(account, address=address, pin=pin, code=code)

    async def leave(_peer: Peer, body: dict[str, Any]) -> None:
        await keeper.shares.leave(AccountId.parse(body["account"]))

    async def describe(_peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        return keeper.shares.describe(AccountId.parse(body["account"]))

    async def accounts(_peer: Peer, _body: dict[str, Any]) -> list[str]:
        return [f"acc_{raw.hex()}" for raw in keeper.vault.index.shards]

    return {"keeper_accounts": accounts, "share_join": join, "share_leave": leave, "share": describe}
