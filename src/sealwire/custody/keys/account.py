"""What the keeper knows of one account while it is loaded: its tree, its periods, the log key it pinned."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sealwire.custody.keys.held import (
    ALLOWED_WHEN_RESTRICTED,
    Hold,
    Holds,
    day_of,
    held_places,
    node_of,
    pack_numbers,
    put_back,
    unpack_numbers,
)
from sealwire.custody.keys.paths import AUDIT_CATEGORY, DAY_DEPTH, INDEX_CATEGORY, DayPath, LeafPath
from sealwire.custody.keys.refusals import (
    AccountClosed,
    Held,
    NotDue,
    PastDue,
    PathMalformed,
    PeriodMissing,
    Restricted,
)
from sealwire.custody.keys.sharing.guard import OUTSIDE, Guard, PublicShare, joined, open_guard, outside, seal_tree
from sealwire.custody.keys.sharing.refusals import ShareAway
from sealwire.custody.keys.tree import Tree
from sealwire.custody.keys.vault_format import Shard
from sealwire.vocabulary import AccountId, Purpose
from sealwire_verifier.note import parse_vkey

_PERIOD_KEY = re.compile(r"(\d{1,3})/(\d{1,2})")
PERIOD_DAYS_MAX = 40_000
FOR_A_STATUTE = Purpose.STATUTORY_RETENTION.value


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKeys:
    """One account. Changing it means making another; a tick puts the new one in place of the old."""

    account: AccountId
    log_vkey: str
    periods: dict[str, int]
    closed_keeping: tuple[int, ...] | None
    tree: Tree
    holds: Holds = field(default_factory=dict)
    owed: frozenset[int] = frozenset()
    guard: Guard | None = None
    lent: bytes | None = field(default=None, repr=False)
    """The key that the customer's holder lent, while it is lent; without it the tree is its outside part alone."""
    covered: Tree | None = field(default=None, repr=False)
    """The tree that the guard was sealed over."""
    severed: bytes = b""
    """The receipt of a share that its customer destroyed."""

    @classmethod
    def from_shard(
        cls, account: AccountId, shard: Shard, lent: Callable[[Guard], bytes | None] = lambda _guard: None
    ) -> AccountKeys:
        closed = None if shard.closed_keeping is None else tuple(shard.closed_keeping)
        tree, guard = Tree.parse(shard.nodes), shard.guard
        key = None if guard is None else lent(guard)
        if guard is not None and key is not None:
            tree = joined(tree, open_guard(key, guard, account))
        return cls(
            account=account, log_vkey=shard.log_vkey, periods=shard.periods, closed_keeping=closed,
            tree=tree, owed=unpack_numbers(shard.owed),
            holds={name: Hold.from_shard(hold) for name, hold in shard.holds.items()},
            guard=guard, lent=key, covered=tree, severed=shard.severed,
        )  # fmt: skip

    def to_shard(self) -> Shard:
        closed = None if self.closed_keeping is None else list(self.closed_keeping)
        holds = {name: hold.to_shard() for name, hold in self.holds.items()}
        assert self.guard is None or self.covered is self.tree, "what is written is what was sealed"
        tree = self.tree if self.guard is None else outside(self.tree)
        return Shard(
            self.log_vkey, self.periods, closed, tree.serialise(), holds=holds, owed=pack_numbers(self.owed),
            guard=self.guard, severed=self.severed,
        )  # fmt: skip

    @property
    def is_locked(self) -> bool:
        """Whether a share guards this account and is not lent now."""
        return self.guard is not None and self.lent is None

    def require_lent(self, category: int | None = None) -> None:
        """ShareAway when this category, or anything, is guarded and the share is not lent."""
        if self.is_locked and category not in OUTSIDE:
            raise ShareAway

    def guarded_by(self, guard: Guard) -> AccountKeys:
        """This account under a guard, its own or a new one; sealed by the next `resealed`."""
        self.require_lent()
        return replace(self, guard=guard, lent=b"", covered=None)

    def moved(self, guard: Guard) -> AccountKeys:
        """The same guard under another address: nothing is sealed anew."""
        return replace(self, guard=guard)

    def resealed(self, following: PublicShare | None) -> AccountKeys:
        """With the guard over the tree as it is now, if that changed: sealed to the following share where one is."""
        if self.guard is None or self.covered is self.tree:
            return self
        guard, lent = seal_tree(self.tree, self.guard, self.account, to=following or self.guard.share)
        return replace(self, guard=guard, lent=lent, covered=self.tree)

    def unguarded(self) -> AccountKeys:
        """This account without its guard, all of it open to the keeper again."""
        self.require_lent()
        return replace(self, guard=None, lent=None, covered=None)

    def without_share(self, *, receipt: bytes = b"") -> AccountKeys:
        """What is left when the share is gone for good: the outside alone, and what is held of it."""
        within = {name: hold.within(OUTSIDE) for name, hold in self.holds.items()}
        kept = set(OUTSIDE) if self.closed_keeping is None else set(OUTSIDE) & set(self.closed_keeping)
        return replace(
            self, tree=outside(self.tree), guard=None, lent=None, covered=None, closed_keeping=tuple(sorted(kept)),
            holds={name: hold for name, hold in within.items() if hold.leaves or hold.days},
            owed=frozenset(number for number in self.owed if day_of(number).category in OUTSIDE),
            severed=receipt or self.severed,
        )  # fmt: skip

    def _may_close_locked(self, close_keeping: Sequence[int] | None) -> bool:
        """What closes all that the share guards needs no share: the sealed part goes unopened."""
        held = held_places(self.holds.values())
        return (
            close_keeping is not None
            and set(close_keeping) <= set(OUTSIDE)
            and all(day_of(number).category in OUTSIDE for number in held)
        )

    @property
    def first_end(self) -> int | None:
        """The last day of the hold that ends first; None without holds."""
        return min((hold.until for hold in self.holds.values()), default=None)

    @property
    def log_origin(self) -> str:
        """The name of the account's log, which stands in its receipts."""
        return parse_vkey(self.log_vkey).name

    def period(self, day: DayPath) -> int:
        """The retention period in days; PeriodMissing for what has none."""
        try:
            return self.periods[f"{day.category}/{day.retention_class}"]
        except KeyError:
            raise PeriodMissing from None

    def due_day(self, day: DayPath) -> int:
        """The last day on which records of this day are kept."""
        return day.day + self.period(day)

    def require_past_due(self, places: Sequence[DayPath | LeafPath], today: int) -> None:
        """NotDue when something is left of one of these places and its period has not ended."""
        for place in places:
            self.require_lent(place.category)
        if any(self.due_day(DayPath(*one[:3])) >= today and self.tree.holds_any(one.node) for one in places):
            raise NotDue

    def require_open(self, day: DayPath, today: int) -> None:
        """Refuse what is past due, closed or without a period."""
        if self.closed_keeping is not None and day.category not in self.closed_keeping:
            raise AccountClosed
        if self.due_day(day) < today:
            raise PastDue
        self.require_lent(day.category)

    def require_readable(self, place: DayPath | LeafPath, today: int, *, purpose: str = "") -> None:
        """Refuse as `require_open` does, but for what is held; what is restricted opens for two purposes only, and what
        stays of a closed account for the statute's alone."""
        number = place.node.number
        holding = [hold for hold in self.holds.values() if hold.until >= today and hold.covers(number)]
        if purpose not in ALLOWED_WHEN_RESTRICTED and any(hold.restricts for hold in holding):
            raise Restricted
        if holding:
            self.require_lent(place.category)
        else:
            self.require_open(DayPath(*place[:3]), today)
            if self.closed_keeping is not None and place.category != AUDIT_CATEGORY and purpose != FOR_A_STATUTE:
                raise AccountClosed

    def covers(self, day: DayPath) -> bool:
        """Whether a hold keeps this whole day."""
        return any(hold.covers(day.node.number) for hold in self.holds.values())

    def ended(self, day: DayPath) -> bool:
        """Whether this day was destroyed already and only what is held of it is left."""
        wanted = day.node.number
        return any(number >> (number.bit_length() - 1 - DAY_DEPTH) == wanted for number in self.owed)

    def erased(
        self, *, leaves: Sequence[LeafPath], days: Sequence[DayPath], close_keeping: Sequence[int] | None
    ) -> AccountKeys:
        """This account without these leaves, without these days and their indexes, and closed if so asked.

        What is held of a day, or when closing, stays and is owed; Held when a held place itself is asked for.
        """
        self._require_free([*(leaf.node.number for leaf in leaves), *(day.node.number for day in days)])
        if self.is_locked and self._may_close_locked(close_keeping):
            return self.without_share().erased(leaves=leaves, days=days, close_keeping=close_keeping)

        def destroy(tree: Tree) -> None:
            for leaf in leaves:
                tree.puncture(leaf)
            for day in days:
                tree.puncture(day.node)
                tree.puncture(day.index_leaf)
            if close_keeping is not None:
                tree.close(close_keeping)

        closed = self.closed_keeping
        if close_keeping is not None:
            already = set(close_keeping if closed is None else closed)
            closed = tuple(sorted(already & set(close_keeping)))
        return replace(self._without(destroy), closed_keeping=closed)

    def swept(self, due: Sequence[DayPath], today: int) -> AccountKeys:
        """This account without everything past due of the classes that these days belong to, but what is held."""

        def destroy(tree: Tree) -> None:
            for category, retention_class in sorted({(day.category, day.retention_class) for day in due}):
                first_kept = today - self.periods[f"{category}/{retention_class}"]
                tree.puncture_days_before(category, retention_class, max(first_kept, 0))
            for day in due:
                tree.puncture(day.index_leaf)
            for category in sorted({day.category for day in due}):
                longest = max(days for key, days in self.periods.items() if key.startswith(f"{category}/"))
                tree.puncture_days_before(INDEX_CATEGORY, category & 15, max(today - longest, 0))

        return self._without(destroy)

    def placed(self, name: str, hold: Hold) -> AccountKeys:
        """This account with one hold more, or one grown; what is destroyed already cannot be held and is left out."""
        self.require_lent()
        leaves = frozenset(number for number in hold.leaves if self.tree.holds(node_of(number)))
        days = frozenset(number for number in hold.days if not self.ended(day_of(number)) and self._has_any(number))
        alive = Hold(leaves, days, hold.until, hold.restricts)
        before = self.holds.get(name)
        return replace(self, holds={**self.holds, name: alive if before is None else before.joined(alive)})

    def released(self, names: Iterable[str]) -> AccountKeys:
        """This account without these holds, and without what was owed and nothing holds any more."""
        freed = set(names)
        left = {name: hold for name, hold in self.holds.items() if name not in freed}
        return self._without(lambda _tree: None, holds=left)

    def spared(self, is_meant: Callable[[int], bool]) -> list[int]:
        """The held places among those that are meant: alive, whatever was asked for."""
        return [number for number in held_places(self.holds.values()) if is_meant(number) and self._has_any(number)]

    def _without(self, destroy: Callable[[Tree], None], *, holds: Holds | None = None) -> AccountKeys:
        self.require_lent()
        holds = self.holds if holds is None else holds
        places = held_places(holds.values())
        tree, loose = self.tree.copy(), self.owed - frozenset(places)
        for number in loose:
            tree.puncture(node_of(number))
            if number.bit_length() - 1 == DAY_DEPTH:
                tree.puncture(day_of(number).index_leaf)
        destroy(tree)
        spared = put_back(tree, self.tree, places)
        return replace(self, tree=tree, holds=holds, owed=(self.owed - loose) | spared)

    def _require_free(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            holding = sorted(name for name, hold in self.holds.items() if hold.covers(number))
            if holding:
                raise Held(f"held by {', '.join(holding)}, so nothing was destroyed; release the hold first")

    def _has_any(self, number: int) -> bool:
        return self.tree.holds_any(node_of(number))


def check_periods(periods: dict[str, int]) -> dict[str, int]:
    """Periods as `"category/class": days`, each within the widths of the tree."""
    for key, days in periods.items():
        match = _PERIOD_KEY.fullmatch(key)
        if match is None or key != f"{int(match[1])}/{int(match[2])}":
            raise PathMalformed('a retention period is named "category/class" in plain numbers, as "1/0"')
        DayPath(int(match[1]), int(match[2]), 0).node  # noqa: B018 - refuses what does not fit
        if int(match[1]) == INDEX_CATEGORY or not 0 <= days <= PERIOD_DAYS_MAX:
            raise PathMalformed("a retention period is 0 to 40,000 days, and the index has none of its own")
    return dict(sorted(periods.items()))
