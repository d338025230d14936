"""Customers' shares as the keeper sees them: one task for each guarded account, which no tick ever waits for.

Round and round, the numbers stand again at the code:
(1) connect to the customer's holder, and ask how its share stands; a destroyed one is severed at once;
(2) have the key of the current sealing lent, try it, and keep it for as long as the customer's holder allows: asked for
    again at half of that, dropped at its end, with everything that was opened by it;
(3) if a change was sealed to a generation that had sealed an older state, seal it once more to the next;
(4) when the vault and every holder of the operator's have the current sealing durably, have the older generation
    destroyed, and take the receipts of the erasures that it was destroyed for.
Whatever fails is tried again; until (4) nobody certifies an erasure in this account.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.holding.refusals import HolderAway, HoldersPending
from sealwire.custody.keys.receipts import EraseReceipt
from sealwire.custody.keys.sharing.guard import Guard, PublicShare, open_guard
from sealwire.custody.keys.sharing.link import ShareLink
from sealwire.custody.keys.sharing.messages import ACTS_MAX, LEASE_S_MAX, LEASE_S_MIN, ActTold, ShareStanding
from sealwire.custody.keys.sharing.receipt import require_signed
from sealwire.custody.keys.sharing.refusals import ShareDestroyed, ShareElsewhere, ShareWrong
from sealwire.custody.keys.sharing.requests import Guarding, Rotating, Severing, Unguarding
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId

if TYPE_CHECKING:
    from sealwire.custody.keys.keeper import Keeper

RETRY_S_MIN, RETRY_S_MAX = 0.2, 5.0
SIGN_S_MAX = 5.0
START_S_MAX = 2.0
UNSIGNED_MAX = 10_000


@dataclass(slots=True)
class _Lent:
    key: bytes
    ephemeral: bytes
    until_s: float


@dataclass(slots=True)
class _Unsigned:
    act: ActTold
    needs: int
    signed: asyncio.Future[EraseReceipt]


class Shares:
    """All guarded accounts of one keeper."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._lent: dict[AccountId, _Lent] = {}
        self._following: dict[AccountId, PublicShare] = {}
        self._links: dict[AccountId, ShareLink] = {}
        self._kicks: dict[AccountId, asyncio.Event] = {}
        self._tasks: dict[AccountId, asyncio.Task[None]] = {}
        self._unsigned: dict[AccountId, list[_Unsigned]] = {}
        self._moved_to: dict[AccountId, int] = {}
        self._stood: dict[AccountId, ShareLink] = {}
        self._asked: dict[AccountId, asyncio.Event] = {}
        self._leases_s: dict[AccountId, int] = {}
        self._answers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Ask every customer's holder; who does not answer soon is asked on."""
        accounts = self._keeper.vault.guarded_accounts()
        for account in accounts:
            self._keep(account)
        if accounts:
            await asyncio.wait([asyncio.create_task(self._first(account)) for account in accounts], timeout=START_S_MAX)

    async def stop(self) -> None:
        tasks = [*self._tasks.values(), *self._answers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in self._links.values():
            link.close()
        self._lent.clear()

    def lent(self, account: AccountId) -> bool:
        """Whether this account's share is lent now."""
        lent = self._lent.get(account)
        return lent is not None and lent.until_s > self._loop.time()

    def key_for(self, account: AccountId, guard: Guard) -> bytes | None:
        """The key of this sealing, while it is lent."""
        lent = self._lent.get(account)
        fits = lent is not None and lent.ephemeral == guard.ephemeral and lent.until_s > self._loop.time()
        return lent.key if lent is not None and fits else None

    def following(self, keys: AccountKeys) -> PublicShare | None:
        """The share that the next change of this account is sealed to, if the holder has told it."""
        share = self._following.get(keys.account)
        if share is None or keys.guard is None or not keys.guard.sealed:
            return None
        return share if share.generation == keys.guard.share.generation + 1 else None

    def note(self, keys: AccountKeys) -> None:
        """A tick changed this account: its new sealing is ours to open until the same end."""
        account, lent = keys.account, self._lent.get(keys.account)
        if keys.guard is None:
            self._lent.pop(account, None)
        elif keys.lent is not None and lent is not None:
            self._lent[account] = _Lent(keys.lent, keys.guard.ephemeral, lent.until_s)
        if account in self._kicks:
            self._kicks[account].set()

    def sign(self, keys: AccountKeys, act: dict[str, Any], future: asyncio.Future[list[EraseReceipt]]) -> None:
        """Answer an erasure when the customer's holder has signed too, or with HoldersPending."""
        assert keys.guard is not None
        needs = keys.guard.share.generation + keys.guard.is_reused
        receipts = msgspec.convert(act["receipts"], list[EraseReceipt])
        own = receipts[0]
        told = ActTold(
            erasure=own.erasure, log=own.log, paths_root=own.paths_root, count=own.count,
            epoch_before=own.epoch_before, epoch_after=own.epoch_after, held=act.get("held", 0),
        )  # fmt: skip
        waiting = _Unsigned(told, needs, self._loop.create_future())
        queue = self._unsigned.setdefault(keys.account, [])
        queue.append(waiting)
        del queue[:-UNSIGNED_MAX]
        self._kicks[keys.account].set()
        task = asyncio.create_task(self._answer(receipts, waiting.signed, keys.guard.name, future))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)

    async def join(self, account: AccountId, *, address: str, pin: str, code: str) -> dict[str, Any]:
        """Have a customer's holder make a share, and seal the account to it. Nothing of it is sealed before that."""
        keeper, keys = self._keeper, self._keeper.load(account)
        known = keys.guard.vkey if keys.guard is not None else ""
        link = await self._connect(account, address, pin, vkey=known)
        try:
            membership = keeper.companions.membership
            await asyncio.to_thread(membership.save, keeper.vault.folder)  # its id, before a holder binds a share to it
            standing = await link.add(membership.installation, code)
            if standing.receipt is not None:
                raise ShareDestroyed
            guard = Guard(link.vkey, address, pin, standing.operator, standing.shares[0], b"", b"")
            if known and known != link.vkey:
                raise ShareElsewhere
            if not known:
                self._keep_lent(account, b"", b"", standing)
            self._kicks.setdefault(account, asyncio.Event())
            await keeper.ask(Guarding(account, guard))
        except BaseException:
            link.close()
            if self._keeper.load(account).guard is None:
                self._lent.pop(account, None)
            raise
        if (before := self._links.pop(account, None)) is not None:
            before.close()
        self._links[account] = link
        self._following[account] = standing.shares[-1]
        self._keep(account)
        diagnostics.event("share.joined", account=account, holder=guard.name)
        return self.describe(account)

    async def leave(self, account: AccountId) -> None:
        """Take the guard off, while the share is lent; the customer destroys it when it likes."""
        await self._keeper.ask(Unguarding(account))
        if (link := self._links.get(account)) is not None:
            with suppress(SealwireError):
                await link.release()
        self._drop(account)
        diagnostics.event("share.left", account=account)

    def describe(self, account: AccountId) -> dict[str, Any]:
        """How the account's share stands, for its owner."""
        keys = self._keeper.load(account)
        guard, lent = keys.guard, self._lent.get(account)
        left_s = 0 if guard is None or lent is None else max(0, int(lent.until_s - self._loop.time()))
        link = self._links.get(account)
        about = {"state": "none" if not keys.severed else "destroyed", "is_up": link is not None and link.is_up,
                 "lent_for_s": left_s, "is_lent": self.lent(account), "unsigned": len(self._unsigned.get(account, ())),
                 "receipt": keys.severed.decode() or None}  # fmt: skip
        if guard is not None:
            about |= {"state": "joined", "vkey": guard.vkey, "operator": guard.operator, "address": guard.address,
                      "generation": guard.share.generation}  # fmt: skip
        return about

    def lapse(self, account: AccountId) -> None:
        """Drop what was lent, and everything that was opened by it."""
        self._lent.pop(account, None)
        self._keeper.forget_opened(account)

    async def _answer(
        self, receipts: list[EraseReceipt], signed: asyncio.Future[EraseReceipt], name: str, future: asyncio.Future[Any]
    ) -> None:
        pending = self._keeper.companions.pending
        with suppress(TimeoutError):
            receipts = [*receipts, await asyncio.wait_for(asyncio.shield(signed), SIGN_S_MAX)]
        with suppress(asyncio.InvalidStateError):
            try:
                future.set_result(pending.settled(receipts, [*self._keeper.companions.names, name]))
            except HoldersPending as error:
                future.set_exception(error)
        signed.add_done_callback(lambda done: None if done.cancelled() else pending.add(name, done.result()))

    def _keep(self, account: AccountId) -> None:
        self._kicks.setdefault(account, asyncio.Event()).set()
        task = self._tasks.get(account)
        if task is None or task.done():
            self._tasks[account] = asyncio.create_task(self._round_and_round(account))

    def _drop(self, account: AccountId) -> None:
        if (guard_link := self._links.pop(account, None)) is not None:
            guard_link.close()
        for known in (self._lent, self._following, self._moved_to, self._kicks, self._stood):
            known.pop(account, None)
        for waiting in self._unsigned.pop(account, []):
            waiting.signed.cancel()
        if (task := self._tasks.pop(account, None)) is not None and task is not asyncio.current_task():
            task.cancel()

    async def _first(self, account: AccountId) -> None:
        await self._asked.setdefault(account, asyncio.Event()).wait()

    async def _round_and_round(self, account: AccountId) -> None:
        pause_s = RETRY_S_MIN
        while (guard := self._keeper.load(account).guard) is not None:
            kick = self._kicks[account]
            kick.clear()
            try:
                link = await self._linked(account, guard)  # (1)
                await self._borrow(account, link)  # (2)
                waits = not await self._settle(account, link)  # (3), (4)
                pause_s = RETRY_S_MIN if waits else self._half_of_lease_s(account)
            except (SealwireError, OSError) as error:
                if not isinstance(error, HolderAway):
                    diagnostics.failure("share.refused", error, account=account)
                if (broken := self._links.pop(account, None)) is not None:
                    broken.close()
                pause_s = min(max(RETRY_S_MIN, 2 * pause_s), RETRY_S_MAX)
            self._asked.setdefault(account, asyncio.Event()).set()
            await _rest(kick, self._links.get(account), pause_s)
        self._drop(account)

    async def _linked(self, account: AccountId, guard: Guard) -> ShareLink:
        link = self._links.get(account)
        if link is not None and link.is_up:
            return link
        link = self._links[account] = await self._connect(account, guard.address, guard.pin, vkey=guard.vkey)
        return link

    async def _connect(self, account: AccountId, address: str, pin: str, *, vkey: str) -> ShareLink:
        def destroyed() -> None:
            self.lapse(account)
            if account in self._kicks:
                self._kicks[account].set()

        key = self._keeper.holder_key
        return await ShareLink.connect(address, pin, key, account, vkey=vkey, on_destroyed=destroyed)

    async def _borrow(self, account: AccountId, link: ShareLink) -> None:
        lent = self._lent.get(account)
        is_new = self._stood.get(account) is not link  # who comes back is asked: it may have destroyed the share
        left_s = 0.0 if lent is None or not lent.key else lent.until_s - self._loop.time()
        if left_s > self._half_of_lease_s(account) and not is_new:
            return
        standing = await link.standing()
        self._stood[account] = link
        guard = self._keeper.load(account).guard
        if guard is None:
            return
        if standing.receipt is not None:
            await self._sever(account, guard, standing)
            return
        key = await link.lend(guard)
        open_guard(key, guard, account)
        self._keep_lent(account, key, guard.ephemeral, standing)

    def _keep_lent(self, account: AccountId, key: bytes, ephemeral: bytes, standing: ShareStanding) -> None:
        seconds = min(max(standing.lease_s, LEASE_S_MIN), LEASE_S_MAX)
        self._lent[account] = _Lent(key, ephemeral, self._loop.time() + seconds)
        self._leases_s[account] = seconds
        self._loop.call_later(seconds + 0.01, self._lapse_if_over, account)

    async def _sever(self, account: AccountId, guard: Guard, standing: ShareStanding) -> None:
        assert standing.receipt is not None
        require_signed(standing.receipt, vkey=guard.vkey, account=str(account))
        self.lapse(account)
        await self._keeper.ask(Severing(account, msgspec.json.encode(standing.receipt)))
        diagnostics.event("share.destroyed", account=account, holder=guard.name)

    async def _settle(self, account: AccountId, link: ShareLink) -> bool:
        """Whether nothing is left to do; False when it has to be tried again soon."""
        while (guard := self._keeper.load(account).guard) is not None:
            waiting = self._unsigned.get(account, [])
            following = self._following.get(account)
            if following is not None and guard.is_reused and following.generation > guard.share.generation:
                if not self.lent(account):
                    return False
                await self._keeper.ask(Rotating(account))  # (3)
                continue
            number = guard.share.generation
            due = [one for one in waiting if one.needs <= number][:ACTS_MAX]
            if following is not None and not due and self._moved_to.get(account) == number:
                return not waiting and not guard.is_reused
            if self._keeper.companions.away:
                return False
            moved, receipts = await link.move_on(number, [one.act for one in due])  # (4)
            self._following[account], self._moved_to[account] = moved.following, number
            for one, receipt in zip(due, receipts, strict=True):
                if receipt is None:
                    raise ShareWrong("a receipt of the customer's holder does not hold, so nothing is certified")
                if not one.signed.done():
                    one.signed.set_result(receipt)
                waiting.remove(one)
        return True

    def _half_of_lease_s(self, account: AccountId) -> float:
        return self._leases_s.get(account, 2 * RETRY_S_MAX) / 2

    def _lapse_if_over(self, account: AccountId) -> None:
        if not self.lent(account) and account in self._lent:
            self.lapse(account)
            diagnostics.event("share.lapsed", account=account)


async def _rest(kick: asyncio.Event, link: ShareLink | None, pause_s: float) -> None:
    """Until somebody has something to do, the line ends, or it is time."""
    waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(kick.wait())]
    if link is not None and link.is_up:
        waits.append(asyncio.ensure_future(link.closed()))
    try:
        await asyncio.wait(waits, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()
