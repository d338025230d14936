"""A customer's holder on its listening socket: it lends keys of its shares, moves on, and signs. Nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from hmac import compare_digest
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sealwire.custody.keys.effaceability import Effaceability
from sealwire.custody.keys.holding.protocol import PROTOCOL, Hello, proof_bytes
from sealwire.custody.keys.holding.refusals import (
    CopyRefused,
    HolderCannotStore,
    HolderVersion,
    JoiningCodeRefused,
    KeeperNotAuthentic,
)
from sealwire.custody.keys.holding.service import CODE_FILE, CODE_TRIES_MAX, hashed
from sealwire.custody.keys.receipts import EraseReceipt, HolderKey
from sealwire.custody.keys.refusals import EpochNotDestroyed
from sealwire.custody.keys.sharing.messages import ACTS_MAX, ActTold, MovedOn, ShareStanding
from sealwire.custody.keys.sharing.receipt import METHOD, ShareReceipt
from sealwire.custody.keys.sharing.refusals import ShareDestroyed, ShareOfAnother
from sealwire.custody.keys.sharing.store import ShareMeta, ShareStore
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.wire import Handler, Peer
from sealwire.vocabulary import AccountId
from sealwire_verifier.errors import NotProved
from sealwire_verifier.note import parse_vkey

LOOK_S = 0.5
Answer = TypeVar("Answer")


class ShareService:
    """Handlers by name, for `ground.wire`. Each share answers the keeper that it was added for, and no other."""

    def __init__(
        self, folder: Path, *, pin: str, clock: Clock, effaceability: Effaceability, operator: str, lease_s: int
    ) -> None:
        self.folder, self.pin, self.operator = folder, pin, operator
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.key = HolderKey.open(folder / "holder.key", create=not (folder / "shares").exists())
        self.store = ShareStore(folder)
        self.broken: asyncio.Future[SealwireError] = asyncio.get_running_loop().create_future()
        self._clock, self._lease_s = clock, lease_s
        self._class = effaceability.effaceability_class
        self._busy, self._tries = asyncio.Lock(), 0
        self._peers: dict[Peer, set[AccountId]] = {}
        for account in self.store.unfinished():
            self.destroy(account)
        for meta in self.store.metas():
            if not meta.destroying:
                self.store.shares(AccountId.parse(meta.account))  # finishes what a crash left, before anybody asks

    def handlers(self) -> dict[str, Handler]:
        asked = ("add", "standing", "lend", "move_on", "release")
        return {"hello": self._answered(self.hello), "prove": self._answered(self.prove)} | {
            f"share_{name}": self._proven(getattr(self, name)) for name in asked
        }

    def destroy(self, account: AccountId) -> ShareReceipt:
        """Destroy a share and sign that."""
        return self.store.destroy(
            account, key=self.key, operator=self.operator, effaceability_class=self._class,
            at=rfc3339(self._clock.now()),
        )  # fmt: skip

    async def tell_destroyed(self) -> None:
        """Tell keepers at once of shares that a command destroyed beside this process."""
        told: set[AccountId] = set()
        while True:
            for peer, accounts in list(self._peers.items()):
                if peer.closed.is_set():
                    del self._peers[peer]
                    continue
                for account in accounts - told:
                    if self.store.meta(account).destroying:
                        peer.tell("share_destroyed", account=str(account))
                        told.add(account)
            await asyncio.sleep(LOOK_S)

    async def hello(self, peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        """Introduce this holder and give the nonce that the keeper must sign."""
        if body["protocol"] != PROTOCOL:
            raise HolderVersion
        nonce = peer.state["nonce"] = os.urandom(32)
        return _plain(Hello(protocol=PROTOCOL, holder=self.key.vkey, nonce=nonce, is_paired=False))

    async def prove(self, peer: Peer, body: dict[str, Any]) -> None:
        """The keeper's signature over the nonce: who asks is known from now on."""
        nonce, vkey = peer.state.pop("nonce", None), str(body["keeper_vkey"])
        try:
            parse_vkey(vkey).check(proof_bytes(nonce or b"-", self.pin, self.key.name), body["signature"])
        except NotProved:
            raise KeeperNotAuthentic from None
        if nonce is None:
            raise KeeperNotAuthentic
        peer.state["keeper"] = vkey

    async def add(self, peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        """Make a share for an account, or bind the one there is to this keeper; needs a joining code, good once."""
        await self._spend(str(body["code"]))
        account, installation = _account(body), str(body["installation"])
        meta = ShareMeta(
            account=str(account), installation=installation, keeper_vkey=peer.state["keeper"],
            joined_at=rfc3339(self._clock.now()),
        )  # fmt: skip
        await self._alone(lambda: self.store.add(meta))
        diagnostics.event("share.added", account=account)
        return await self.standing(peer, body)

    async def standing(self, peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        account = self._own(peer, body)
        receipt = await self._alone(lambda: self.store.receipt(account))
        if receipt is None and self.store.meta(account).destroying:
            raise ShareDestroyed
        shares = [] if receipt else await self._alone(lambda: self.store.shares(account))
        self._peers.setdefault(peer, set()).add(account)
        return _plain(
            ShareStanding(
                operator=self.operator, effaceability_class=self._class, lease_s=self._lease_s, shares=shares,
                receipt=receipt,
            )
        )  # fmt: skip

    async def lend(self, peer: Peer, body: dict[str, Any]) -> bytes:
        """The key of the account's current sealing; what it is used for, the account's log tells."""
        account, generation, ephemeral = self._own(peer, body), int(body["generation"]), bytes(body["ephemeral"])
        key = await self._alone(lambda: self.store.lend(account, generation, ephemeral))
        diagnostics.event("share.lent", account=account, generation=generation, seconds=self._lease_s)
        return key

    async def move_on(self, peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        """Destroy the older generation, then sign the erasures that it was destroyed for."""
        account, generation = self._own(peer, body), int(body["generation"])
        acts = msgspec.convert(body["acts"], list[ActTold])[:ACTS_MAX]
        following = await self._alone(lambda: self.store.move_on(account, generation))
        return _plain(MovedOn(following=following, receipts=[self._sign(act, generation) for act in acts]))

    async def release(self, peer: Peer, body: dict[str, Any]) -> None:
        account = self._own(peer, body)
        await self._alone(lambda: self.store.release(account, rfc3339(self._clock.now())))
        diagnostics.event("share.released", account=account)

    def _sign(self, act: ActTold, generation: int) -> dict[str, Any]:
        receipt = EraseReceipt(
            erasure=act.erasure, log=act.log, epoch_before=act.epoch_before, epoch_after=act.epoch_after,
            destroyed_at=rfc3339(self._clock.now()), holder=self.key.name, method=METHOD,
            effaceability_class=self._class, paths_root=act.paths_root, count=act.count,
            held=act.held or msgspec.UNSET, operator=self.operator, share=generation - 1,
        )  # fmt: skip
        return dict(msgspec.to_builtins(self.key.sign(receipt)))

    def _own(self, peer: Peer, body: dict[str, Any]) -> AccountId:
        account = _account(body)
        if self.store.meta(account).keeper_vkey != peer.state["keeper"]:
            raise ShareOfAnother
        return account

    async def _spend(self, code: str) -> None:
        path = self.folder / CODE_FILE
        expected = path.read_bytes() if path.exists() else b""
        if not expected or not compare_digest(expected, hashed(code)):
            self._tries += 1
            if self._tries >= CODE_TRIES_MAX:
                path.unlink(missing_ok=True)
                self._tries = 0
            await asyncio.sleep(1)
            raise JoiningCodeRefused
        path.unlink()

    async def _alone(self, step: Callable[[], Answer]) -> Answer:
        async with self._busy:
            try:
                return await asyncio.to_thread(step)
            except EpochNotDestroyed as error:
                if not self.broken.done():
                    self.broken.set_result(error)
                raise
            except OSError as error:
                diagnostics.failure("share.cannot-store", error)
                raise HolderCannotStore(
                    f"the customer's holder could not write ({error.strerror}); it has signed nothing"
                ) from None

    def _proven(self, handler: Handler) -> Handler:
        async def handle(peer: Peer, body: dict[str, Any]) -> Any:
            if "keeper" not in peer.state:
                raise KeeperNotAuthentic
            return await handler(peer, body)

        return self._answered(handle)

    @staticmethod
    def _answered(handler: Callable[[Peer, dict[str, Any]], Awaitable[Any]]) -> Handler:
        async def handle(peer: Peer, body: dict[str, Any]) -> Any:
            try:
                return await handler(peer, body)
            except (KeyError, TypeError, ValueError, msgspec.ValidationError, msgspec.DecodeError) as error:
                diagnostics.failure("share.request-malformed", error)
                raise CopyRefused("a message came in a form that this holder does not know") from None

        return handle


def _account(body: dict[str, Any]) -> AccountId:
    return AccountId.parse(body["account"])


def _plain(value: msgspec.Struct) -> dict[str, Any]:
    return dict(msgspec.to_builtins(value, builtin_types=(bytes,)))
