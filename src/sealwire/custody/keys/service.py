"""The keeper on its socket: wire bodies in, wire bodies out. What is decided is decided in `keeper` and `opening`."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import suppress
from typing import Any

import msgspec

from sealwire.custody.keys.holders import PeerHolder
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.leases import LeaseId
from sealwire.custody.keys.messages import OpenProof, SealedItem
from sealwire.custody.keys.opening import MediaStream
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.refusals import MediaEnded, OpenOnly
from sealwire.errors import Malformed
from sealwire.ground import diagnostics
from sealwire.ground.wire import Handler, Peer
from sealwire.vocabulary import AccountId

MEDIA_STREAMS_PER_PEER_MAX = 256
CLOSE_SECONDS_MAX = 1.0
OPENING = frozenset({"open_only", "challenge", "open", "media_begin", "media_update", "media_end", "status"})
"""All that a connection may ask for which opens only, as a restore drill does."""


class KeeperRequestMalformed(Malformed):
    """The keeper was asked in a form it does not know; are all processes of one version?"""


class KeeperService:
    """Handlers by name, for `ground.wire.serve`."""

    def __init__(self, keeper: Keeper, *, memory_locked: bool = False) -> None:
        self._keeper = keeper
        self._memory_locked = memory_locked
        self._numbers = itertools.count(1)
        self._peers: set[Peer] = set()

    def handlers(self) -> dict[str, Handler]:
        names = (
            "create_account", "admit_categories", "set_periods", "hold", "release", "lease", "give_back", "challenge",
            "open", "open_only", "media_begin", "media_update", "media_end", "index_tokens", "reindex", "erase",
            "sweep", "status",
        )  # fmt: skip
        return {name: self._guarded(name, getattr(self, name)) for name in names}

    async def closed(self, peer: Peer) -> None:
        """A connection ended: what its process was opening ends, and what it held counts as dropped.

        Not so when the keeper cut it off: then the book keeps what it held until the process has let go.
        """
        self._peers.discard(peer)
        holder: PeerHolder | None = peer.state.get("holder")
        if holder is not None and not holder.is_cut_off:
            self._keeper.book.drop_holder(holder)
        for stream in peer.state.pop("media", {}).values():
            stream.end()

    async def create_account(self, _peer: Peer, body: dict[str, Any]) -> None:
        periods = msgspec.convert(body["periods"], dict[str, int])
        await self._keeper.create_account(_account(body), log_vkey=str(body["log_vkey"]), periods=periods)

    async def admit_categories(self, _peer: Peer, body: dict[str, Any]) -> list[str]:
        periods = msgspec.convert(body["periods"], dict[str, int])
        return await self._keeper.admit_categories(_account(body), periods)

    async def set_periods(self, _peer: Peer, body: dict[str, Any]) -> None:
        await self._keeper.set_periods(_account(body), msgspec.convert(body["periods"], dict[str, int]))

    async def hold(self, _peer: Peer, body: dict[str, Any]) -> list[list[int]]:
        """Places that were destroyed already, each as its three or four numbers."""
        missing = await self._keeper.hold(
            _account(body),
            hold=str(body["hold"]),
            leaves=_leaves(body),
            days=_days(body),
            until=msgspec.convert(body["until"], int),
            restricts=msgspec.convert(body["restricts"], bool),
        )
        return [list(place) for place in missing]

    async def release(self, _peer: Peer, body: dict[str, Any]) -> None:
        ended_only = msgspec.convert(body["ended_only"], bool)
        await self._keeper.release(_account(body), hold=str(body["hold"]), ended_only=ended_only)

    async def open_only(self, peer: Peer, _body: dict[str, Any]) -> None:
        """From now on this connection may open and do nothing else; there is no way back but a new one."""
        peer.state["open_only"] = True

    async def lease(self, peer: Peer, body: dict[str, Any]) -> dict[str, Any]:
        holder = self._holder(peer)
        lease, block_key, index_key = await self._keeper.lease(_account(body), _day(body), holder)
        if peer.closed.is_set():
            self._keeper.book.drop(lease, holder)
        return {"block": lease.block, "block_key": block_key, "index_key": index_key}

    async def give_back(self, peer: Peer, body: dict[str, Any]) -> None:
        self._keeper.book.drop(LeaseId(_account(body), _day(body), int(body["block"])), self._holder(peer))

    async def challenge(self, _peer: Peer, _body: dict[str, Any]) -> bytes:
        return self._keeper.challenges.give()

    async def open(self, _peer: Peer, body: dict[str, Any]) -> list[bytes | None]:
        return self._keeper.opening.records(_account(body), _proof(body), _items(body))

    async def media_begin(self, peer: Peer, body: dict[str, Any]) -> int:
        streams = _streams(peer)
        if len(streams) >= MEDIA_STREAMS_PER_PEER_MAX:
            raise MediaEnded("this process has 256 media streams open; finish some before it opens more")
        stream = self._keeper.opening.media(_account(body), _proof(body), SealedItem(str(body["context"])))
        number = next(self._numbers)
        streams[number] = stream
        return number

    async def media_update(self, peer: Peer, body: dict[str, Any]) -> bytes:
        return _stream(peer, body).update(body["sealed"])

    async def media_end(self, peer: Peer, body: dict[str, Any]) -> bytes:
        stream = _stream(peer, body)
        del _streams(peer)[body["stream"]]
        if body["is_abandoned"]:
            stream.end()
            return b""
        return stream.finalize()

    async def index_tokens(self, _peer: Peer, body: dict[str, Any]) -> list[bytes | None]:
        days = _days(body)
        number, salt = str(body["number"]), msgspec.convert(body["salt"], bytes, builtin_types=(bytes,))
        return self._keeper.opening.index_tokens(_account(body), _proof(body), number, days, salt=salt)

    async def reindex(self, _peer: Peer, body: dict[str, Any]) -> list[list[bytes]]:
        return self._keeper.opening.reindex(_account(body), _proof(body), _items(body))

    async def erase(self, _peer: Peer, body: dict[str, Any]) -> list[dict[str, Any]]:
        leaves, days = _leaves(body), _days(body)
        keeping = msgspec.convert(body["close_keeping"], list[int] | None)
        receipts = await self._keeper.erase(
            _account(body),
            erasure=str(body["erasure"]),
            leaves=leaves,
            days=days,
            close_keeping=keeping,
            due_only=msgspec.convert(body["due_only"], bool),
            confirmed=msgspec.convert(body.get("confirmed", False), bool),
        )
        return list(msgspec.to_builtins(receipts))

    async def sweep(self, _peer: Peer, _body: dict[str, Any]) -> int:
        return await self._keeper.sweep()

    async def status(self, _peer: Peer, _body: dict[str, Any]) -> dict[str, Any]:
        return dict(msgspec.to_builtins(self._keeper.status(memory_locked=self._memory_locked)))

    async def stop(self) -> None:
        """End every connection, which tells each process to drop what it holds."""
        for peer in list(self._peers):
            peer.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(peer.closed.wait(), CLOSE_SECONDS_MAX)
            if (line := peer.abort()) is not None:
                line.close()

    def _holder(self, peer: Peer) -> PeerHolder:
        if "holder" not in peer.state:
            peer.state["holder"] = PeerHolder(peer, on_let_go=self._keeper.book.drop_holder)
        holder: PeerHolder = peer.state["holder"]
        return holder

    def _guarded(self, name: str, handler: Handler) -> Handler:
        async def handle(peer: Peer, body: dict[str, Any]) -> Any:
            self._peers.add(peer)
            if peer.state.get("open_only") and name not in OPENING:
                raise OpenOnly
            try:
                return await handler(peer, body)
            except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
                diagnostics.failure("keeper.request-malformed", error)
                raise KeeperRequestMalformed from None

        return handle


def _account(body: dict[str, Any]) -> AccountId:
    return AccountId.parse(body["account"])


def _day(body: dict[str, Any]) -> DayPath:
    return DayPath(int(body["category"]), int(body["retention_class"]), int(body["day"]))


def _leaves(body: dict[str, Any]) -> list[LeafPath]:
    return [LeafPath(*leaf) for leaf in msgspec.convert(body["leaves"], list[tuple[int, int, int, int]])]


def _days(body: dict[str, Any]) -> list[DayPath]:
    return [DayPath(*day) for day in msgspec.convert(body["days"], list[tuple[int, int, int]])]


def _proof(body: dict[str, Any]) -> OpenProof:
    return msgspec.convert(body["proof"], OpenProof, builtin_types=(bytes,))


def _items(body: dict[str, Any]) -> list[SealedItem]:
    return [SealedItem(context, blob) for context, blob in msgspec.convert(body["items"], list[tuple[str, bytes]])]


def _streams(peer: Peer) -> dict[int, MediaStream]:
    streams: dict[int, MediaStream] = peer.state.setdefault("media", {})
    return streams


def _stream(peer: Peer, body: dict[str, Any]) -> MediaStream:
    try:
        return _streams(peer)[body["stream"]]
    except KeyError:
        raise MediaEnded from None
