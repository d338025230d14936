"""Whatever is punctured in whatever order: exactly that is gone, and everything else is as it was."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from sealwire.custody.keys.paths import INDEX_CATEGORY, DayPath, LeafPath, NodePath
from sealwire.custody.keys.refusals import Punctured
from sealwire.custody.keys.tree import Tree

ROOT = b"r" * 32

near_slots = st.integers(0, 7) | st.integers(0, (1 << 24) - 1)
where = (st.sampled_from([1, 2, 3, 5]), st.sampled_from([0, 1, 15]), st.integers(18, 22))
leaves = st.builds(LeafPath, *where, near_slots)
days = st.builds(DayPath, *where)
blocks = st.builds(lambda leaf: leaf.day_path.block(leaf.block), leaves)
acts = st.lists(
    st.tuples(st.just("leaf"), leaves)
    | st.tuples(st.just("day"), days)
    | st.tuples(st.just("block"), blocks)
    | st.tuples(st.just("before"), days)
    | st.tuples(st.just("close"), st.sets(st.sampled_from([1, 2, 3, 5]), max_size=3))
    | st.tuples(st.just("reparse"), st.none())
    | st.tuples(st.just("look"), leaves),
    max_size=12,
)


class Model:
    """What should be gone, told by plain comparison."""

    def __init__(self) -> None:
        self.gone: list[NodePath] = []
        self.before: list[DayPath] = []
        self.kept: set[int] | None = None

    def is_gone(self, leaf: LeafPath) -> bool:
        swept = any(leaf[:2] == day[:2] and leaf.day < day.day for day in self.before)
        closed = self.kept is not None and leaf.category not in self.kept
        return swept or closed or any(node.covers(leaf.node) for node in self.gone)


def act_on(tree: Tree, model: Model, kind: str, what: object) -> Tree:
    if kind in ("leaf", "day"):
        assert isinstance(what, LeafPath | DayPath)
        tree.puncture(what.node)
        model.gone.append(what.node)
    elif kind == "block":
        assert isinstance(what, NodePath)
        tree.puncture(what)
        model.gone.append(what)
    elif kind == "before":
        assert isinstance(what, DayPath)
        tree.puncture_days_before(*what)
        model.before.append(what)
    elif kind == "close":
        assert isinstance(what, set)
        tree.close(what)
        model.kept = what if model.kept is None else model.kept & what
    elif kind == "reparse":
        return Tree.parse(tree.serialise())
    else:
        assert isinstance(what, LeafPath)
        derive(tree, what)
        return tree.copy()
    return tree


def derive(tree: Tree, leaf: LeafPath) -> bytes | None:
    try:
        return tree.index_leaf(leaf) if leaf.category == INDEX_CATEGORY else tree.derive(leaf)
    except Punctured:
        return None


@settings(max_examples=200, deadline=None)
@given(acts, st.lists(leaves, min_size=1, max_size=12))
def test_exactly_what_was_destroyed_is_gone(history: list[tuple[str, object]], probes: list[LeafPath]) -> None:
    tree, model, whole = Tree.planted(ROOT), Model(), Tree.planted(ROOT)
    for kind, what in history:
        tree = act_on(tree, model, kind, what)
    probes += [what for kind, what in history if kind == "leaf" and isinstance(what, LeafPath)]
    for leaf in [*probes, *(leaf._replace(slot=leaf.slot ^ 1) for leaf in probes)]:
        assert derive(tree, leaf) == (None if model.is_gone(leaf) else whole.derive(leaf))


@settings(max_examples=100, deadline=None)
@given(acts)
def test_no_live_node_lies_above_another_or_above_what_is_gone(history: list[tuple[str, object]]) -> None:
    tree, model = Tree.planted(ROOT), Model()
    for kind, what in history:
        tree = act_on(tree, model, kind, what)
    nodes = [NodePath(number.bit_length() - 1, number ^ 1 << number.bit_length() - 1) for number in tree.nodes]
    for node in nodes:
        above = node
        while above.depth:
            above = NodePath(above.depth - 1, above.prefix >> 1)
            assert above.number not in tree.nodes
        assert not any(node.overlaps(gone) for gone in model.gone)
