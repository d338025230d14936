"""A holder on its listening socket: who asks is found out first, then `state` is asked, one call at a time."""

from __future__ import annotations

import asyncio
import os
from base64 import b32encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from sealwire.custody.keys.effaceability import Effaceability
from sealwire.custody.keys.files import create_durably
from sealwire.custody.keys.holding.domain import failure_domain
from sealwire.custody.keys.holding.protocol import (
    CHUNK_BYTES,
    PROTOCOL,
    SHARD_NAME,
    Hello,
    Pairing,
    Prepare,
    Standing,
    TakeOver,
    proof_bytes,
)
from sealwire.custody.keys.holding.refusals import (
    CopyRefused,
    HolderCannotStore,
    HolderOfAnother,
    HolderUnpaired,
    HolderVersion,
    JoiningCodeRefused,
    KeeperNotAuthentic,
)
from sealwire.custody.keys.holding.state import HolderState
from sealwire.custody.keys.receipts import HolderKey, signed_receipt
from sealwire.custody.keys.refusals import EpochNotDestroyed, VaultBroken
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.wire import Handler, Peer
from sealwire_verifier.errors import NotProved
from sealwire_verifier.note import parse_vkey

CODE_TRIES_MAX = 5
Answer = TypeVar("Answer")
CODE_FILE = "joining.code"


class HolderService:
    """Handlers by name, for `ground.wire`."""

    def __init__(
        self, folder: Path, *, pin: str, clock: Clock, effaceability: Effaceability, operator: str, memory_locked: bool
    ) -> None:
        self.folder, self.pin = folder, pin
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.key = HolderKey.open(folder / "holder.key", create=not (folder / "epoch.slots").exists())
        self.broken: asyncio.Future[SealwireError] = asyncio.get_running_loop().create_future()
        self._clock, self._effaceability, self._operator = clock, effaceability, operator
        self._memory_locked = memory_locked
        self._busy = asyncio.Lock()
        self._tries = 0
        self.state = HolderState.open(folder, self._sign, at=rfc3339(clock.now()))

    def handlers(self) -> dict[str, Handler]:
        asked = ("standing", "lacks", "put", "prepare", "commit", "roll_back", "take_over", "fetch_copy", "fetch")
        return {"hello": self._answered(self.hello), "prove": self._answered(self.prove)} | {
            name: self._proven(getattr(self, name)) for name in asked
        }

    def close(self) -> None:
        self.state.close()

    async def hello(self, peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        """Introduce this holder and give the nonce that the keeper must sign."""
        if body["protocol"] != PROTOCOL:
            raise HolderVersion
        nonce = peer.state["nonce"] = os.urandom(32)
        pairing = self.state.pairing
        hello = Hello(protocol=PROTOCOL, holder=self.key.vkey, nonce=nonce, is_paired=pairing is not None)
        return _plain(hello)

    async def prove(self, peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        """The keeper's signature over the nonce; with a joining code its key is pinned from now on."""
        nonce = peer.state.pop("nonce", None)
        vkey, installation = str(body["keeper_vkey"]), str(body["installation"])
        try:
            parse_vkey(vkey).check(proof_bytes(nonce or b"-", self.pin, self.key.name), body["signature"])
        except NotProved:
            raise KeeperNotAuthentic from None
        if nonce is None:
            raise KeeperNotAuthentic
        if code := str(body["code"]):
            await self._pair(code, vkey, installation)
        pairing = self.state.pairing
        if pairing is None:
            raise HolderUnpaired
        if pairing.keeper_vkey != vkey or installation not in ("", pairing.installation):
            raise HolderOfAnother
        peer.state["is_keeper"] = True
        return await self.standing(peer, {})

    async def standing(self, _peer: Peer, _body: dict[str, Any]) -> dict[str, Any]:
        state, (host, device) = self.state, failure_domain(self.folder)
        prepared = state.prepared
        return _plain(
            Standing(
                holder=self.key.vkey, operator=self._operator,
                effaceability_class=self._effaceability.effaceability_class, host=host, device=device,
                epoch=state.epoch.number, digest=state.digest,
                prepared=prepared[0].number if prepared else 0,
                prepared_digest=sha256(prepared[1].index).digest() if prepared else b"",
                ledger_epoch=state.ledger.epoch, memory_locked=self._memory_locked,
            )
        )  # fmt: skip

    async def lacks(self, _peer: Peer, body: dict[str, Any]) -> list[str]:
        return self.state.lacks(msgspec.convert(body["names"], list[str]))

    async def put(self, _peer: Peer, body: dict[str, Any]) -> None:
        name, data, first = (
            str(body["name"]),
            msgspec.convert(body["data"], bytes, builtin_types=(bytes,)),
            body["first"],
        )
        await self._alone(lambda: self.state.stage(name, data, is_first=bool(first)))

    async def prepare(self, _peer: Peer, body: dict[str, Any]) -> None:
        wanted = msgspec.convert(body["prepare"], Prepare, builtin_types=(bytes,))
        await self._alone(lambda: self.state.prepare(wanted))

    async def commit(self, _peer: Peer, body: dict[str, Any]) -> list[dict[str, Any]]:
        epoch, digest = int(body["epoch"]), bytes(body["digest"])
        return await self._alone(lambda: self.state.commit(epoch, digest, at=rfc3339(self._clock.now())))

    async def roll_back(self, _peer: Peer, _body: dict[str, Any]) -> None:
        await self._alone(self.state.roll_back)

    async def take_over(self, _peer: Peer, body: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = msgspec.convert(body["take_over"], TakeOver, builtin_types=(bytes,))
        return await self._alone(lambda: self.state.take_over(wanted, at=rfc3339(self._clock.now())))

    async def fetch_copy(self, _peer: Peer, _body: dict[str, Any]) -> dict[str, Any]:
        """For a keeper that is rebuilt: the epoch, its key, and everything of it but shards and ledger."""
        if self.state.copy is None:
            raise HolderUnpaired("this holder holds no copy yet, so nothing can be recovered from it")
        diagnostics.event("holder.copy-handed-out", epoch=self.state.epoch.number)
        copy = msgspec.to_builtins(self.state.copy, builtin_types=(bytes,))
        del copy["index"]
        return {"key": self.state.epoch.key, "copy": copy, "operator": self._operator}

    async def fetch(self, _peer: Peer, body: dict[str, Any]) -> bytes:
        """A piece of a shard, of the index or of the ledger, from an offset."""
        name, offset = str(body["name"]), int(body["offset"])
        if name == "index" and self.state.copy is not None:
            return self.state.copy.index[offset : offset + CHUNK_BYTES]
        if name != "erasures.ledger" and not SHARD_NAME.fullmatch(name):
            raise CopyRefused("a file of that name is nothing that a holder gives")
        path = self.folder / name if name == "erasures.ledger" else self.state.shards / name
        return await self._alone(lambda: _piece(path, offset))

    def new_code(self) -> str:
        """Make a joining code, good once; only its hash is kept in the folder."""
        return new_code(self.folder)

    async def _pair(self, code: str, vkey: str, installation: str) -> None:
        path = self.folder / CODE_FILE
        expected = path.read_bytes() if path.exists() else b""
        if not expected or not compare_digest(expected, hashed(code)):
            self._tries += 1
            if self._tries >= CODE_TRIES_MAX:
                path.unlink(missing_ok=True)
                self._tries = 0
            await asyncio.sleep(1)
            raise JoiningCodeRefused
        pairing = self.state.pairing
        if pairing is None and not installation:
            raise HolderUnpaired("this holder holds no copy yet, so nothing can be recovered from it")
        if pairing is not None and installation not in ("", pairing.installation):
            raise HolderOfAnother
        home = pairing.installation if pairing is not None else installation
        path.unlink()
        self.state.pair(Pairing(installation=home, keeper_vkey=vkey))
        diagnostics.event("holder.paired", keeper=vkey.partition("+")[0])

    def _sign(self, act: dict[str, Any], before: int, after: int) -> dict[str, Any]:
        if act["act"] != "erased":
            return act
        receipt = signed_receipt(
            self.key, act, epochs=(before, after), at=rfc3339(self._clock.now()),
            effaceability_class=self._effaceability.effaceability_class, operator=self._operator,
        )  # fmt: skip
        return {**act, "receipts": [*act.get("receipts", []), receipt]}

    async def _alone(self, step: Callable[[], Answer]) -> Answer:
        async with self._busy:
            try:
                return await asyncio.to_thread(step)
            except EpochNotDestroyed as error:
                if not self.broken.done():
                    self.broken.set_result(error)
                raise
            except VaultBroken as error:
                raise CopyRefused(str(error)) from None
            except OSError as error:
                diagnostics.failure("holder.cannot-store", error)
                with suppress(OSError, EpochNotDestroyed):
                    await asyncio.to_thread(self.state.roll_back)
                raise HolderCannotStore(
                    f"the holder could not write ({error.strerror}); it keeps the copy before and has signed nothing"
                ) from None

    def _proven(self, handler: Handler) -> Handler:
        async def handle(peer: Peer, body: dict[str, Any]) -> Any:
            pairing = self.state.pairing
            if not peer.state.get("is_keeper") or pairing is None:
                raise KeeperNotAuthentic
            return await handler(peer, body)

        return self._answered(handle)

    @staticmethod
    def _answered(handler: Callable[[Peer, dict[str, Any]], Awaitable[Any]]) -> Handler:
        async def handle(peer: Peer, body: dict[str, Any]) -> Any:
            try:
                return await handler(peer, body)
            except (KeyError, TypeError, ValueError, msgspec.ValidationError, msgspec.DecodeError) as error:
                diagnostics.failure("holder.request-malformed", error)
                raise CopyRefused(
                    "a message came in a form that this holder does not know; nothing was taken"
                ) from None

        return handle


def new_code(folder: Path) -> str:
    """Make a joining code for the holder of this folder, running or not; the one before it is void."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    code = b32encode(os.urandom(15)).decode().lower()
    create_durably(folder / CODE_FILE, hashed(code))
    return code


def hashed(code: str) -> bytes:
    """What is kept of a joining code."""
    return sha256(b"sealwire/joining-code/v1\n" + code.strip().lower().encode()).hexdigest().encode()


def _piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(CHUNK_BYTES)


def _plain(value: msgspec.Struct) -> dict[str, Any]:
    return dict(msgspec.to_builtins(value, builtin_types=(bytes,)))
