"""Appending to many logs in one transaction: leaves, tiles, and a root recomputed from what was read back.

(1) the heads are locked and the tiles at each log's right edge are read;
(2) leaves are added in memory: level 0 first, the root of each full tile to the level above;
(3) leaves, tiles, payloads, batches, mentions and heads are written;
(4) everything written is read back, and every hash on the way from leaf to root is computed again from it.
Only what passed (4) is ever signed: a bit that flips in memory or on its way into the tables must not be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sealwire.errors import Broken, Missing
from sealwire.evidence.heads import Head
from sealwire.evidence.leaves import NewLeaf
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId
from sealwire_verifier.errors import NotProved
from sealwire_verifier.merkle import CompactRange, inclusion_path, leaf_hash, root_of_hashes
from sealwire_verifier.tiles import WIDTH, TileTree, right_edge

queries = load_queries(__package__)
TileKey = tuple[int, int]


class LogDamaged(Broken):
    """The stored log does not give the root it had; nothing more is signed. Run the verifier on the whole log."""


class LogUnknown(Missing):
    """This account has no log; open one first."""


@dataclass(slots=True)
class Growth:
    """One log while it grows: its tiles at the right edge and those that are new."""

    account: AccountId
    origin: str
    before: Head
    frontier: CompactRange
    tiles: dict[TileKey, bytes]
    leaves: Sequence[NewLeaf]
    touched: set[TileKey] = field(default_factory=set)

    @property
    def after(self) -> Head:
        return Head(self.frontier.size, self.frontier.root())

    def inclusion(self, index: int) -> list[bytes]:
        """The path of a leaf that was just appended."""
        return inclusion_path(index, self.frontier.size, TileTree(self.tiles).subtree)

    def grow(self) -> None:
        """Step (2)."""
        pending: dict[TileKey, list[bytes]] = {}
        for leaf in self.leaves:
            digest = leaf_hash(leaf.entry)
            pending.setdefault((0, self.frontier.size // WIDTH), []).append(digest)
            self.frontier.append(digest)
        level: dict[TileKey, list[bytes]] = pending
        while level:
            above: dict[TileKey, list[bytes]] = {}
            for (height, n), hashes in level.items():
                key = (height, n)
                self.tiles[key] = self.tiles.get(key, b"") + b"".join(hashes)
                self.touched.add(key)
                if len(self.tiles[key]) == WIDTH * 32:
                    above.setdefault((height + 1, n // WIDTH), []).append(root_of_hashes(_row(self.tiles[key])))
            level = above


async def append(connection: Any, additions: Mapping[AccountId, Sequence[NewLeaf]]) -> list[Growth]:
    """Append to each account's log in the caller's transaction; LogUnknown when one has none."""
    growths = await _begin(connection, additions)  # (1)
    for growth in growths:
        growth.grow()  # (2)
    await _write(connection, growths)  # (3)
    await _read_back(connection, growths)  # (4)
    return growths


async def right_edges(connection: Any, sizes: Mapping[AccountId, int]) -> dict[AccountId, dict[TileKey, bytes]]:
    """The partial tiles of each log: all that is needed for its root."""
    return await fetch_tiles(
        connection, [(account, level, n) for account, size in sizes.items() for level, n in right_edge(size)]
    )


async def fetch_tiles(
    connection: Any, wanted: Iterable[tuple[AccountId, int, int]]
) -> dict[AccountId, dict[TileKey, bytes]]:
    """Tiles by account, level and number; those that do not exist are left out."""
    listed = list(wanted)
    tiles: dict[AccountId, dict[TileKey, bytes]] = {account: {} for account, _, _ in listed}
    if listed:
        accounts, levels, numbers = zip(*listed, strict=True)
        rows = await connection.fetch(queries.tiles, [account.value for account in accounts], levels, numbers)
        for account, level, n, hashes in rows:
            tiles[AccountId(account)][level, n] = hashes
    return tiles


async def _begin(connection: Any, additions: Mapping[AccountId, Sequence[NewLeaf]]) -> list[Growth]:
    rows = await connection.fetch(queries.heads_to_extend, [account.value for account in additions])
    if len(rows) != len(additions):
        raise LogUnknown
    edges = await right_edges(connection, {AccountId(row["account_id"]): row["size"] for row in rows})
    growths = []
    for row in rows:
        account, size = AccountId(row["account_id"]), row["size"]
        tiles = {key: tile[: _width(key, size) * 32] for key, tile in edges.get(account, {}).items()}
        head = Head(size, row["root"])
        frontier = frontier_of(head, row["frontier"])
        growths.append(Growth(account, row["origin"], head, frontier, tiles, additions[account]))
    return growths


async def _write(connection: Any, growths: list[Growth]) -> None:
    placed = [
        (growth.account.value, growth.before.size + offset, leaf)
        for growth in growths
        for offset, leaf in enumerate(growth.leaves)
    ]
    await _insert(connection, queries.insert_leaves, [(account, index, leaf.entry) for account, index, leaf in placed])
    tiles = [
        (growth.account.value, level, n, growth.tiles[level, n])
        for growth in growths
        for level, n in sorted(growth.touched)
    ]
    await _insert(connection, queries.put_tiles, tiles)
    await _insert(
        connection,
        queries.insert_payloads,
        [(a, i, leaf.sealed.day, leaf.sealed.slot, leaf.sealed.blob) for a, i, leaf in placed if leaf.sealed],
    )
    mentions = [
        (account, record, index)
        for account, index, leaf in placed
        for record in (leaf.batch.records if leaf.batch else leaf.mentions)
    ]
    await _insert(connection, queries.insert_mentions, mentions)
    await _insert(connection, queries.insert_statements, _statements(placed))
    for account, index, leaf in placed:
        if leaf.batch:
            await connection.execute(
                queries.insert_batch, account, index, leaf.salt, leaf.payload,
                leaf.batch.records, b"".join(leaf.batch.commitments),
            )  # fmt: skip
    heads = [
        (growth.account.value, growth.after.size, growth.after.root, b"".join(growth.frontier.hashes))
        for growth in growths
    ]
    await _insert(connection, queries.move_heads, heads)


def _statements(placed: list[tuple[UUID, int, NewLeaf]]) -> list[tuple[Any, ...]]:
    found = []
    for account, index, leaf in placed:
        if (erasure := leaf.erasure()) is not None:
            found.append((account, erasure, int(leaf.leaf_class), index, leaf.salt, leaf.payload))
    return found


async def _insert(connection: Any, statement: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        await connection.execute(statement, *zip(*rows, strict=True))


async def _read_back(connection: Any, growths: list[Growth]) -> None:
    keys = [(growth.account, *key) for growth in growths for key in growth.touched | set(right_edge(growth.after.size))]
    tiles = await fetch_tiles(connection, keys)
    rows = await connection.fetch(
        queries.leaves_between,
        [growth.account.value for growth in growths],
        [growth.before.size for growth in growths],
        [growth.after.size for growth in growths],
    )
    entries: dict[AccountId, list[bytes]] = {growth.account: [] for growth in growths}
    for account, _, entry in rows:
        entries[AccountId(account)].append(entry)
    for growth in growths:
        _check(growth, tiles.get(growth.account, {}), entries[growth.account])


def _check(growth: Growth, tiles: dict[TileKey, bytes], entries: list[bytes]) -> None:
    """Step (4) for one log, from stored bytes alone."""
    before, after = growth.before.size, growth.after
    if len(entries) != after.size - before:
        raise LogDamaged
    for index, entry in enumerate(entries, start=before):
        n, offset = divmod(index, WIDTH)
        if leaf_hash(entry) != tiles.get((0, n), b"")[32 * offset : 32 * offset + 32]:
            raise LogDamaged
    for level, n in growth.touched:
        if len(tiles.get((level, n), b"")) == WIDTH * 32:
            above, offset = divmod(n, WIDTH)
            root = root_of_hashes(_row(tiles[level, n]))
            if root != tiles.get((level + 1, above), b"")[32 * offset : 32 * offset + 32]:
                raise LogDamaged
    check_root(tiles, after)
    growth.tiles |= tiles


def check_root(tiles: dict[TileKey, bytes], head: Head) -> None:
    """The tiles at the right edge give this root; LogDamaged when they do not."""
    try:
        root = TileTree(tiles).subtree(0, head.size)
    except NotProved:
        raise LogDamaged from None
    if root != head.root:
        raise LogDamaged


def frontier_of(head: Head, stored: bytes) -> CompactRange:
    """The compact range a head goes on from; LogDamaged when it does not give the head's root."""
    try:
        frontier = CompactRange(head.size, _row(stored))
    except NotProved:
        raise LogDamaged from None
    if frontier.root() != head.root:
        raise LogDamaged
    return frontier


def _row(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + 32] for at in range(0, len(hashes), 32)]


def _width(key: TileKey, size: int) -> int:
    """How wide a partial tile is in a tree of this size."""
    return (size >> 8 * key[0]) % WIDTH
