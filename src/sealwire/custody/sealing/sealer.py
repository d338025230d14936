"""The sealer: spends the slots of leased blocks, one slot a record, never one twice.

A block is 256 slots of one (account, category, retention class, day), leased from the keeper. What is held of it here
is its node and the day's index key. Both are dropped when all slots are spent, when the keeper recalls the block, when
the connection to the keeper is lost, or when nobody has used them for a minute. Slots in use keep the keys of their own
record, and these too are revoked when the record, its day or the connection goes: without the keeper nothing can be
sealed, so nothing is kept that could not be erased.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakSet, WeakValueDictionary

from sealwire.custody.keys.client import DayPath, KeeperClient, Lease
from sealwire.custody.keys.paths import BLOCK_SLOTS
from sealwire.custody.keys.tree import LeafKeys, block_leaf, index_token, leaf_keys
from sealwire.custody.sealing.envelope import Context, MediaSealer, seal_record
from sealwire.errors import Unavailable
from sealwire.ground.clock import Clock
from sealwire.ground.wire import PeerLost
from sealwire.vocabulary import AccountId, Day

IDLE_S_MAX = 60.0

DayKey = tuple[AccountId, int, int, int]


@dataclass(slots=True, eq=False)
class _Block:
    """A leased block and how much of it is spent; when finished it has no keys and waits for its slots in use."""

    lease: Lease
    spent: int
    used_at_s: float
    slots: WeakSet[Slot] = field(default_factory=WeakSet)

    def is_of(self, where: DayKey, block: int) -> bool:
        return where == _where(self.lease) and self.lease.block == block

    def finish(self) -> None:
        """Give out no more slots, and drop what they were made from."""
        self.spent, self.lease = BLOCK_SLOTS, self.lease.without_keys()

    def revoke(self, offsets: Collection[int] | None = None) -> None:
        """Revoke the slots in use, or those at these places in the block."""
        for slot in list(self.slots):
            if offsets is None or slot.context.slot % BLOCK_SLOTS in offsets:
                slot.revoke()
                self.slots.discard(slot)


@dataclass(slots=True, eq=False)
class _Arrival:
    """A lease that was asked for; no slot of it is given out yet. What is recalled meanwhile is remembered here."""

    lease: Lease | None = None
    recalled: set[int] = field(default_factory=set)
    is_lost: bool = False

    def recall(self, block: int) -> None:
        self.recalled.add(block)
        if self.lease is not None and self.lease.block == block:
            self.lease = self.lease.without_keys()

    def lose(self) -> None:
        """The connection ended. A lease that is still under way fails by itself, or comes over the next one."""
        if self.lease is not None:
            self.lease, self.is_lost = self.lease.without_keys(), True

    def require_held(self) -> Lease:
        """The lease; SlotRecalled or PeerLost when it does not stand any more."""
        if self.is_lost or self.lease is None:
            raise PeerLost
        if self.lease.block in self.recalled:
            raise SlotRecalled
        return self.lease


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed record, ready to be written: where its key lives, the ciphertext, its commitment, its tokens."""

    context: Context
    blob: bytes
    commitment: bytes
    tokens: list[bytes]


class SlotRecalled(Unavailable):
    """The keeper took back the keys of this record while it was being made, so it cannot be kept: begin it anew."""


class Slot:
    """One slot of a block while its record is being made. Its keys live no longer than this object."""

    def __init__(self, context: Context, keys: LeafKeys, index_key: bytes | None) -> None:
        self.context = context
        self._held: LeafKeys | None = keys
        self._index_key = index_key
        self._media: MediaSealer | None = None

    @property
    def _keys(self) -> LeafKeys:
        if self._held is None:
            raise SlotRecalled
        return self._held

    def revoke(self) -> None:
        """Drop the keys; whatever is tried with this slot from now on is refused."""
        self._held = self._index_key = self._media = None

    def seal(self, plaintext: bytes, numbers: list[str]) -> Sealed:
        """Seal the record's fields and make the tokens by which its numbers can be looked up."""
        blob = seal_record(self._keys.record, self.context, plaintext)
        commitment = commitment_of(self._keys.commit, self.context, plaintext)
        return Sealed(self.context, blob, commitment, self._tokens(numbers))

    def media_update(self, audio: bytes) -> bytes:
        """The next piece of this record's audio, sealed as a stream (Cobblestone-256, C2SP chunked-encryption)."""
        if self._media is None:
            self._media = MediaSealer(self._keys.media, self.context)
        return self._media.update(audio)

    def media_finalize(self) -> bytes:
        """The end of the stream."""
        rest = self.media_update(b"")
        assert self._media is not None
        return rest + self._media.finalize()

    def _tokens(self, numbers: list[str]) -> list[bytes]:
        if self._index_key is None:
            return []
        return [index_token(self._index_key, number) for number in numbers]


def commitment_of(commit_key: bytes, context: Context, plaintext: bytes) -> bytes:
    """What the log and the certificate know of a record: noise once its own key is gone."""
    digest = hashlib.sha256(context.text.encode() + b"\n" + plaintext).digest()
    return hashlib.sha256(b"sealwire/record/c1" + commit_key + digest).digest()


class Sealer:
    """Takes slots for records. One per process; safe for concurrent tasks of one event loop."""

    def __init__(
        self,
        keeper: KeeperClient,
        clock: Clock,
        *,
        on_new_block: Callable[[Lease], Awaitable[None]] | None = None,
    ) -> None:
        self._keeper = keeper
        self._clock = clock
        self._blocks: dict[DayKey, _Block] = {}
        self._arriving: dict[DayKey, _Arrival] = {}
        self._finished: set[_Block] = set()
        self._locks: WeakValueDictionary[DayKey, asyncio.Lock] = WeakValueDictionary()
        self._on_new_block = on_new_block
        keeper.on_recall = self._recalled
        keeper.on_lost = self._lost

    async def slot(self, account: AccountId, *, category: int, day: Day, retention_class: int = 0) -> Slot:
        """The next unused slot of this day; leases a block when there is none. Unavailable without the keeper."""
        where = (account, category, retention_class, int(day))
        block = self._blocks.get(where)
        if block is None:
            block = await self._lease(where)
        offset, block.spent, block.used_at_s = block.spent, block.spent + 1, self._clock.monotonic_s()
        lease = block.lease
        slot = lease.block * BLOCK_SLOTS + offset
        context = Context(account, category, retention_class, int(day), slot)
        given = Slot(context, leaf_keys(block_leaf(lease.block_key, offset)), lease.index_key)
        block.slots.add(given)
        if block.spent == BLOCK_SLOTS:
            self._finish(where)
        return given

    async def drop_idle(self) -> None:
        """Give back blocks that nobody has used for a minute; the rest of their slots stay unused for ever.

        A block stays leased while one of its slots is in use (a recording may take hours), so that a recall finds it.
        """
        now_s = self._clock.monotonic_s()
        for where, block in list(self._blocks.items()):
            if now_s - block.used_at_s > IDLE_S_MAX:
                self._finish(where)
        for block in [block for block in self._finished if not block.slots]:
            self._finished.discard(block)
            with suppress(Unavailable):  # without a connection the keeper has taken it back already
                await self._keeper.give_back(block.lease)

    async def _lease(self, where: DayKey) -> _Block:
        lock = self._locks.setdefault(where, asyncio.Lock())  # lives as long as somebody holds it or waits for it
        async with lock:
            block = self._blocks.get(where)
            if block is not None:
                return block
            try:
                await self.drop_idle()
                return await self._arrive(where)
            except Exception:
                await self.drop_idle()
                raise

    async def _arrive(self, where: DayKey) -> _Block:
        """A new block, entered before it is asked for, and given out only if nothing took it back meanwhile."""
        account, category, retention_class, day = where
        arrival = self._arriving[where] = _Arrival()
        try:
            arrival.lease = await self._keeper.lease(
                account, category=category, retention_class=retention_class, day=day
            )
            lease = arrival.require_held().without_keys()
            if self._on_new_block is not None:
                await self._on_new_block(lease)
            block = self._blocks[where] = _Block(arrival.require_held(), 0, self._clock.monotonic_s())
            return block
        except BaseException:
            if arrival.lease is not None:
                self._finished.add(_Block(arrival.lease.without_keys(), BLOCK_SLOTS, 0.0))
            raise
        finally:
            del self._arriving[where]

    def _finish(self, where: DayKey) -> None:
        block = self._blocks.pop(where)
        block.finish()
        self._finished.add(block)

    async def _recalled(
        self, account: AccountId, day: DayPath, block: int, is_whole: bool, offsets: Collection[int]
    ) -> bool:
        where = (account, *day)
        if (arrival := self._arriving.get(where)) is not None:
            arrival.recall(block)
        if (held := self._blocks.get(where)) is not None and held.lease.block == block:
            self._finish(where)
        stays = False
        for finished in [one for one in self._finished if one.is_of(where, block)]:
            finished.revoke(None if is_whole else offsets)
            if finished.slots:
                stays = True
            else:
                self._finished.discard(finished)
        return stays

    def _lost(self) -> None:
        for block in [*self._blocks.values(), *self._finished]:
            block.revoke()
        for arrival in self._arriving.values():
            arrival.lose()
        self._blocks.clear()
        self._finished.clear()


def _where(lease: Lease) -> DayKey:
    return lease.account, lease.category, lease.retention_class, lease.day
