"""One connection from the keeper to a customer's holder, about one account. Whatever is odd about it is an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from sealwire.custody.keys.holding.link import ask, connected
from sealwire.custody.keys.holding.protocol import PROTOCOL, Hello, proof_bytes
from sealwire.custody.keys.holding.refusals import HolderNotAuthentic, HolderVersion
from sealwire.custody.keys.receipts import EraseReceipt, HolderKey
from sealwire.custody.keys.sharing.guard import Guard
from sealwire.custody.keys.sharing.messages import ActTold, MovedOn, ShareStanding
from sealwire.custody.keys.sharing.refusals import ShareWrong
from sealwire.ground.wire import Peer
from sealwire.vocabulary import AccountId
from sealwire_verifier.errors import NotProved
from sealwire_verifier.note import decode, parse_vkey


class ShareLink:
    """Calls to a customer's holder. What does not answer in time is HolderAway, what answers oddly ShareWrong."""

    def __init__(self, peer: Peer, vkey: str, account: AccountId) -> None:
        self._peer, self.vkey, self._account = peer, vkey, account

    @classmethod
    async def connect(
        cls, address: str, pin: str, key: HolderKey, account: AccountId, *, vkey: str, on_destroyed: Callable[[], None]
    ) -> ShareLink:
        """Find out who answers and show who asks; `vkey` is whom we expect, if we know."""

        async def destroyed(_peer: Peer, _body: dict[str, Any]) -> None:
            on_destroyed()

        peer = await connected(address, pin, {"share_destroyed": destroyed})
        try:
            hello = msgspec.convert(await ask(peer, "hello", protocol=PROTOCOL), Hello, builtin_types=(bytes,))
            if hello.protocol != PROTOCOL:
                raise HolderVersion
            if vkey and hello.holder != vkey:
                raise HolderNotAuthentic
            parse_vkey(hello.holder)
            signature = key.sign_bytes(proof_bytes(hello.nonce, pin, hello.holder.partition("+")[0]))
            await ask(peer, "prove", keeper_vkey=key.vkey, installation="", signature=signature, code="")
            return cls(peer, hello.holder, account)
        except (msgspec.ValidationError, NotProved):
            peer.close()
            raise ShareWrong("whoever answers there does not speak as a customer's holder does") from None
        except BaseException:
            peer.close()
            raise

    @property
    def is_up(self) -> bool:
        return not self._peer.closed.is_set()

    async def closed(self) -> None:
        await self._peer.closed.wait()

    def close(self) -> None:
        self._peer.close()

    async def add(self, installation: str, code: str) -> ShareStanding:
        return _standing(await self._ask("share_add", installation=installation, code=code))

    async def standing(self) -> ShareStanding:
        return _standing(await self._ask("share_standing"))

    async def lend(self, guard: Guard) -> bytes:
        answer = await self._ask("share_lend", generation=guard.share.generation, ephemeral=guard.ephemeral)
        if not isinstance(answer, bytes) or len(answer) != 32:
            raise ShareWrong
        return answer

    async def move_on(self, generation: int, acts: list[ActTold]) -> tuple[MovedOn, list[EraseReceipt | None]]:
        """What follows, and the holder's receipt of each act: one that does not hold counts as none."""
        answer = await self._ask("share_move_on", generation=generation, acts=msgspec.to_builtins(acts))
        try:
            moved = msgspec.convert(answer, MovedOn, builtin_types=(bytes,))
        except msgspec.ValidationError:
            raise ShareWrong("the customer's holder answered in a form that is not known") from None
        if moved.following.generation != generation + 1 or len(moved.following.public) != 32:
            raise ShareWrong("the share that follows is not of the next generation")
        return moved, [self._receipt_of(act, moved.receipts, generation) for act in acts]

    async def release(self) -> None:
        await self._ask("share_release")

    def _receipt_of(self, act: ActTold, plain: list[dict[str, Any]], generation: int) -> EraseReceipt | None:
        for one in plain:
            try:
                receipt = msgspec.convert(one, EraseReceipt)
                said = (receipt.erasure, receipt.log, receipt.paths_root, receipt.count, receipt.epoch_after)
                known = (act.erasure, act.log, act.paths_root, act.count, act.epoch_after)
                if said == known and receipt.holder == self.vkey.partition("+")[0] and receipt.share == generation - 1:
                    parse_vkey(self.vkey).check(receipt.signed_bytes(), decode(receipt.signature))
                    return receipt
            except (msgspec.ValidationError, NotProved):
                continue
        return None

    async def _ask(self, name: str, **body: Any) -> Any:
        return await ask(self._peer, name, account=str(self._account), **body)


def _standing(answer: Any) -> ShareStanding:
    try:
        standing = msgspec.convert(answer, ShareStanding, builtin_types=(bytes,))
    except msgspec.ValidationError:
        raise ShareWrong("the customer's holder answered in a form that is not known") from None
    if standing.receipt is None and (not standing.shares or any(len(one.public) != 32 for one in standing.shares)):
        raise ShareWrong("the customer's holder has named no share")
    return standing
