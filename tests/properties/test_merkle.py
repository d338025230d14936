"""Merkle proofs: what is built verifies, what was touched does not, and three ways to a root agree."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwire_verifier import merkle
from sealwire_verifier.errors import NotProved

SIZES = st.integers(1, 700)


def leaves(size):
    return [merkle.leaf_hash(number.to_bytes(4)) for number in range(size)]


def reference_root(entries):
    """RFC 6962, 2.1, as it is written there."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return sha256(b"\x01" + reference_root(entries[:split]) + reference_root(entries[split:])).digest()


@given(st.lists(st.binary(max_size=40), max_size=80))
def test_root_of_and_compact_range_agree_with_the_recursive_definition(entries):
    growing = merkle.CompactRange()
    for entry in entries:
        growing.append(merkle.leaf_hash(entry))
    assert reference_root(entries) == merkle.root_of(entries) == growing.root()


@given(SIZES)
def test_a_compact_range_goes_on_from_its_hashes(size):
    first = merkle.CompactRange()
    for leaf in leaves(size):
        first.append(leaf)
    second = merkle.CompactRange(size, first.hashes)
    second.append(b"x" * 32)
    assert second.root() == merkle.root_of_hashes([*leaves(size), b"x" * 32])


@settings(max_examples=60)
@given(SIZES, st.data())
def test_every_inclusion_path_built_verifies_at_its_own_index_only(size, data):
    index = data.draw(st.integers(0, size - 1))
    tree = leaves(size)
    path = merkle.inclusion_path(index, size, merkle.subtree_of(tree))
    root = merkle.root_of_hashes(tree)
    merkle.verify_inclusion(tree[index], index, size, path, root)
    other = data.draw(st.integers(0, size))
    if other != index:
        with pytest.raises(NotProved):
            merkle.verify_inclusion(tree[index], other, size, path, root)


@settings(max_examples=60)
@given(SIZES, st.data())
def test_one_flipped_bit_anywhere_in_an_inclusion_proof_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    tree = leaves(size)
    values = [tree[index], merkle.root_of_hashes(tree), *merkle.inclusion_path(index, size, merkle.subtree_of(tree))]
    which, bit = data.draw(st.integers(0, len(values) - 1)), data.draw(st.integers(0, 255))
    values[which] = (int.from_bytes(values[which]) ^ 1 << bit).to_bytes(32)
    with pytest.raises(NotProved):
        merkle.verify_inclusion(values[0], index, size, values[2:], values[1])


@settings(max_examples=60)
@given(SIZES, st.data())
def test_every_consistency_path_built_verifies_and_no_other_history_does(size, data):
    before = data.draw(st.integers(1, size))
    tree = leaves(size)
    path = merkle.consistency_path(before, size, merkle.subtree_of(tree))
    root1, root2 = merkle.root_of_hashes(tree[:before]), merkle.root_of_hashes(tree)
    merkle.verify_consistency(before, size, path, root1, root2)
    forged = [*tree[: before - 1], b"\x00" * 32]
    with pytest.raises(NotProved):
        merkle.verify_consistency(before, size, path, merkle.root_of_hashes(forged), root2)
    if path:
        with pytest.raises(NotProved):
            merkle.verify_consistency(before, size, path[:-1], root1, root2)
