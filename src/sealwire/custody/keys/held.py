"""Holds on records and days as the keeper has them: what is held is taken out before anything above it is destroyed.

A hold names places in the key tree, the last day on which it holds, and whether it restricts (GDPR Art. 18). Places are
heap numbers, as in `tree`. What was to be destroyed and was spared is owed: it goes when nothing holds it any more.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from sealwire.custody.keys.paths import DAY_DEPTH, LEAF_DEPTH, DayPath, LeafPath, NodePath
from sealwire.custody.keys.refusals import VaultBroken
from sealwire.custody.keys.tree import Tree
from sealwire.vocabulary import Purpose

BELOW_DAY = LEAF_DEPTH - DAY_DEPTH
ALLOWED_WHEN_RESTRICTED = frozenset({Purpose.SUBJECT_REQUEST.value, Purpose.LEGAL_CLAIM.value})


class HeldShard(msgspec.Struct, frozen=True, array_like=True):
    """One hold as it stands in an account's shard: numbers of leaves and days, eight bytes each."""

    leaves: bytes
    days: bytes
    until: int
    restricts: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold in force. The keeper asks for no reason; that and who placed it stand in the log."""

    leaves: frozenset[int]
    days: frozenset[int]
    until: int
    restricts: bool

    @classmethod
    def from_shard(cls, shard: HeldShard) -> Hold:
        return cls(unpack_numbers(shard.leaves), unpack_numbers(shard.days), shard.until, shard.restricts)

    def to_shard(self) -> HeldShard:
        return HeldShard(pack_numbers(self.leaves), pack_numbers(self.days), self.until, self.restricts)

    def joined(self, other: Hold) -> Hold:
        """The same hold placed again: it may grow and be extended, and is cut short by a release alone."""
        until = max(self.until, other.until)
        return Hold(self.leaves | other.leaves, self.days | other.days, until, self.restricts or other.restricts)

    def within(self, categories: Collection[int]) -> Hold:
        """The same hold on what lies in these categories."""
        leaves = frozenset(number for number in self.leaves if day_of(number).category in categories)
        days = frozenset(number for number in self.days if day_of(number).category in categories)
        return Hold(leaves, days, self.until, self.restricts)

    def covers(self, number: int) -> bool:
        """Whether this holds a leaf, by itself or with its day, or a whole day."""
        if number in self.leaves or number in self.days:
            return True
        return number.bit_length() > LEAF_DEPTH and number >> BELOW_DAY in self.days


Holds = Mapping[str, Hold]


def held_places(holds: Iterable[Hold]) -> list[int]:
    """Every held number, whole days first, so that a leaf inside a held day is not kept twice."""
    kept = list(holds)
    days = frozenset[int]().union(*(hold.days for hold in kept))
    leaves = frozenset[int]().union(*(hold.leaves for hold in kept))
    return [*sorted(days), *sorted(leaves)]


def put_back(tree: Tree, before: Tree, places: Iterable[int]) -> frozenset[int]:
    """Give a tree back those places that were alive in `before`; which places had to be given back."""
    spared = set()
    for number in places:
        node = node_of(number)
        if tree.restore(before, node):
            spared.add(number)
            if node.depth == DAY_DEPTH:
                tree.restore(before, day_of(number).index_leaf.node)
    return frozenset(spared)


def node_of(number: int) -> NodePath:
    depth = number.bit_length() - 1
    return NodePath(depth, number ^ (1 << depth))


def day_of(number: int) -> DayPath:
    """The day of a held number."""
    node = node_of(number)
    prefix = node.prefix >> (node.depth - DAY_DEPTH)
    return DayPath(prefix >> 20, prefix >> 16 & 15, prefix & 0xFFFF)


def text_of(number: int) -> str:
    """A held place as receipts write paths: `category/class/day`, and `/slot` for a record."""
    day = day_of(number)
    if number.bit_length() - 1 == DAY_DEPTH:
        return day.text
    return LeafPath(*day, number & ((1 << BELOW_DAY) - 1)).text


def pack_numbers(numbers: Iterable[int]) -> bytes:
    ordered = sorted(numbers)
    return struct.pack(f">{len(ordered)}Q", *ordered)


def unpack_numbers(data: bytes) -> frozenset[int]:
    """What `pack_numbers` wrote; VaultBroken when it is not that."""
    if len(data) % 8:
        raise VaultBroken
    numbers = frozenset(struct.unpack(f">{len(data) // 8}Q", data))
    if any(number.bit_length() - 1 not in (DAY_DEPTH, LEAF_DEPTH) for number in numbers):
        raise VaultBroken
    return numbers
