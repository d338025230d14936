"""What the keeper knows of one account while it is loaded: its tree, its periods, the log key it pinned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sealwire.custody.keys.paths import INDEX_CATEGORY, DayPath, LeafPath
from sealwire.custody.keys.refusals import AccountClosed, NotDue, PastDue, PathMalformed, PeriodMissing
from sealwire.custody.keys.tree import Tree
from sealwire.custody.keys.vault_format import Shard
from sealwire.vocabulary import AccountId
from sealwire_verifier.note import parse_vkey

_PERIOD_KEY = re.compile(r"(\d{1,3})/(\d{1,2})")
PERIOD_DAYS_MAX = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKeys:
    """One account. Changing it means making another; a tick puts the new one in place of the old."""

    account: AccountId
    log_vkey: str
    periods: dict[str, int]
    closed_keeping: tuple[int, ...] | None
    tree: Tree

    @classmethod
    def from_shard(cls, account: AccountId, shard: Shard) -> AccountKeys:
        closed = None if shard.closed_keeping is None else tuple(shard.closed_keeping)
        tree = Tree.parse(shard.nodes)
        return cls(
            account=account, log_vkey=shard.log_vkey, periods=shard.periods, closed_keeping=closed, tree=tree
        )  # fmt: skip

    def to_shard(self) -> Shard:
        closed = None if self.closed_keeping is None else list(self.closed_keeping)
        return Shard(self.log_vkey, self.periods, closed, self.tree.serialise())

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

    def require_past_due(self, days: Iterable[DayPath], today: int) -> None:
        """NotDue when the period of one of these days has not ended."""
        if any(self.due_day(day) >= today for day in days):
            raise NotDue

    def require_open(self, day: DayPath, today: int) -> None:
        """Refuse what is past due, closed or without a period."""
        if self.closed_keeping is not None and day.category not in self.closed_keeping:
            raise AccountClosed
        if self.due_day(day) < today:
            raise PastDue

    def erased(
        self, *, leaves: Sequence[LeafPath], days: Sequence[DayPath], close_keeping: Sequence[int] | None
    ) -> AccountKeys:
        """This account without these leaves, without these days and their indexes, and closed if so asked."""
        tree = self.tree.copy()
        for leaf in leaves:
            tree.puncture(leaf)
        for day in days:
            tree.puncture(day.node)
            tree.puncture(day.index_leaf)
        closed = self.closed_keeping
        if close_keeping is not None:
            tree.close(close_keeping)
            already = set(close_keeping if closed is None else closed)
            closed = tuple(sorted(already & set(close_keeping)))
        return replace(self, tree=tree, closed_keeping=closed)

    def swept(self, due: Sequence[DayPath], today: int) -> AccountKeys:
        """This account without everything past due of the classes that these days belong to."""
        tree = self.tree.copy()
        for category, retention_class in sorted({(day.category, day.retention_class) for day in due}):
            first_kept = today - self.periods[f"{category}/{retention_class}"]
            tree.puncture_days_before(category, retention_class, max(first_kept, 0))
        for day in due:
            tree.puncture(day.index_leaf)
        for category in sorted({day.category for day in due}):
            longest = max(days for key, days in self.periods.items() if key.startswith(f"{category}/"))
            tree.puncture_days_before(INDEX_CATEGORY, category & 15, max(today - longest, 0))
        return replace(self, tree=tree)


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
