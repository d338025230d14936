"""The keeper as other processes see it: leases out, plaintext out under proof, receipts out after destruction.

A client connects at its first call and again after a loss. Before it connects again, `on_lost` has told its owner
to drop every leased key: leases live no longer than the connection they came over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import msgspec

from sealwire.custody.keys import refusals
from sealwire.custody.keys.messages import EraseReceipt, KeeperStatus, Lease, OpenProof, SealedItem
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.errors import Unavailable
from sealwire.ground.wire import Peer, PeerLost, connect
from sealwire.vocabulary import AccountId

__all__ = [
    "DayPath", "EraseReceipt", "KeeperClient", "KeeperStatus", "LeafPath", "Lease", "OpenProof", "SealedItem",
    "refusals",
]  # fmt: skip

MEDIA_FRAME_BYTES = 64 << 10

Recall = Callable[[AccountId, DayPath, int, bool, Collection[int]], Awaitable[bool | None]]
"""Account, day, block, whether all of the block goes (its slots in use included), and if not, which slots in it go.

The answer says whether other slots of the block stay in use: only then may the keeper have to ask again.
"""


class KeeperUnavailable(Unavailable):
    """The keeper is not running, so nothing can be kept that could not be erased, and nothing opened: start it."""


class KeeperClient:
    """One connection to the keeper, shared by all tasks of a process."""

    def __init__(self, socket: Path, *, is_open_only: bool = False) -> None:
        self._is_open_only = is_open_only
        self.on_recall: Recall | None = None
        self.on_lost: Callable[[], None] | None = None
        self._socket = socket
        self._peer: Peer | None = None
        self._connecting = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None
        self._generation = 0

    @classmethod
    def open_only(cls, socket: Path) -> KeeperClient:
        """A client that can open and do nothing else, whatever it is told: the keeper refuses it the rest."""
        return cls(socket, is_open_only=True)

    async def close(self) -> None:
        """End the connection; the keeper takes back what was leased."""
        peer, self._peer = self._peer, None
        if peer is not None:
            peer.close()
            await peer.closed.wait()
        if self._watcher is not None:
            await self._watcher

    async def create_account(self, account: AccountId, *, log_vkey: str, periods: dict[str, int]) -> None:
        """Plant the account's tree; `periods` is `{"category/class": days}` in codes; idempotent when identical."""
        await self._call("create_account", account=str(account), log_vkey=log_vkey, periods=periods)

    async def admit_categories(self, account: AccountId, periods: dict[str, int]) -> list[str]:
        """Add the periods of categories this account does not have yet, as `{"category/class": days}`; which it got."""
        answer: list[str] = await self._call("admit_categories", account=str(account), periods=periods)
        return answer

    async def lease(self, account: AccountId, *, category: int, retention_class: int, day: int) -> Lease:
        """A block of 256 slots that was never given out before; PeerLost when its connection ended meanwhile."""
        peer = await self._connected()
        generation = self._generation
        answer = await peer.call(
            "lease", account=str(account), category=category, retention_class=retention_class, day=int(day)
        )
        if peer.closed.is_set() or generation != self._generation:
            raise PeerLost
        block, block_key, index_key = answer["block"], answer["block_key"], answer["index_key"]
        return Lease(account, category, retention_class, int(day), block, block_key, index_key)

    async def set_periods(self, account: AccountId, periods: dict[str, int]) -> None:
        """Replace or add periods, `{"category/class": days}`; destroys nothing by itself, brings nothing back."""
        await self._call("set_periods", account=str(account), periods=periods)

    async def hold(
        self,
        account: AccountId,
        *,
        hold: str,
        leaves: Sequence[LeafPath],
        days: Sequence[DayPath] = (),
        until: int,
        restricts: bool = False,
    ) -> list[LeafPath | DayPath]:
        """Hold places up to and with a day, whatever else destroys; which of them were destroyed before.

        The same hold again may name more places and a later day. What `restricts` opens for two purposes only.
        """
        answer = await self._call(
            "hold",
            account=str(account),
            hold=hold,
            leaves=[tuple(map(int, leaf)) for leaf in leaves],
            days=[tuple(map(int, day)) for day in days],
            until=int(until),
            restricts=restricts,
        )
        return [LeafPath(*place) if len(place) == 4 else DayPath(*place) for place in answer]

    async def release(self, account: AccountId, *, hold: str, ended_only: bool = False) -> None:
        """End a hold; what was to be destroyed meanwhile, and nothing else holds, goes now. Harmless again.

        With `ended_only`, NotDue unless its last day is past by the keeper's own calendar.
        """
        await self._call("release", account=str(account), hold=hold, ended_only=ended_only)

    async def give_back(self, lease: Lease) -> None:
        """Give a block back; its unspent slots stay unused for ever."""
        await self._call("give_back", **_lease_body(lease))

    async def challenge(self) -> bytes:
        """A nonce of 16 bytes for the payload of an opening leaf, as hex under "nonce"; good once, for a minute."""
        return bytes(await self._call("challenge"))

    async def open(self, account: AccountId, *, proof: OpenProof, items: Sequence[SealedItem]) -> list[bytes | None]:
        """The plaintexts, in order; None where the key is destroyed or past due."""
        answer = await self._call("open", account=str(account), proof=_builtins(proof), items=_pairs(items))
        return list(answer)

    async def open_media(
        self, account: AccountId, *, proof: OpenProof, item: SealedItem, chunks: AsyncIterable[bytes]
    ) -> AsyncIterator[bytes]:
        """Decrypt media inside the keeper, 64 KiB at a time; only verified bytes come out, SealBroken at a bad one."""
        peer = await self._connected()
        number = await peer.call("media_begin", account=str(account), proof=_builtins(proof), context=item.context)
        finished = False
        try:
            async for chunk in chunks:
                for start in range(0, len(chunk), MEDIA_FRAME_BYTES):
                    frame = bytes(chunk[start : start + MEDIA_FRAME_BYTES])
                    if opened := await peer.call("media_update", stream=number, sealed=frame):
                        yield opened
            finished = True
            if opened := await peer.call("media_end", stream=number, is_abandoned=False):
                yield opened
        finally:
            if not finished and not peer.closed.is_set():
                peer.tell("media_end", stream=number, is_abandoned=True)

    async def index_tokens(
        self, account: AccountId, *, proof: OpenProof, salt: bytes, number: str, days: Sequence[tuple[int, int, int]]
    ) -> list[bytes | None]:
        """The number's blind-index token of each (category, class, day); None where the day is erased.

        The proof's payload holds `lookup_commitment(salt, number, days)` as "lookup"; the 32-byte salt is not in it.
        """
        places = [tuple(map(int, day)) for day in days]
        answer = await self._call(
            "index_tokens", account=str(account), proof=_builtins(proof), salt=salt, number=number, days=places
        )
        return list(answer)

    async def reindex(self, account: AccountId, *, proof: OpenProof, items: Sequence[SealedItem]) -> list[list[bytes]]:
        """The index tokens of each record, from the fields that its category makes findable; nothing else comes out."""
        answer = await self._call("reindex", account=str(account), proof=_builtins(proof), items=_pairs(items))
        return [list(tokens) for tokens in answer]

    async def erase(
        self,
        account: AccountId,
        *,
        erasure: str,
        leaves: Sequence[LeafPath],
        days: Sequence[DayPath] = (),
        close_keeping: Sequence[int] | None = None,
        due_only: bool = False,
        confirmed: bool = False,
    ) -> list[EraseReceipt]:
        """Destroy keys; returns after the tick, with each holder's signed receipt. The same again is harmless.

        With `due_only`, NotDue unless all of it is past due by the keeper's own calendar, whatever the caller's says.
        """
        answer = await self._call(
            "erase",
            account=str(account),
            erasure=erasure,
            leaves=[tuple(map(int, leaf)) for leaf in leaves],
            days=[tuple(map(int, day)) for day in days],
            close_keeping=None if close_keeping is None else list(close_keeping),
            due_only=due_only,
            confirmed=confirmed,
        )
        return msgspec.convert(answer, list[EraseReceipt])

    async def pending(self, erasure: str) -> str | None:
        """`pending (2/3 holders)` while holders have not signed for this erasure; None when nothing waits."""
        answer: str | None = await self._call("erasure_pending", erasure=erasure)
        return answer

    async def sweep(self) -> int:
        """Destroy what is past due now instead of within the minute; how many days it were."""
        return int(await self._call("sweep"))

    async def status(self) -> KeeperStatus:
        return msgspec.convert(await self._call("status"), KeeperStatus)

    async def _call(self, name: str, /, **body: Any) -> Any:
        peer = await self._connected()
        return await peer.call(name, **body)

    async def _connected(self) -> Peer:
        async with self._connecting:
            if self._peer is not None and not self._peer.closed.is_set():
                return self._peer
            if self._watcher is not None:
                await self._watcher
            try:
                self._peer = await connect(self._socket, {"recall": self._recalled})
            except PeerLost:
                raise
            except Unavailable:
                raise KeeperUnavailable from None
            self._generation += 1
            self._watcher = asyncio.create_task(self._watch(self._peer))
            if self._is_open_only:
                await self._peer.call("open_only")
            return self._peer

    async def _watch(self, peer: Peer) -> None:
        await peer.closed.wait()
        self._generation += 1
        if self.on_lost is not None:
            self.on_lost()

    async def _recalled(self, _peer: Peer, body: dict[str, Any]) -> bool:
        """Returning is the answer "dropped"; True adds that other slots of the block stay in use."""
        if self.on_recall is None:
            return False
        account, day = AccountId.parse(body["account"]), DayPath(body["category"], body["retention_class"], body["day"])
        offsets = frozenset(body["slots"])
        return bool(await self.on_recall(account, day, body["block"], body["is_whole"], offsets))


def _lease_body(lease: Lease) -> dict[str, Any]:
    return {
        "account": str(lease.account),
        "category": lease.category,
        "retention_class": lease.retention_class,
        "day": lease.day,
        "block": lease.block,
    }


def _builtins(proof: OpenProof) -> Any:
    return msgspec.to_builtins(proof, builtin_types=(bytes,))


def _pairs(items: Sequence[SealedItem]) -> list[tuple[str, bytes]]:
    return [(item.context, item.blob) for item in items]
