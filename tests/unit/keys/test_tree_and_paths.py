"""The key tree as arithmetic: what stays derivable and what does not."""

from __future__ import annotations

import hmac
from hashlib import sha256

import pytest

from sealwire.custody.keys.paths import DayPath, LeafPath, NodePath
from sealwire.custody.keys.refusals import PathMalformed, Punctured, VaultBroken
from sealwire.custody.keys.tree import NODE_BYTES, Tree, block_leaf, index_key, index_token, leaf_keys

ROOT = bytes(range(32))
LEAF = LeafPath(1, 0, 20_780, 123_456)


def test_a_leaf_is_the_root_folded_along_its_52_bits() -> None:
    node = ROOT
    for bit in f"{1:08b}{0:04b}{20_780:016b}{123_456:024b}":
        node = hmac.new(node, b"sealwire/tree/v1" + bytes([int(bit)]), sha256).digest()
    assert Tree.planted(ROOT).derive(LEAF) == node


def test_the_three_keys_of_a_leaf_are_hkdf_expand_and_differ() -> None:
    leaf = Tree.planted(ROOT).derive(LEAF)
    keys = leaf_keys(leaf)
    assert keys.record == hmac.new(leaf, b"sealwire/record/v1\x01", sha256).digest()
    assert len({*keys, leaf}) == 4


def test_a_leased_block_gives_the_same_leaves_as_the_tree() -> None:
    tree = Tree.planted(ROOT)
    block = tree.derive(LEAF.day_path.block(LEAF.block))
    assert block_leaf(block, LEAF.slot % 256) == tree.derive(LEAF)


def test_a_punctured_leaf_is_gone_and_its_neighbour_is_not() -> None:
    tree, whole = Tree.planted(ROOT), Tree.planted(ROOT)
    neighbour = LEAF._replace(slot=LEAF.slot + 1)
    tree.derive(LEAF)
    assert tree.puncture(LEAF)
    with pytest.raises(Punctured):
        tree.derive(LEAF)
    assert tree.derive(neighbour) == whole.derive(neighbour)


def test_a_key_above_a_punctured_leaf_is_not_left_in_the_cache() -> None:
    tree = Tree.planted(ROOT)
    tree.derive(LEAF)
    tree.derive(LEAF.day_path.block(LEAF.block))
    tree.puncture(LEAF)
    for place in (LEAF.day_path.node, LEAF.day_path.block(LEAF.block)):
        with pytest.raises(Punctured):
            tree.derive(place)


def test_a_node_below_a_punctured_day_is_not_left_in_the_cache() -> None:
    tree = Tree.planted(ROOT)
    block = LEAF.day_path.block(LEAF.block)
    tree.derive(block)
    tree.puncture(LEAF.day_path.node)
    with pytest.raises(Punctured):
        tree.derive(block)


def test_puncturing_twice_changes_nothing() -> None:
    tree = Tree.planted(ROOT)
    assert tree.puncture(LEAF)
    nodes = dict(tree.nodes)
    assert not tree.puncture(LEAF)
    assert tree.nodes == nodes


def test_one_puncture_keeps_one_node_for_each_level() -> None:
    tree = Tree.planted(ROOT)
    tree.puncture(LEAF)
    assert len(tree.nodes) == 52


def test_a_day_with_many_punctures_goes_in_one_and_takes_their_siblings_with_it() -> None:
    tree = Tree.planted(ROOT)
    for slot in range(0, 1 << 24, 99_991):
        tree.puncture(LEAF._replace(slot=slot))
    tree.puncture(LEAF.day_path.node)
    assert len(tree.nodes) == 28
    assert not tree.holds_any(LEAF.day_path.node)
    assert tree.holds(LEAF._replace(day=LEAF.day + 1).node)


def test_sweeping_leaves_the_first_kept_day_and_takes_the_one_before() -> None:
    tree, whole = Tree.planted(ROOT), Tree.planted(ROOT)
    assert tree.puncture_days_before(1, 0, 20_780)
    assert tree.derive(DayPath(1, 0, 20_780).node) == whole.derive(DayPath(1, 0, 20_780).node)
    for day in (0, 1, 12_345, 20_779):
        assert not tree.holds_any(DayPath(1, 0, day).node)
    assert tree.holds(DayPath(1, 1, 5).node)
    assert not tree.puncture_days_before(1, 0, 20_780)
    assert len(tree.nodes) <= 12 + 16


def test_closing_keeps_only_the_kept_category_even_when_it_is_punctured() -> None:
    tree, whole = Tree.planted(ROOT), Tree.planted(ROOT)
    billing = LeafPath(3, 0, 20_780, 7)
    tree.puncture(billing)
    assert tree.close([3])
    with pytest.raises(Punctured):
        tree.derive(LEAF)
    with pytest.raises(Punctured):
        tree.derive(billing)
    assert tree.derive(billing._replace(slot=8)) == whole.derive(billing._replace(slot=8))
    assert not tree.close([3])


def test_closing_a_whole_tree_leaves_one_node_for_each_kept_category() -> None:
    tree = Tree.planted(ROOT)
    tree.close([3, 4])
    assert len(tree.nodes) == 2
    tree.close()
    assert not tree.nodes


def test_a_tree_survives_its_bytes() -> None:
    tree = Tree.planted(ROOT)
    tree.puncture(LEAF)
    assert Tree.parse(tree.serialise()).nodes == tree.nodes


@pytest.mark.parametrize("data", [b"x", b"\0" * 40, b"\xff" * 40], ids=["cut short", "node 0", "too deep"])
def test_bytes_that_are_no_tree_are_refused(data: bytes) -> None:
    with pytest.raises(VaultBroken):
        Tree.parse(data)


def test_the_index_key_of_a_day_is_its_own_and_dies_with_its_leaf() -> None:
    tree = Tree.planted(ROOT)
    day = DayPath(1, 2, 20_780)
    keys = {index_key(tree, other) for other in (day, DayPath(1, 3, 20_780), DayPath(2, 2, 20_780), DayPath(1, 2, 1))}
    assert len(keys) == 4
    assert day.index_leaf == LeafPath(5, 1, 20_780, 2 << 20)
    tree.puncture(day.index_leaf)
    with pytest.raises(Punctured):
        index_key(tree, day)
    assert index_key(tree, DayPath(1, 3, 20_780)) in keys


def test_a_token_is_eight_bytes_of_hmac() -> None:
    assert index_token(ROOT, "+441632960123") == hmac.new(ROOT, b"+441632960123", sha256).digest()[:8]


def test_copies_do_not_share_punctures() -> None:
    tree = Tree.planted(ROOT)
    tree.copy().puncture(LEAF)
    assert len(tree.derive(LEAF)) == NODE_BYTES


@pytest.mark.parametrize(
    "place", [LeafPath(256, 0, 0, 0), LeafPath(0, 16, 0, 0), LeafPath(0, 0, 1 << 16, 0), LeafPath(0, 0, 0, -1)]
)
def test_a_path_outside_its_widths_is_refused(place: LeafPath) -> None:
    with pytest.raises(PathMalformed):
        Tree.planted(ROOT).derive(place)


def test_covering_and_overlapping_follow_the_bits() -> None:
    day, leaf = LEAF.day_path.node, LEAF.node
    assert day.covers(leaf)
    assert not leaf.covers(day)
    assert leaf.overlaps(day)
    assert not day.overlaps(NodePath(28, day.prefix ^ 1))
