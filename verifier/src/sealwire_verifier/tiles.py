"""C2SP tlog-tiles: where a tile lies, and how tiles of 256 hashes make up any subtree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sealwire_verifier.errors import NotProved
from sealwire_verifier.merkle import EMPTY_ROOT, root_of_hashes

WIDTH = 256
_PATH = re.compile(r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One tile of a tree of some size; level None is the bundle of entries that level 0 hashes."""

    level: int | None
    n: int
    width: int = WIDTH

    def __str__(self) -> str:
        digits = f"{self.n:0{-(-len(str(self.n)) // 3) * 3}d}"
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join(["x" + group for group in groups[:-1]] + groups[-1:])
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{'entries' if self.level is None else self.level}/{number}{partial}"

    @classmethod
    def parse(cls, path: str) -> Tile:
        """Read a path; NotProved unless it is the one spelling of a tile."""
        if (match := _PATH.fullmatch(path)) is None:
            raise NotProved("not the path of a tile")
        level, number, width = match.groups()
        tile = cls(
            None if level == "entries" else int(level),
            int(number.replace("/", "").replace("x", "")),
            int(width or WIDTH),
        )
        if str(tile) != path:
            raise NotProved("not the path of a tile")
        return tile


def tiles_of(size: int) -> Iterator[Tile]:
    """Every hash tile of a tree, level by level."""
    level = 0
    while size:
        full, rest = divmod(size, WIDTH)
        yield from (Tile(level, n) for n in range(full))
        if rest:
            yield Tile(level, full, rest)
        level, size = level + 1, full


def right_edge(size: int) -> list[tuple[int, int]]:
    """(level, n) of the partial tile of each level: all that is needed for the root."""
    edge, level = [], 0
    while size:
        if size % WIDTH:
            edge.append((level, size // WIDTH))
        level, size = level + 1, size // WIDTH
    return edge


def parts(begin: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """The runs (level, n, first, count) of tile hashes which together span one subtree of an RFC 6962 tree."""
    while begin < end:
        level = ((end - begin).bit_length() - 1) // 8
        unit = 256**level
        count = (end - begin) // unit
        n, first = divmod(begin // unit, WIDTH)
        yield level, n, first, count
        begin += count * unit


class TileTree:
    """Roots of subtrees, computed from the tiles at hand: (level, n) to hashes one after the other."""

    def __init__(self, tiles: Mapping[tuple[int, int], bytes]) -> None:
        self.tiles = tiles

    def subtree(self, begin: int, end: int) -> bytes:
        """The root over these entries, as `merkle.inclusion_path` and `merkle.consistency_path` ask for it."""
        root = None
        for level, n, first, count in reversed(list(parts(begin, end))):
            tile = self.tiles.get((level, n), b"")
            if len(tile) < 32 * (first + count):
                raise NotProved(f"tile {Tile(level, n)} is missing or too short")
            row = [tile[at : at + 32] for at in range(32 * first, 32 * (first + count), 32)]
            root = root_of_hashes(row if root is None else [*row, root])
        return EMPTY_ROOT if root is None else root


def unpack_entries(bundle: bytes) -> list[bytes]:
    """Entries of a bundle: each has a 16-bit length before it."""
    entries, at = [], 0
    while at < len(bundle):
        end = at + 2 + int.from_bytes(bundle[at : at + 2])
        if at + 2 > len(bundle) or end > len(bundle):
            raise NotProved("an entry bundle ends in the middle of an entry")
        entries.append(bundle[at + 2 : end])
        at = end
    return entries


def pack_entries(entries: list[bytes]) -> bytes:
    """A bundle of entries."""
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)
