"""Merkle trees as in RFC 6962 and RFC 9162: hashing, proofs checked, proofs built.

The two `verify_` functions return nothing when the proof holds and raise NotProved when it does not.
Edge cases follow the vectors of transparency-dev/merkle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from sealwire_verifier.errors import NotProved

EMPTY_ROOT = sha256().digest()
Subtree = Callable[[int, int], bytes]
"""Gives the root of the entries from `begin` up to, not including, `end`."""


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962, 2.1: the hash of an entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962, 2.1: the hash of two nodes."""
    return sha256(b"\x01" + left + right).digest()


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes that stand side by side: leaf hashes, or roots of full subtrees of one size."""
    row = list(hashes)
    if not row:
        return EMPTY_ROOT
    while len(row) > 1:
        odd = [row.pop()] if len(row) % 2 else []
        pairs = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)] + odd
    return row[0]


def root_of(entries: Iterable[bytes]) -> bytes:
    """The root of a tree over these entries (bytes, not yet hashed)."""
    return root_of_hashes([leaf_hash(entry) for entry in entries])


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """RFC 9162, 2.1.3.2: the entry with this leaf hash stands at `index` of the tree of `size` with this root."""
    if not 0 <= index < size:
        raise NotProved(f"index {index} lies outside a tree of size {size}")
    _must_be_hashes([leaf, root, *path])
    inner, border = _shape(index, size)
    if len(path) != inner + border:
        raise NotProved(f"the inclusion path has {len(path)} hashes, a tree of size {size} needs {inner + border}")
    if _fold(_fold_inner(leaf, path[:inner], index), path[inner:]) != root:
        raise NotProved("the inclusion path does not lead to the root")


def verify_consistency(size1: int, size2: int, path: Sequence[bytes], root1: bytes, root2: bytes) -> None:
    """RFC 9162, 2.1.4.2: the first `size1` entries of the second tree are the first tree."""
    if not 0 < size1 <= size2:
        raise NotProved(f"there is no consistency proof from size {size1} to size {size2}")
    if size1 == size2:
        if path or root1 != root2:
            raise NotProved("two roots of one size differ, or a proof was given where none is needed")
        return
    _must_be_hashes([root1, root2, *path])
    inner, border = _shape(size1 - 1, size2)
    shift = (size1 & -size1).bit_length() - 1
    inner -= shift
    if size1 != 1 << shift:
        if not path:
            raise NotProved("the consistency proof is empty")
        seed, path = path[0], path[1:]
    else:
        seed = root1
    if len(path) != inner + border:
        raise NotProved("the consistency proof has the wrong length")
    mask = (size1 - 1) >> shift
    if _fold(_fold_inner(seed, path[:inner], mask, right_only=True), path[inner:]) != root1:
        raise NotProved("the consistency proof does not lead to the first root")
    if _fold(_fold_inner(seed, path[:inner], mask), path[inner:]) != root2:
        raise NotProved("the consistency proof does not lead to the second root")


def inclusion_path(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """RFC 6962, 2.1.1: build the path of the entry at `index` in a tree of `size`, leaf's sibling first."""
    if not 0 <= index < size:
        raise NotProved(f"index {index} lies outside a tree of size {size}")
    return [subtree(begin, end) for begin, end in inclusion_ranges(index, size)]


def inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """The subtrees whose roots make up an inclusion path, leaf's sibling first."""
    begin, end, ranges = 0, size, []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    return ranges[::-1]


def consistency_path(size1: int, size2: int, subtree: Subtree) -> list[bytes]:
    """RFC 6962, 2.1.2: build the proof that the tree of `size1` is the beginning of the tree of `size2`."""
    return [subtree(begin, end) for begin, end in consistency_ranges(size1, size2)]


def consistency_ranges(size1: int, size2: int) -> list[tuple[int, int]]:
    """The subtrees whose roots make up a consistency proof, in order."""
    if not 0 < size1 <= size2:
        raise NotProved(f"there is no consistency proof from size {size1} to size {size2}")
    begin, end, ranges = 0, size2, []
    while size1 != end:
        middle = begin + _split(end - begin)
        if size1 <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((begin, middle))
            begin = middle
    if begin > 0:
        ranges.append((begin, end))
    return ranges[::-1]


class CompactRange:
    """The fewest hashes from which a tree can go on growing: the roots of its full subtrees, largest first."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count():
            raise NotProved(f"a tree of size {size} has {size.bit_count()} full subtrees, not {len(hashes)}")
        self.size = size
        self.hashes = list(hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash at the right."""
        size = self.size
        while size & 1:
            leaf = node_hash(self.hashes.pop(), leaf)
            size >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root of the tree so far."""
        if not self.hashes:
            return EMPTY_ROOT
        return _fold(self.hashes[-1], self.hashes[-2::-1])


def subtree_of(leaves: Sequence[bytes]) -> Subtree:
    """A Subtree over leaf hashes in memory, for `inclusion_path` and `consistency_path`."""
    return lambda begin, end: root_of_hashes(leaves[begin:end])


def _split(size: int) -> int:
    return 1 << ((size - 1).bit_length() - 1)


def _shape(index: int, size: int) -> tuple[int, int]:
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _fold_inner(seed: bytes, path: Sequence[bytes], index: int, *, right_only: bool = False) -> bytes:
    for level, sibling in enumerate(path):
        if index >> level & 1:
            seed = node_hash(sibling, seed)
        elif not right_only:
            seed = node_hash(seed, sibling)
    return seed


def _fold(seed: bytes, path: Sequence[bytes]) -> bytes:
    for sibling in path:
        seed = node_hash(sibling, seed)
    return seed


def _must_be_hashes(values: Sequence[bytes]) -> None:
    if any(len(value) != 32 for value in values):
        raise NotProved("a hash is not 32 bytes long")
