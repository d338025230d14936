"""One connection from the keeper to one holder. It never speaks to anybody but the holder that was pinned."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

import msgspec

from sealwire.custody.keys.holding.identity import client_context, pin_of
from sealwire.custody.keys.holding.protocol import (
    CHUNK_BYTES,
    PROTOCOL,
    Hello,
    Prepare,
    Standing,
    TakeOver,
    proof_bytes,
)
from sealwire.custody.keys.holding.refusals import HolderAway, HolderNotAuthentic, HolderVersion
from sealwire.custody.keys.receipts import EraseReceipt, HolderKey
from sealwire.ground.wire import Handler, Peer, PeerLost
from sealwire_verifier.errors import NotProved
from sealwire_verifier.note import decode, parse_vkey

CONNECT_S_MAX = 5.0
WAIT_S_MAX = 20.0


class HolderLink:
    """Calls to a holder. Anything that does not answer in time is HolderAway."""

    def __init__(self, peer: Peer, hello: Hello, standing: Standing) -> None:
        self._peer, self.hello, self.standing = peer, hello, standing

    @classmethod
    async def connect(
        cls, address: str, pin: str, key: HolderKey, *, installation: str, vkey: str = "", code: str = ""
    ) -> HolderLink:
        """Steps (1) to (3) of the protocol. With a `code` the holder pins this keeper; `vkey` is whom we expect."""
        peer = await connected(address, pin)
        try:
            hello = msgspec.convert(await ask(peer, "hello", protocol=PROTOCOL), Hello, builtin_types=(bytes,))
            if hello.protocol != PROTOCOL:
                raise HolderVersion
            if vkey and hello.holder != vkey:
                raise HolderNotAuthentic
            signature = key.sign_bytes(proof_bytes(hello.nonce, pin, hello.holder.partition("+")[0]))
            answer = await ask(
                peer, "prove", keeper_vkey=key.vkey, installation=installation, signature=signature, code=code
            )
            return cls(peer, hello, msgspec.convert(answer, Standing, builtin_types=(bytes,)))
        except BaseException:
            peer.close()
            raise

    @property
    def is_up(self) -> bool:
        return not self._peer.closed.is_set()

    @property
    def name(self) -> str:
        return self.hello.holder.partition("+")[0]

    def close(self) -> None:
        self._peer.close()

    async def closed(self) -> None:
        await self._peer.closed.wait()

    async def ask_standing(self) -> Standing:
        self.standing = msgspec.convert(await ask(self._peer, "standing"), Standing, builtin_types=(bytes,))
        return self.standing

    async def lacks(self, names: list[str]) -> list[str]:
        found: list[str] = []
        for start in range(0, len(names), 10_000):
            found += await ask(self._peer, "lacks", names=names[start : start + 10_000])
        return found

    async def put(self, name: str, data: bytes) -> None:
        for start in range(0, max(len(data), 1), CHUNK_BYTES):
            await ask(self._peer, "put", name=name, data=data[start : start + CHUNK_BYTES], first=start == 0)

    async def prepare(self, wanted: Prepare) -> None:
        await ask(self._peer, "prepare", prepare=_plain(wanted))

    async def commit(self, epoch: int, digest: bytes) -> list[dict[str, Any]]:
        return list(await ask(self._peer, "commit", epoch=epoch, digest=digest))

    async def roll_back(self) -> None:
        await ask(self._peer, "roll_back")

    async def take_over(self, wanted: TakeOver) -> list[dict[str, Any]]:
        return list(await ask(self._peer, "take_over", take_over=_plain(wanted)))

    async def fetch_copy(self) -> dict[str, Any]:
        return dict(await ask(self._peer, "fetch_copy"))

    async def fetch(self, name: str, write: Callable[[bytes], Any]) -> None:
        """A whole file of the copy, piece by piece."""
        offset = 0
        while piece := bytes(await ask(self._peer, "fetch", name=name, offset=offset)):
            write(piece)
            offset += len(piece)

    def receipts_of(self, acts: list[dict[str, Any]], epoch: int) -> list[EraseReceipt | None]:
        """This holder's own receipt of each act, each checked: a receipt that does not hold counts as none."""
        return [self._own_receipt(act, epoch) for act in acts]

    def _own_receipt(self, act: dict[str, Any], epoch: int) -> EraseReceipt | None:
        for plain in act.get("receipts", []):
            with suppress(msgspec.ValidationError, NotProved):
                receipt = msgspec.convert(plain, EraseReceipt)
                if receipt.holder != self.name or receipt.epoch_after != epoch:
                    continue
                parse_vkey(self.hello.holder).check(receipt.signed_bytes(), decode(receipt.signature))
                if (receipt.erasure, receipt.paths_root) == (act["erasure"], act["paths_root"]):
                    return receipt
        return None


async def connected(address: str, pin: str, handlers: Mapping[str, Handler] | None = None) -> Peer:
    """A line to whoever shows the pinned certificate; nothing was sent to anybody else."""
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(CONNECT_S_MAX):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=client_context())
    except (OSError, ValueError, TimeoutError, ssl.SSLError):
        raise HolderAway(f"no holder answers at {address}; keeping and opening go on, nothing is certified") from None
    line: ssl.SSLObject = writer.get_extra_info("ssl_object")
    shown = line.getpeercert(binary_form=True)
    if shown is None or pin_of(shown) != pin:
        writer.close()
        raise HolderNotAuthentic
    peer = Peer(handlers or {})
    peer.start(reader, writer)
    return peer


async def ask(peer: Peer, name: str, /, **body: Any) -> Any:
    """Call, and tell silence and loss as HolderAway."""
    try:
        return await peer.call(name, wait_s=WAIT_S_MAX, **body)
    except PeerLost:
        peer.close()
        raise HolderAway from None


def _plain(value: msgspec.Struct) -> dict[str, Any]:
    return dict(msgspec.to_builtins(value, builtin_types=(bytes,)))


def digest_of(data: bytes) -> bytes:
    """How a file is named between keeper and holder."""
    return sha256(data).digest()
