"""Whatever destroys in whatever order: held places survive it, nothing else does, and they go when nothing holds them.

The account's keys are compared with a model of plain sets over a small world of days and slots.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.held import Hold
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.refusals import Held
from sealwire.custody.keys.requests import Erasing, Placing, Releasing, Setting, Sweep
from sealwire.custody.keys.tree import Tree
from sealwire.vocabulary import AccountId

ACCOUNT = AccountId.new()
CATEGORIES, DAYS, SLOTS = (1, 2), range(20, 24), (0, 1, 300)
WORLD = [LeafPath(category, 0, day, slot) for category in CATEGORIES for day in DAYS for slot in SLOTS]
leaves = st.lists(st.sampled_from(WORLD), max_size=3)
days = st.lists(st.sampled_from(sorted({leaf.day_path for leaf in WORLD})), max_size=2)
names = st.sampled_from(["a", "b", "c"])
acts = st.lists(
    st.tuples(st.just("hold"), names, leaves, days, st.integers(24, 40))
    | st.tuples(st.just("release"), names)
    | st.tuples(st.just("erase"), leaves, days)
    | st.tuples(st.just("close"), st.lists(st.sampled_from(CATEGORIES), max_size=1))
    | st.tuples(st.just("sweep"), st.integers(20, 40))
    | st.tuples(st.just("end"), st.integers(24, 42))
    | st.tuples(st.just("periods"), st.integers(0, 12)),
    max_size=14,
)


@dataclass
class Model:
    """A record is gone, alive, or doomed: to be destroyed as soon as nothing holds it."""

    alive: set[LeafPath] = field(default_factory=lambda: set(WORLD))
    doomed: set[LeafPath] = field(default_factory=set)
    holds: dict[str, tuple[set[LeafPath], set[DayPath], int]] = field(default_factory=dict)
    period: int = 10

    def is_held(self, leaf: LeafPath) -> bool:
        return any(leaf in one or leaf.day_path in whole for one, whole, _ in self.holds.values())

    def doom(self, some: set[LeafPath]) -> None:
        self.doomed |= some & self.alive
        gone = {leaf for leaf in self.doomed if not self.is_held(leaf)}
        self.alive -= gone
        self.doomed -= gone

    def hold(self, name: str, some: list[LeafPath], whole: list[DayPath], until: int) -> None:
        held_days = {day for day in whole if self.can_be_held(day)}
        one, old, end = self.holds.get(name, (set(), set(), 0))
        self.holds[name] = one | (set(some) & self.alive), old | held_days, max(end, until)

    def can_be_held(self, day: DayPath) -> bool:
        """A day that was destroyed can be held no more, even if something of it is held and so left."""
        return not any(leaf.day_path == day for leaf in self.doomed) and day not in self.destroyed

    destroyed: set[DayPath] = field(default_factory=set)


def keys() -> AccountKeys:
    tree = Tree.planted(b"r" * 32)
    return AccountKeys(account=ACCOUNT, log_vkey="", periods={"1/0": 10, "2/0": 10}, closed_keeping=None, tree=tree)


def act_on(now: AccountKeys, model: Model, act: tuple[object, ...]) -> AccountKeys:
    match act:
        case ("hold", str(name), list(some), list(whole), int(until)):
            numbers = frozenset(leaf.node.number for leaf in some), frozenset(day.node.number for day in whole)
            model.hold(name, some, whole, until)
            return Placing(ACCOUNT, name, Hold(*numbers, until, False)).apply(now)
        case ("release", str(name)):
            model.holds.pop(name, None)
            model.doom(set())
            return Releasing(ACCOUNT, [name], now.owed).apply(now)
        case ("end", int(today)):
            model.holds = {name: hold for name, hold in model.holds.items() if hold[2] >= today}
            model.doom(set())
            return Releasing(ACCOUNT, [], now.owed, today).apply(now)
        case ("erase", list(some), list(whole)):
            return erase(now, model, some, whole)
        case ("close", list(keeping)):
            going = {leaf for leaf in WORLD if leaf.category not in keeping}
            model.destroyed |= {leaf.day_path for leaf in going}
            model.doom(going)
            return Erasing.checked(ACCOUNT, "e", [], [], keeping).apply(now)
        case ("sweep", int(today)):
            going = {leaf for leaf in WORLD if leaf.day + model.period < today}
            due = sorted({leaf.day_path for leaf in going})
            model.destroyed |= set(due)
            model.doom(going)
            return Sweep(ACCOUNT, due, today).apply(now) if due else now
        case ("periods", int(period)):
            model.period = period
            return Setting(ACCOUNT, {"1/0": period, "2/0": period}).apply(now)
    raise AssertionError(act)


def erase(now: AccountKeys, model: Model, some: list[LeafPath], whole: list[DayPath]) -> AccountKeys:
    held_whole = any(day in hold[1] for hold in model.holds.values() for day in whole)
    must_refuse = held_whole or any(model.is_held(leaf) for leaf in some)
    try:
        after = Erasing.checked(ACCOUNT, "e", some, whole, None).apply(now)
    except Held:
        assert must_refuse
        return now
    assert not must_refuse
    model.destroyed |= set(whole)
    model.doom(set(some) | {leaf for leaf in WORLD if leaf.day_path in whole})
    return after


@given(acts)
@settings(max_examples=400, deadline=None)
def test_held_records_survive_all_that_destroys_and_nothing_else_does(sequence: list[tuple[object, ...]]) -> None:
    now, model, whole = keys(), Model(), keys()
    for act in sequence:
        now = act_on(now, model, act)
        now = AccountKeys.from_shard(ACCOUNT, now.to_shard())
        for leaf in WORLD:
            assert now.tree.holds(leaf.node) == (leaf in model.alive), (act, leaf)
            if leaf in model.alive:
                assert now.tree.derive(leaf) == whole.tree.derive(leaf)
        for one in now.tree.nodes:
            assert not any(one >> shift in now.tree.nodes for shift in range(1, one.bit_length()))
