"""What a tick can be asked to do to one account, each with what it reaches and what the ledger says of it. Pure."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sealwire.custody.keys.account import AccountKeys, check_periods
from sealwire.custody.keys.held import Hold, day_of, text_of
from sealwire.custody.keys.paths import BLOCK_DEPTH, BLOCK_SLOTS, LEAF_DEPTH, DayPath, LeafPath, category_node
from sealwire.custody.keys.receipts import paths_root
from sealwire.custody.keys.refusals import AccountDiffers, AccountUnknown, HoldMalformed
from sealwire.custody.keys.tree import Tree
from sealwire.vocabulary import AccountId


@dataclass(frozen=True, slots=True)
class Reach:
    """Which blocks and leaves of an account a request destroys, wholly or in part."""

    nodes: frozenset[int] = frozenset()
    blocks: frozenset[int] = frozenset()
    closed_keeping: frozenset[int] | None = None

    def touches_block(self, day: DayPath, block: int) -> bool:
        """Whether a block loses a leaf or all of itself."""
        return day.block(block).number in self.blocks or self.destroys_block(day, block)

    def destroys_block(self, day: DayPath, block: int) -> bool:
        """Whether nothing of a block stays, not even the slots in use."""
        return self._closes(day) or self._below_a_node(day.block(block).number)

    def slots_in(self, day: DayPath, block: int) -> list[int]:
        """Which leaves of a block are destroyed one by one, by their places in it."""
        first = day.block(block).number << (LEAF_DEPTH - BLOCK_DEPTH)
        return [offset for offset in range(BLOCK_SLOTS) if first | offset in self.nodes]

    def touches_leaf(self, leaf: LeafPath) -> bool:
        return self._closes(leaf.day_path) or self._below_a_node(leaf.node.number)

    def touches_place(self, number: int) -> bool:
        """The same of a held leaf or day."""
        return self._closes(day_of(number)) or self._below_a_node(number)

    def _closes(self, day: DayPath) -> bool:
        return self.closed_keeping is not None and day.category not in self.closed_keeping

    def _below_a_node(self, number: int) -> bool:
        while number:
            if number in self.nodes:
                return True
            number >>= 1
        return False


@dataclass(frozen=True, slots=True)
class Creation:
    """Plant a tree for a new account; the same again changes nothing."""

    account: AccountId
    log_vkey: str
    periods: dict[str, int]

    @property
    def reach(self) -> Reach:
        return Reach()

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        if keys is None:
            return AccountKeys(
                account=self.account,
                log_vkey=self.log_vkey,
                periods=self.periods,
                closed_keeping=None,
                tree=Tree.planted(os.urandom(32)),
            )
        self.require_same(keys)
        return keys

    def require_same(self, keys: AccountKeys) -> None:
        """AccountDiffers when the account stands with another log key or other periods."""
        if (keys.log_vkey, keys.periods) != (self.log_vkey, self.periods):
            raise AccountDiffers

    def act(self, _keys: AccountKeys) -> dict[str, Any]:
        return {"act": "account.created", "account": str(self.account)}


@dataclass(frozen=True, slots=True)
class Widening:
    """Give an account periods for categories it did not have; those it has are never touched."""

    account: AccountId
    periods: dict[str, int]

    @property
    def reach(self) -> Reach:
        return Reach()

    def missing(self, keys: AccountKeys) -> dict[str, int]:
        """What the account does not have yet; those it has may have been set to another length since."""
        return {key: days for key, days in self.periods.items() if key not in keys.periods}

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        if keys is None:
            raise AccountUnknown
        return replace(keys, periods=check_periods(keys.periods | self.missing(keys)))

    def act(self, _keys: AccountKeys) -> dict[str, Any]:
        return {"act": "categories.admitted", "account": str(self.account), "periods": self.periods}


@dataclass(frozen=True, slots=True)
class Erasing:
    """Destroy leaves, days, or all of an account but some categories."""

    account: AccountId
    erasure: str
    leaves: Sequence[LeafPath]
    days: Sequence[DayPath]
    close_keeping: Sequence[int] | None
    reach: Reach

    @classmethod
    def checked(
        cls,
        account: AccountId,
        erasure: str,
        leaves: Sequence[LeafPath],
        days: Sequence[DayPath],
        close_keeping: Sequence[int] | None,
    ) -> Erasing:
        """A request whose every path fits the tree; PathMalformed otherwise."""
        reach = cls._reach_of(leaves, days, close_keeping)
        return cls(account, erasure, leaves, days, close_keeping, reach)

    @staticmethod
    def _reach_of(leaves: Sequence[LeafPath], days: Sequence[DayPath], close_keeping: Sequence[int] | None) -> Reach:
        leaf_numbers = [leaf.node.number for leaf in leaves]
        day_numbers = [day.node.number for day in days]
        blocks = frozenset(number >> (LEAF_DEPTH - BLOCK_DEPTH) for number in leaf_numbers)
        keeping = None if close_keeping is None else frozenset(category_node(one).prefix for one in close_keeping)
        return Reach(frozenset(leaf_numbers + day_numbers), blocks, keeping)

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        if keys is None:
            raise AccountUnknown
        return keys.erased(leaves=self.leaves, days=self.days, close_keeping=self.close_keeping)

    def texts(self) -> list[str]:
        """Every destroyed path as text: leaf, day, or `*` less what was kept."""
        closing = [] if self.close_keeping is None else ["-".join(("*", *map(str, sorted(self.close_keeping))))]
        return [leaf.text for leaf in self.leaves] + [day.text for day in self.days] + closing

    def act(self, keys: AccountKeys) -> dict[str, Any]:
        texts = self.texts()
        spared = [text_of(number) for number in keys.spared(self.reach.touches_place)]
        held = {"held": len(spared), "spared": spared} if spared else {}
        return {
            **held,
            "act": "erased",
            "account": str(self.account),
            "log": keys.log_origin,
            "erasure": self.erasure,
            "paths": texts,
            "paths_root": paths_root(texts),
            "count": len(texts),
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """Destroy days whose period has ended, asked for by nobody: the keeper keeps its own calendar."""

    account: AccountId
    days: Sequence[DayPath]
    today: int

    @property
    def reach(self) -> Reach:
        return Reach(frozenset(day.node.number for day in self.days))

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        if keys is None:
            raise AccountUnknown
        return keys.swept(self.days, self.today)

    def act(self, _keys: AccountKeys) -> dict[str, Any]:
        paths = sorted(day.text for day in self.days)
        return {"act": "expired", "account": str(self.account), "paths": paths, "today": int(self.today)}


@dataclass(frozen=True, slots=True)
class Setting:
    """Replace or add retention periods. No key is destroyed by it: what is past due now goes with the next sweep."""

    account: AccountId
    periods: dict[str, int]

    @property
    def reach(self) -> Reach:
        return Reach()

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        if keys is None:
            raise AccountUnknown
        return replace(keys, periods=check_periods(keys.periods | self.periods))

    def act(self, _keys: AccountKeys) -> dict[str, Any]:
        return {"act": "periods.set", "account": str(self.account), "periods": self.periods}


@dataclass(frozen=True, slots=True)
class Placing:
    """Hold records and days until a day; the same hold again may name more of them and a later day."""

    account: AccountId
    name: str
    hold: Hold

    @classmethod
    def checked(
        cls,
        account: AccountId,
        name: str,
        leaves: Sequence[LeafPath],
        days: Sequence[DayPath],
        *,
        until: int,
        restricts: bool,
        today: int,
    ) -> Placing:
        """A hold whose every path fits the tree and whose end is still to come; HoldMalformed otherwise."""
        if not name or not (leaves or days) or not today <= until < 1 << 16:
            raise HoldMalformed
        numbers = frozenset(leaf.node.number for leaf in leaves), frozenset(day.node.number for day in days)
        return cls(account, name, Hold(*numbers, until, restricts))

    @property
    def reach(self) -> Reach:
        return Reach()

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        if keys is None:
            raise AccountUnknown
        return keys.placed(self.name, self.hold)

    def act(self, keys: AccountKeys) -> dict[str, Any]:
        hold = keys.holds.get(self.name, self.hold)
        paths = [text_of(number) for number in sorted(hold.days) + sorted(hold.leaves)]
        about = {"until": hold.until, "restricts": hold.restricts, "count": len(paths), "paths": paths}
        return {"act": "hold.placed", "account": str(self.account), "hold": self.name, **about}


@dataclass(frozen=True, slots=True)
class Releasing:
    """End holds, by name or because their last day is past; what was owed and nothing holds any more goes with them."""

    account: AccountId
    names: Sequence[str]
    owed: frozenset[int]
    today: int | None = None

    @property
    def reach(self) -> Reach:
        blocks = frozenset(number >> (LEAF_DEPTH - BLOCK_DEPTH) for number in self.owed if number >> LEAF_DEPTH)
        return Reach(self.owed, blocks)

    def apply(self, keys: AccountKeys | None) -> AccountKeys:
        if keys is None:
            raise AccountUnknown
        if self.today is None:
            return keys.released(self.names)
        today = self.today  # one that was extended since it was asked stays
        return keys.released(name for name, hold in keys.holds.items() if hold.until < today)

    def act(self, _keys: AccountKeys) -> dict[str, Any]:
        why = {} if self.today is None else {"today": int(self.today)}
        return {"act": "hold.released", "account": str(self.account), "holds": sorted(self.names), **why}


Request = Creation | Widening | Setting | Erasing | Placing | Releasing | Sweep
