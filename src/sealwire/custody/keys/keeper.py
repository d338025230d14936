"""The keeper's state: the one place where keys are. A single writer; ticks run in a thread beside the event loop.

A tick, seen from here: (1) what is to be destroyed is announced, so that no lease is granted on it any more;
(2) blocks that it touches are recalled and waited for; (3) changed trees are computed and the durable ritual of
`tick` runs; (4) the changed trees take the place of the old ones and media streams that they touch end; (5) only
now are receipts given out.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from sealwire.custody.keys.account import AccountKeys, check_periods
from sealwire.custody.keys.book import Holder, LeaseBook
from sealwire.custody.keys.calendar import Calendar
from sealwire.custody.keys.confirming import Confirmations
from sealwire.custody.keys.effaceability import Effaceability
from sealwire.custody.keys.holding.companions import Companions
from sealwire.custody.keys.holding.protocol import Root
from sealwire.custody.keys.holding.refusals import HoldersPending
from sealwire.custody.keys.leases import LeaseId, LeaseJournal
from sealwire.custody.keys.messages import KeeperStatus
from sealwire.custody.keys.opening import Opening
from sealwire.custody.keys.paths import AUDIT_CATEGORY, INDEX_CATEGORY, DayPath, LeafPath
from sealwire.custody.keys.proof import Challenges, check_vkey
from sealwire.custody.keys.receipts import EraseReceipt, HolderKey, Signer, paths_root, receipt_signer
from sealwire.custody.keys.refusals import (
    DayErased,
    KeeperStopping,
    NotDue,
    PathMalformed,
    VaultBroken,
)
from sealwire.custody.keys.requests import Creation, Erasing, Reach, Request, Widening
from sealwire.custody.keys.sharing.requests import ShareRequest
from sealwire.custody.keys.sharing.shares import Shares
from sealwire.custody.keys.tick import TickFailed, forget
from sealwire.custody.keys.tree import index_key
from sealwire.custody.keys.upkeep import Upkeep
from sealwire.custody.keys.vault import Vault, is_new, lock_folder
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.vocabulary import AccountId

GATHER_SECONDS = 0.002
LOADED_ACCOUNTS_MAX = 1024

Waiting = tuple[Request | ShareRequest, "asyncio.Future[list[EraseReceipt]]"]


class Keeper(Upkeep):
    """One open vault and everything that is asked of it."""

    def __init__(
        self,
        vault: Vault,
        journal: LeaseJournal,
        holder_key: HolderKey,
        clock: Clock,
        effaceability: Effaceability,
        *,
        findable: Mapping[int, Sequence[int]],
        sign: Signer,
        companions: Companions,
    ) -> None:
        self.vault = vault
        self.journal = journal
        self.holder_key = holder_key
        self.effaceability = effaceability
        self.book = LeaseBook()
        self.calendar = Calendar(clock, last_tick_s=vault.index.written_at, folder=vault.folder)
        self.challenges = Challenges(clock)
        self.opening = Opening(self, findable)
        self.broken: asyncio.Future[SealwireError] = asyncio.get_running_loop().create_future()
        self.companions = companions
        self._clock, self._sign = clock, sign
        self.shares = Shares(self)
        self._confirmations = Confirmations(clock)
        self._loaded: OrderedDict[AccountId, AccountKeys] = OrderedDict()
        self._queue: list[Waiting] = []
        self._ticker: asyncio.Task[None] | None = None
        self._destroying: list[tuple[AccountId, Reach]] = []
        self._stopping = False

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        clock: Clock,
        effaceability: Effaceability,
        findable: Mapping[int, Sequence[int]] = MappingProxyType({}),
        operator: str = "",
        heads: Path | None = None,
        holders_required: int = 1,
    ) -> Keeper:
        """Open the keeper folder, or make it; finishes what a crash interrupted before it returns.

        `findable` says by category code at which positions of a record's sealed fields numbers stand; `heads` is the
        file of the last signed heads, of which every further holder gets a copy.
        """
        with ExitStack() as undo:
            lock = lock_folder(folder)
            undo.callback(os.close, lock)
            new = is_new(folder)
            holder_key = HolderKey.open(folder / "holder.key", create=new)
            journal = LeaseJournal.open(folder / "leases.journal", create=new)
            undo.callback(journal.abandon)
            now = clock.now()
            grade = effaceability.effaceability_class
            sign = receipt_signer(holder_key, clock, effaceability_class=grade, operator=operator)
            vault = Vault.open(folder, lock, now_s=now.timestamp(), at=rfc3339(now), sign=sign)
            companions = Companions(folder, holder_key, vault, heads=heads, required=holders_required)
            keeper = cls(
                vault, journal, holder_key, clock, effaceability, findable=findable, sign=sign, companions=companions
            )
            undo.pop_all()
        try:
            await companions.start()
            await keeper.shares.start()
        except BaseException:
            await keeper.close()
            raise
        companions.broken.add_done_callback(lambda told: keeper.stop_broken([], told.result()))
        return keeper

    @property
    def is_stopping(self) -> bool:
        return self._stopping

    async def close(self) -> None:
        """Finish the running tick and close the files; what still waits is refused."""
        self._stopping = True
        if self._ticker is not None:
            await asyncio.gather(self._ticker, return_exceptions=True)
        await self.shares.stop()
        await self.companions.stop()
        await self.journal.close()
        self.vault.close()

    async def create_account(self, account: AccountId, *, log_vkey: str, periods: dict[str, int]) -> None:
        """Plant a tree for a new account; the same again changes nothing, anything else is AccountDiffers."""
        check_vkey(log_vkey)
        creation = Creation(account, log_vkey, check_periods(periods))
        if self.vault.knows(account):
            creation.require_same(self.load(account))
            return
        await self._ask(creation)

    async def admit_categories(self, account: AccountId, periods: dict[str, int]) -> list[str]:
        """Add periods of categories that came with a newer version; which were added. AccountDiffers: nothing was."""
        widening = Widening(account, check_periods(periods))
        missing = widening.missing(self.load(account))
        if missing:
            await self._ask(Widening(account, missing))
        return sorted(missing)

    async def lease(self, account: AccountId, day: DayPath, holder: Holder) -> tuple[LeaseId, bytes, bytes | None]:
        """Give out a block never given out before: its id, its node, the day's index key. Journalled first."""
        day.node  # noqa: B018 - refuses what does not fit the tree
        if day.category == INDEX_CATEGORY:
            raise PathMalformed("the index has no slots to lease; its keys come with the leases of what it indexes")
        keys = self.load(account)
        keys.require_open(day, self.calendar.today())
        if keys.ended(day):
            raise DayErased
        lease = self.journal.pick(account, day)
        while not keys.tree.holds(day.block(lease.block)):
            if not keys.tree.holds_any(day.node):
                raise DayErased
            lease = self.journal.pick(account, day)
        await self.journal.record(lease, keys.due_day(day))
        keys = self.load(account)
        destroying = any(who == account and what.touches_block(day, lease.block) for who, what in self._destroying)
        if destroying or self._stopping or keys.ended(day) or not keys.tree.holds(day.block(lease.block)):
            raise KeeperStopping if self._stopping else DayErased
        index = None if day.category == AUDIT_CATEGORY else index_key(keys.tree, day)
        node = keys.tree.derive(day.block(lease.block))
        self.book.add(lease, holder)
        return lease, node, index

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
        """Destroy keys and return each holder's signed receipt; the same again is harmless and gives new, true ones.

        With `due_only`, NotDue unless all of it is past due by the keeper's own calendar. HoldersPending while a
        holder has not signed: ask again. ConfirmationNeeded when it is much and neither due nor `confirmed`.
        ClockSuspect for a whole account while the clock is doubted.
        """
        keys = self.load(account)
        if due_only:
            if close_keeping is not None:
                raise NotDue
            keys.require_past_due([*days, *leaves], self.calendar.today())
        elif close_keeping is not None:
            self.calendar.today()  # its grace ended by a clock, so not by one that is doubted
        request = Erasing.checked(account, erasure, leaves, days, close_keeping)
        root = paths_root(request.texts())
        if (receipts := self.companions.pending.known(erasure, root)) is not None:
            return receipts
        if not (due_only or confirmed):
            self._confirmations.require(f"{account} {erasure} {root}", request)
        return await self._ask(request)

    def status(self, *, memory_locked: bool = False) -> KeeperStatus:
        return KeeperStatus(
            epoch=self.vault.epoch.number,
            effaceability_class=self.effaceability.effaceability_class,
            reason=self.effaceability.reason,
            accounts=len(self.vault.index.shards),
            holder_vkey=self.holder_key.vkey,
            leases_outstanding=len(self.book),
            holders=1 + len(self.companions.membership.members),
            holder_vkeys=[self.holder_key.vkey, *(one.vkey for one in self.companions.membership.members)],
            holders_away=self.companions.away,
            erasures_pending=len(self.companions.pending),
            disaster_recoverable=self.companions.is_disaster_recoverable,
            memory_locked=memory_locked,
            clock_trusted=self.calendar.trusted,
            clock_reason=self.calendar.reason,
        )

    def load(self, account: AccountId) -> AccountKeys:
        """The account's keys, from memory or from its shard; of a guarded account as much as its share lets open."""
        keys = self._loaded.get(account)
        if keys is not None and keys.guard is not None and keys.is_locked == self.shares.lent(account):
            keys = None
        if keys is None:
            keys = self.vault.load(account, partial(self.shares.key_for, account))
            self._remember(keys)
        self._loaded.move_to_end(account)
        return keys

    def forget_opened(self, account: AccountId) -> None:
        """Keep nothing in memory of an account whose share is not lent any more."""
        self._loaded.pop(account, None)
        self.opening.end_guarded(account)

    def _remember(self, keys: AccountKeys) -> None:
        self._loaded[keys.account] = keys
        busy = {account for account, _ in self._destroying}
        while len(self._loaded) > LOADED_ACCOUNTS_MAX + len(busy):
            oldest = next(account for account in self._loaded if account not in busy)
            del self._loaded[oldest]

    async def ask(self, request: ShareRequest) -> list[EraseReceipt]:
        """Return when the tick that did this is durable."""
        return await self._ask(request)

    async def _ask(self, request: Request | ShareRequest) -> list[EraseReceipt]:
        if self._stopping:
            raise KeeperStopping
        future: asyncio.Future[list[EraseReceipt]] = asyncio.get_running_loop().create_future()
        self._queue.append((request, future))
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.create_task(self._tick_while_asked())
        return await asyncio.shield(future)

    async def _tick_while_asked(self) -> None:
        while self._queue:
            await asyncio.sleep(GATHER_SECONDS)
            batch, self._queue = self._queue, []
            self._destroying = [(request.account, request.reach) for request, _ in batch]  # (1)
            try:
                await self._tick(batch)
            except TickFailed as error:
                diagnostics.failure("keeper.tick-failed", error.__cause__ or error)
                _answer_all(batch, error)
            except Exception as error:
                self.stop_broken(batch, error)
                return
            finally:
                self._destroying = []

    async def _tick(self, batch: list[Waiting]) -> None:
        before: dict[AccountId, AccountKeys] = {}
        sound: list[Waiting] = []
        for request, future in batch:
            try:
                if not isinstance(request, Creation) or self.vault.knows(request.account):
                    before[request.account] = self.load(request.account)
                sound.append((request, future))
            except SealwireError as error:
                future.set_exception(error)
        sound = await self._recalled(sound)  # (2)
        async with self.companions.turn:
            changed, done, acts = await asyncio.to_thread(self._run, before, sound)  # (3)
        for keys in changed.values():
            self._remember(keys)  # (4)
            if keys.guard is not None or self.shares.lent(keys.account):
                self.shares.note(keys)
        for request, _ in done:
            self.opening.end_unreadable(changed[request.account], request.reach)
        for keys in changed.values():
            self.opening.end_restricted(keys)
        for (request, future), act in zip(done, acts, strict=True):
            self._answer(changed[request.account], act, future)  # (5)

    def _answer(self, keys: AccountKeys, act: dict[str, Any], future: asyncio.Future[list[EraseReceipt]]) -> None:
        if keys.guard is not None and "receipts" in act:
            self.shares.sign(keys, act, future)
            return
        receipts = msgspec.convert(act.get("receipts", []), list[EraseReceipt])
        with suppress(asyncio.InvalidStateError):
            try:
                future.set_result(self._settled(receipts))
            except HoldersPending as error:
                future.set_exception(error)

    def _settled(self, receipts: list[EraseReceipt]) -> list[EraseReceipt]:
        return self.companions.pending.settled(receipts, self.companions.names) if receipts else []

    async def _recalled(self, batch: list[Waiting]) -> list[Waiting]:
        """The requests of which nobody holds a key any more; the others are told why not."""
        recalls = (self.book.recall(request.account, request.reach) for request, _ in batch)
        recalled: list[Waiting] = []
        for waiting, outcome in zip(batch, await asyncio.gather(*recalls, return_exceptions=True), strict=True):
            if outcome is None:
                recalled.append(waiting)
            elif isinstance(outcome, SealwireError):
                _answer_all([waiting], outcome)
            else:
                raise outcome
        return recalled

    def _run(
        self, before: dict[AccountId, AccountKeys], batch: list[Waiting]
    ) -> tuple[dict[AccountId, AccountKeys], list[Waiting], list[dict[str, Any]]]:
        changed: dict[AccountId, AccountKeys] = {}
        done: list[Waiting] = []
        for request, future in batch:
            account = request.account
            try:
                changed[account] = request.apply(changed.get(account) or before.get(account))
                done.append((request, future))
            except SealwireError as error:
                asyncio.run_coroutine_threadsafe(_answer(future, error), future.get_loop())
        if not done:
            return {}, [], []
        changed = {account: keys.resealed(self.shares.following(keys)) for account, keys in changed.items()}
        acts = [request.act(changed[request.account]) for request, _ in done]
        return changed, done, self.forget(list(changed.values()), acts)

    def forget(
        self, changed: list[AccountKeys], acts: list[dict[str, Any]], new_root: tuple[bytes, Root] | None = None
    ) -> list[dict[str, Any]]:
        """From a thread, in this keeper's turn: the durable ritual of `tick`."""
        return forget(
            self.vault, changed, acts, seen_s=self.calendar.seen_s(), clock=self._clock, sign=self._sign,
            companions=self.companions, new_root=new_root,
        )  # fmt: skip

    def stop_broken(self, batch: list[Waiting], error: Exception) -> None:
        diagnostics.failure("keeper.tick-broken", error)
        self._stopping = True
        reason = error if isinstance(error, SealwireError) else VaultBroken("a tick failed half way; see diagnostics")
        _answer_all([*batch, *self._queue], reason)
        if not self.broken.done():
            self.broken.set_result(reason)


def _answer_all(batch: Sequence[Waiting], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)


async def _answer(future: asyncio.Future[list[EraseReceipt]], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
