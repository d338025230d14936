"""A keeper's folder with records of two accounts, and what can be asked of it: the rituals that are cut off."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealwire.custody.keys.client import SealedItem
from sealwire.custody.keys.holding.rotation import rotate_root
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.paths import DayPath
from sealwire.custody.keys.receipts import EraseReceipt
from sealwire.ground.clock import TestClock
from sealwire.vocabulary import AccountId
from tests.crash.trace import Trace
from tests.unit.keys.house import LOG_VKEY, NOON, PERIODS, TODAY, HolderStub, leaf_of, leased, open_keeper, sealed_under

CALLS, SHORT, AUDIO, INVOICES = DayPath(1, 0, TODAY), DayPath(1, 3, TODAY), DayPath(2, 0, TODAY), DayPath(3, 0, TODAY)
LATER_DAYS = 11
FIRST, SECOND, THIRD = ("ers_" + digit * 32 for digit in "123")


@dataclass(frozen=True, slots=True)
class Record:
    """A sealed record that was kept, and for which purpose it may still be opened."""

    item: SealedItem
    plaintext: bytes
    purpose: str = "service-operation"

    @property
    def account(self) -> AccountId:
        return AccountId.parse(self.item.context.partition("|")[0])


@dataclass(slots=True)
class VaultHouse:
    """What was kept in a keeper's folder before the ritual."""

    folder: Path
    ours: AccountId = field(default_factory=AccountId.new)
    other: AccountId = field(default_factory=AccountId.new)
    new: AccountId = field(default_factory=AccountId.new)
    records: dict[str, Record] = field(default_factory=dict)
    leases: list[Leased] = field(default_factory=list)

    @property
    def keeper_dir(self) -> Path:
        return self.folder / "keeper"

    async def furnish(self) -> None:
        """Two accounts, with records in four categories, at noon."""
        keeper = await open_keeper(self.keeper_dir, TestClock(NOON))
        for account, whose in ((self.ours, "our"), (self.other, "other")):
            await keeper.create_account(account, log_vkey=LOG_VKEY, periods=PERIODS)
            for day, what in ((CALLS, "call"), (SHORT, "short call"), (AUDIO, "recording"), (INVOICES, "invoice")):
                lease = await leased(keeper, account, day)
                self.leases.append(Leased(account, day, lease.block))
                for offset, which in enumerate(("first", "second")):
                    name = f"{whose} {which} {what}"
                    self.records[name] = Record(sealed_under(lease, offset, name.encode()), name.encode())
        await keeper.close()

    def leaf(self, name: str) -> Any:
        return leaf_of(self.records[name].item)


Say = Callable[[Any], None]
Act = Callable[[VaultHouse, Keeper, Say], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Receipted:
    """Somebody holds these receipts."""

    erasure: str
    receipts: list[EraseReceipt]


@dataclass(frozen=True, slots=True)
class Leased:
    """A block that was given out."""

    account: AccountId
    day: DayPath
    block: int


@dataclass(frozen=True, slots=True)
class Done:
    """Something else was said to be done: `expired`, or an account's creation."""

    what: str


@dataclass(frozen=True, slots=True)
class VaultRitual:
    """One ritual at the keeper: `erases` says by erasure which records it is to destroy."""

    ritual: str
    name: str
    act: Act
    erases: dict[str, tuple[str, ...]]
    days_later: int = 0
    starts_empty: bool = False

    def clock(self) -> TestClock:
        return TestClock(NOON + dt.timedelta(days=self.days_later))

    @property
    def doomed(self) -> set[str]:
        return {name for names in self.erases.values() for name in names}


async def record(house: VaultHouse, ritual: VaultRitual) -> Trace:
    """The ritual's effects on the disk, from the opening of the folder to its end."""
    trace = Trace(house.folder)
    with trace.recording():
        keeper = await open_keeper(house.keeper_dir, ritual.clock())
        await ritual.act(house, keeper, trace.said)
        await keeper.close()
    return trace


async def _erase(house: VaultHouse, keeper: Keeper, say: Say, *names: str, erasure: str, **more: Any) -> None:
    leaves, account = [house.leaf(name) for name in names], house.records[names[0]].account if names else house.ours
    receipts = await keeper.erase(account, erasure=erasure, leaves=leaves, **more)
    say(Receipted(erasure, receipts))


async def _lease(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    lease = await leased(keeper, house.ours, CALLS, HolderStub())
    say(Leased(house.ours, CALLS, lease.block))


async def _one_leaf(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    await _erase(house, keeper, say, "our first call", erasure=FIRST)


async def _one_tick_for_all(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    async def create() -> None:
        await keeper.create_account(house.new, log_vkey=LOG_VKEY, periods=PERIODS)
        say(Done("created"))

    await asyncio.gather(
        _erase(house, keeper, say, "our first call", "our first recording", erasure=FIRST),
        _erase(house, keeper, say, "other first call", erasure=SECOND),
        create(),
        _lease(house, keeper, say),
    )


async def _tick_after_tick(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    await _lease(house, keeper, say)
    await _erase(house, keeper, say, "our first call", erasure=FIRST)
    await _lease(house, keeper, say)
    await _erase(house, keeper, say, "our second recording", erasure=SECOND)
    await _erase(house, keeper, say, "other first short call", erasure=THIRD)


async def _whole_day(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    await _erase(house, keeper, say, erasure=FIRST, days=[CALLS], confirmed=True)


async def _held(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    until = {"until": TODAY + 400, "restricts": False}
    await keeper.hold(house.ours, hold="hld_" + "1" * 32, leaves=[house.leaf("our second call")], days=[], **until)
    await _erase(house, keeper, say, erasure=FIRST, days=[CALLS], confirmed=True)
    await keeper.hold(house.ours, hold="hld_" + "2" * 32, leaves=[house.leaf("our first recording")], days=[], **until)
    await keeper.release(house.ours, hold="hld_" + "2" * 32)


async def _new_root(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    await _one_leaf(house, keeper, say)
    await rotate_root(keeper)
    await _erase(house, keeper, say, "other first call", erasure=SECOND)


async def _sweep(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    await keeper.sweep()
    say(Done("expired"))


async def _expire_by_request(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    """As the worker asks for it, before the keeper sweeps by itself."""
    await _erase(house, keeper, say, erasure=FIRST, days=[SHORT], due_only=True)
    await _sweep(house, keeper, say)


async def _close(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    """As the closer asks for it: the period of invoices, then all but them; the log's day goes later."""
    await keeper.set_periods(house.other, {"3/0": 3000})
    await _erase(house, keeper, say, "our first call", erasure=FIRST)
    receipts = await keeper.erase(house.other, erasure=SECOND, leaves=[], close_keeping=[3, 4], confirmed=True)
    say(Receipted(SECOND, receipts))
    receipts = await keeper.erase(house.other, erasure=SECOND, leaves=[], days=[DayPath(4, 0, TODAY)], confirmed=True)
    say(Receipted(SECOND, receipts))


async def _first_start(house: VaultHouse, keeper: Keeper, say: Say) -> None:
    await keeper.create_account(house.new, log_vkey=LOG_VKEY, periods=PERIODS)
    say(Done("created"))
    lease = await leased(keeper, house.new, CALLS, HolderStub())
    say(Leased(house.new, CALLS, lease.block))


def _all_of(whose: str, *whats: str) -> tuple[str, ...]:
    return tuple(f"{whose} {which} {what}" for which in ("first", "second") for what in whats)


TICK = "forget tick"
VAULT_RITUALS = (
    VaultRitual(TICK, "one leaf", _one_leaf, {FIRST: ("our first call",)}),
    VaultRitual(TICK, "one tick for all", _one_tick_for_all,
                {FIRST: ("our first call", "our first recording"), SECOND: ("other first call",)}),
    VaultRitual(TICK, "tick after tick", _tick_after_tick,
                {FIRST: ("our first call",), SECOND: ("our second recording",),
                 THIRD: ("other first short call",)}),
    VaultRitual(TICK, "a whole day", _whole_day, {FIRST: _all_of("our", "call")}),
    VaultRitual(TICK, "held", _held, {FIRST: ("our first call",)}),
    VaultRitual(TICK, "a new root key", _new_root, {FIRST: ("our first call",), SECOND: ("other first call",)}),
    VaultRitual(TICK, "the first start", _first_start, {}, starts_empty=True),
    VaultRitual("expiry", "the keeper's sweep", _sweep,
                {"expired": (*_all_of("our", "short call"), *_all_of("other", "short call"))},
                days_later=LATER_DAYS),
    VaultRitual("expiry", "as the worker asks", _expire_by_request,
                {FIRST: _all_of("our", "short call"), "expired": _all_of("other", "short call")},
                days_later=LATER_DAYS),
    VaultRitual("closure", "at the keeper", _close,
                {FIRST: ("our first call",), SECOND: _all_of("other", "call", "short call", "recording")}),
)  # fmt: skip
