"""The puncturable key tree (binary GGM tree over HMAC-SHA256): what was punctured cannot be derived again.

A tree is the set of its live nodes, none above another. `puncture` replaces the live node above a place by the
siblings along the way down, so everything else stays derivable and the place itself does not. Pure: no IO here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hmac import digest
from typing import NamedTuple

from sealwire.custody.keys.paths import (
    BLOCK_DEPTH,
    BLOCK_SLOTS,
    CLASS_DEPTH,
    DAY_DEPTH,
    INDEX_CATEGORY,
    LEAF_DEPTH,
    DayPath,
    LeafPath,
    NodePath,
    category_node,
)
from sealwire.custody.keys.refusals import Punctured, VaultBroken

NODE_BYTES = 32
TOKEN_BYTES = 8
_CHILD = (b"sealwire/tree/v1\x00", b"sealwire/tree/v1\x01")
_ENTRY = struct.Struct(">Q32s")
_KEPT_IN_CACHE = 512
_INDEX_LEAVES_KEPT = 4096
_ABOVE_INDEX_LEAVES = category_node(INDEX_CATEGORY).number
_CACHED_LENGTHS = (DAY_DEPTH + 1, BLOCK_DEPTH + 1)


class LeafKeys(NamedTuple):
    """The three keys of one record: its fields, its media, its commitment's salt."""

    record: bytes
    media: bytes
    commit: bytes


class Tree:
    """The live nodes of one account, each under its heap number: a 1 bit, then the bits of its path.

    So `number >> 1` is the parent and `number ^ 1` the sibling. Destroying a node costs the same whatever lies below.
    """

    __slots__ = ("_cache", "_index_leaves", "nodes")

    def __init__(self, nodes: dict[int, bytes], index_leaves: dict[int, bytes] | None = None) -> None:
        self.nodes = nodes
        self._cache: dict[int, bytes] = {}
        self._index_leaves = index_leaves or {}

    @classmethod
    def planted(cls, root: bytes) -> Tree:
        """A whole tree from a fresh 32-byte root."""
        assert len(root) == NODE_BYTES
        return cls({1: root})

    def copy(self) -> Tree:
        return Tree(dict(self.nodes), dict(self._index_leaves))

    def derive(self, place: LeafPath | NodePath) -> bytes:
        """The 32-byte node at a place; Punctured when it, or anything above it, was destroyed."""
        target = place.node.number
        above, node = self._nearest(target)
        for shift in range(target.bit_length() - above.bit_length() - 1, -1, -1):
            here = target >> shift
            node = digest(node, _CHILD[here & 1], "sha256")
            if here.bit_length() in _CACHED_LENGTHS:
                self._remember(here, node)
        return node

    def index_leaf(self, place: LeafPath) -> bytes:
        """`derive`, remembered: a lookup by number asks for every day in use, each 52 steps below the root."""
        number = place.node.number
        leaf = self._index_leaves.get(number)
        if leaf is not None and self._live_above(number):
            return leaf
        leaf = self.derive(place)
        if len(self._index_leaves) >= _INDEX_LEAVES_KEPT:
            del self._index_leaves[next(iter(self._index_leaves))]
        self._index_leaves[number] = leaf
        return leaf

    def holds(self, place: NodePath) -> bool:
        """Whether the whole of what lies below a node is still derivable."""
        return self._live_above(place.number) != 0

    def holds_any(self, place: NodePath) -> bool:
        """Whether anything at or below a node is still derivable."""
        return self.holds(place) or bool(self._below(place.number))

    def puncture(self, place: LeafPath | NodePath) -> bool:
        """Destroy a place and all below it; False when nothing of it was left."""
        target = place.node.number
        self._forget(target)
        above = self._live_above(target)
        if not above:
            return self._puncture_below(target)
        nodes = self.nodes
        node = nodes.pop(above)
        for shift in range(target.bit_length() - above.bit_length() - 1, -1, -1):
            here = target >> shift
            nodes[here ^ 1] = digest(node, _CHILD[~here & 1], "sha256")
            if shift:
                node = digest(node, _CHILD[here & 1], "sha256")
        return True

    def puncture_days_before(self, category: int, retention_class: int, day: int) -> bool:
        """Destroy every day of a category and class before `day`: at most sixteen nodes stay, whatever lies below."""
        end = DayPath(category, retention_class, day).node.prefix
        changed = False
        for depth in range(CLASS_DEPTH + 1, DAY_DEPTH + 1):
            boundary = end >> (DAY_DEPTH - depth)
            if boundary & 1:
                changed |= self.puncture(NodePath(depth, boundary ^ 1))
        return changed

    def close(self, keep_categories: Iterable[int] = ()) -> bool:
        """Destroy everything but the kept categories; costs the same for ten records and for a million."""
        living: dict[int, bytes] = {}
        for category in sorted(set(keep_categories)):
            node = category_node(category)
            if self.holds(node):
                living[node.number] = self.derive(node)
            else:
                living.update((path, self.nodes[path]) for path in self._below(node.number))
        changed = any(path not in living and not _below_any(path, living) for path in self.nodes)
        self.nodes, self._cache, self._index_leaves = living, {}, {}
        return changed

    def restore(self, before: Tree, place: NodePath) -> bool:
        """Take back from an older tree what this one lost at a place or below it; False when nothing was lost."""
        if self.holds(place):
            return False
        whole = {place.number: before.derive(place)} if before.holds(place) else {}
        lost = whole or {number: before.nodes[number] for number in before._below(place.number)}
        lost = {number: key for number, key in lost.items() if not self._live_above(number)}
        for number in lost:
            self._puncture_below(number)  # parts of it that are still there lie within it
        self.nodes.update(lost)
        return bool(lost)

    def serialise(self) -> bytes:
        """Every live node as its number and key: 40 bytes each."""
        return b"".join([_ENTRY.pack(number, key) for number, key in self.nodes.items()])

    @classmethod
    def parse(cls, data: bytes) -> Tree:
        """Read what `serialise` wrote; VaultBroken when it is not that."""
        if len(data) % _ENTRY.size:
            raise VaultBroken
        nodes = dict(_ENTRY.iter_unpack(data))
        if nodes and not (min(nodes) > 0 and max(nodes).bit_length() <= LEAF_DEPTH + 1):
            raise VaultBroken
        return cls(nodes)

    def _live_above(self, number: int) -> int:
        while number and number not in self.nodes:
            number >>= 1
        return number

    def _nearest(self, target: int) -> tuple[int, bytes]:
        for depth in (BLOCK_DEPTH, DAY_DEPTH):
            shift = target.bit_length() - depth - 1
            if shift >= 0 and (node := self._cache.get(target >> shift)) is not None:
                return target >> shift, node
        above = self._live_above(target)
        if not above:
            raise Punctured
        return above, self.nodes[above]

    def _below(self, target: int) -> list[int]:
        length = target.bit_length()
        return [path for path in self.nodes if path >> max(path.bit_length() - length, 0) == target]

    def _puncture_below(self, target: int) -> bool:
        below = self._below(target) if target.bit_length() <= LEAF_DEPTH else []
        for path in below:
            del self.nodes[path]
        return bool(below)

    def _remember(self, number: int, node: bytes) -> None:
        if len(self._cache) >= _KEPT_IN_CACHE:
            del self._cache[next(iter(self._cache))]
        self._cache[number] = node

    def _forget(self, target: int) -> None:
        for number in [number for number in self._cache if _overlap(number, target)]:
            del self._cache[number]
        if self._index_leaves and _overlap(target, _ABOVE_INDEX_LEAVES):
            for number in [number for number in self._index_leaves if _overlap(number, target)]:
                del self._index_leaves[number]


def _overlap(one: int, other: int) -> bool:
    shift = one.bit_length() - other.bit_length()
    return one >> shift == other if shift >= 0 else other >> -shift == one


def _below_any(number: int, nodes: dict[int, bytes]) -> bool:
    while number:
        if number in nodes:
            return True
        number >>= 1
    return False


def _expand(node: bytes, info: bytes) -> bytes:
    """HKDF-Expand (RFC 5869) with SHA-256 for one block of output."""
    return digest(node, info + b"\x01", "sha256")


def leaf_keys(leaf: bytes) -> LeafKeys:
    """The keys of one record from its leaf node."""
    return LeafKeys(
        _expand(leaf, b"sealwire/record/v1"),
        _expand(leaf, b"sealwire/media/v1"),
        _expand(leaf, b"sealwire/commit/v1"),
    )


def block_leaf(block_node: bytes, offset: int) -> bytes:
    """The leaf node of one of the 256 slots below a leased block node."""
    assert 0 <= offset < BLOCK_SLOTS
    node = block_node
    for shift in range(7, -1, -1):
        node = digest(node, _CHILD[offset >> shift & 1], "sha256")
    return node


def index_key(tree: Tree, day: DayPath) -> bytes:
    """The blind-index key of one category, class and day."""
    return _expand(tree.index_leaf(day.index_leaf), b"sealwire/index/v1")


def index_token(key: bytes, number: str) -> bytes:
    """What stands in the blind index for a number: eight bytes, so that a hit must be confirmed by opening."""
    return digest(key, number.encode(), "sha256")[:TOKEN_BYTES]
