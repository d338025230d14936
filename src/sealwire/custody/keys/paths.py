"""Places in the key tree: category 8 bit, retention class 4, day 16, slot 24, from the account's root down."""

from __future__ import annotations

from typing import NamedTuple

from sealwire.custody.keys.refusals import PathMalformed

CATEGORY_DEPTH = 8
CLASS_DEPTH = 12
DAY_DEPTH = 28
BLOCK_DEPTH = 44
LEAF_DEPTH = 52
BLOCK_SLOTS = 1 << (LEAF_DEPTH - BLOCK_DEPTH)
BLOCKS_PER_DAY = 1 << (BLOCK_DEPTH - DAY_DEPTH)
INDEX_CATEGORY = 5
AUDIT_CATEGORY = 4


class NodePath(NamedTuple):
    """A node: how many bits below the root, and those bits."""

    depth: int
    prefix: int

    @property
    def node(self) -> NodePath:
        return self

    @property
    def number(self) -> int:
        """The heap number: a 1 bit, then the bits of the path."""
        return 1 << self.depth | self.prefix

    def covers(self, other: NodePath) -> bool:
        """Whether `other` is this node or lies below it."""
        return other.depth >= self.depth and other.prefix >> (other.depth - self.depth) == self.prefix

    def overlaps(self, other: NodePath) -> bool:
        return self.covers(other) or other.covers(self)


class DayPath(NamedTuple):
    """All records of one category and retention class whose clock starts on one UTC day."""

    category: int
    retention_class: int
    day: int

    @property
    def node(self) -> NodePath:
        _check(self.category, 8, "category")
        _check(self.retention_class, 4, "retention class")
        _check(self.day, 16, "day")
        return NodePath(DAY_DEPTH, self.category << 20 | self.retention_class << 16 | self.day)

    @property
    def index_leaf(self) -> LeafPath:
        """The leaf of this day's blind-index key; it dies with the day."""
        return LeafPath(INDEX_CATEGORY, self.category & 15, self.day, self.retention_class << 20)

    def block(self, number: int) -> NodePath:
        """The node of one block of 256 slots."""
        _check(number, 16, "block")
        return NodePath(BLOCK_DEPTH, self.node.prefix << 16 | number)

    @property
    def text(self) -> str:
        return f"{self.category}/{self.retention_class}/{self.day}"


class LeafPath(NamedTuple):
    """The place of one record."""

    category: int
    retention_class: int
    day: int
    slot: int

    @property
    def day_path(self) -> DayPath:
        return DayPath(self.category, self.retention_class, self.day)

    @property
    def node(self) -> NodePath:
        _check(self.slot, 24, "slot")
        return NodePath(LEAF_DEPTH, self.day_path.node.prefix << 24 | self.slot)

    @property
    def block(self) -> int:
        return self.slot // BLOCK_SLOTS

    @property
    def text(self) -> str:
        return f"{self.category}/{self.retention_class}/{self.day}/{self.slot}"


def category_node(category: int) -> NodePath:
    """The node above everything of one category."""
    _check(category, 8, "category")
    return NodePath(CATEGORY_DEPTH, category)


def _check(value: int, bits: int, name: str) -> None:
    if not 0 <= value < 1 << bits:
        raise PathMalformed(f"not a place in the key tree: the {name} must lie between 0 and {(1 << bits) - 1}")
