"""Reading one account's log: static files (C2SP tlog-tiles), proofs, and what was written about a record.

Everything is answered for the last signed size; entries that are committed but not yet signed do not exist here.
All functions take a connection in this account's transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sealwire.errors import Malformed, Missing
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.log import LogUnknown, fetch_tiles, queries
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import AccountId, RecordId
from sealwire_verifier.errors import NotProved
from sealwire_verifier.merkle import consistency_ranges, inclusion_path, inclusion_ranges, leaf_hash, subtree_of
from sealwire_verifier.tiles import WIDTH, Tile, TileTree, pack_entries, parts


class PathUnknown(Missing):
    """There is no such file in this log: paths are checkpoint, tile/<L>/<N>[.p/<W>] and tile/entries/<N>[.p/<W>]."""


class SizeOutOfRange(Malformed):
    """The log has no such index or size yet; take one below the size of the current checkpoint."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A log as the world was told of it."""

    origin: str
    vkey: str
    size: int
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """A leaf, its index and its path in the tree of `size`."""

    index: int
    size: int
    leaf: bytes
    path: list[bytes]


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """A sealed payload (salt and payload, context category 4) and where its key is."""

    index: int
    leaf_class: LeafClass
    day: int
    slot: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class KeptProof:
    """A record's commitment in the batch it was kept with, and that batch's leaf."""

    record: RecordId
    commitment: bytes
    index: int
    salt: bytes
    payload: bytes
    batch_index: int
    batch_path: list[bytes]


async def signed_head(connection: Connection, account: AccountId) -> SignedHead:
    """The last signed head; LogUnknown before there is one."""
    row = await connection.fetchrow(queries.find_head, account.value)
    if row is None or row["checkpoint"] is None:
        raise LogUnknown
    return SignedHead(row["origin"], row["vkey"], row["signed_size"], row["checkpoint"])


async def render(connection: Connection, account: AccountId, path: str) -> bytes:
    """One static file of the log; PathUnknown when it does not exist at the signed size."""
    head = await signed_head(connection, account)
    if path == "checkpoint":
        return head.checkpoint
    try:
        tile = Tile.parse(path)
    except NotProved:
        raise PathUnknown from None
    if tile.n >= 1 << 48 or (tile.n * WIDTH + tile.width) * WIDTH ** (tile.level or 0) > head.size:
        raise PathUnknown
    if tile.level is None:
        begin = tile.n * WIDTH
        rows = await connection.fetch(queries.leaves, account.value, begin, begin + tile.width)
        return pack_entries([row["leaf"] for row in rows])
    tiles = await fetch_tiles(connection, [(account, tile.level, tile.n)])
    return tiles[account][tile.level, tile.n][: tile.width * 32]


async def inclusion_proof(
    connection: Connection, account: AccountId, index: int, *, size: int | None = None
) -> InclusionProof:
    """The proof of one leaf, in the signed tree or an earlier one."""
    (proof,) = await inclusion_proofs(connection, account, [index], size=size)
    return proof


async def inclusion_proofs(
    connection: Connection, account: AccountId, indices: Iterable[int], *, size: int | None = None
) -> list[InclusionProof]:
    """Proofs of several leaves in one tree, with two statements in all."""
    wanted, signed = list(indices), (await signed_head(connection, account)).size
    size = signed if size is None else size
    if size > signed or any(not 0 <= index < size for index in wanted):
        raise SizeOutOfRange
    ranges = {between for index in wanted for between in inclusion_ranges(index, size)}
    tree = await _tree(connection, account, ranges)
    leaves = dict(await connection.fetch(queries.leaves_at, account.value, wanted))
    return [InclusionProof(index, size, leaves[index], inclusion_path(index, size, tree.subtree)) for index in wanted]


async def consistency_proof(connection: Connection, account: AccountId, first: int, second: int) -> list[bytes]:
    """The proof that the tree of size `first` is the beginning of the tree of size `second`."""
    if not 0 < first <= second <= (await signed_head(connection, account)).size:
        raise SizeOutOfRange
    ranges = consistency_ranges(first, second)
    tree = await _tree(connection, account, set(ranges))
    return [tree.subtree(*between) for between in ranges]


async def payload_rows(connection: Connection, account: AccountId, record: RecordId) -> list[PayloadRow]:
    """What the log says about one record, oldest first, sealed."""
    rows = await connection.fetch(queries.payloads_of_record, account.value, record.value)
    return [PayloadRow(row[0], LeafClass(row[1]), *row[2:]) for row in rows]


async def kept_proofs(connection: Connection, account: AccountId, records: Iterable[RecordId]) -> list[KeptProof]:
    """For each time each of these records was kept: its commitment, the batch's leaf and the path between them."""
    wanted = {record.value for record in records}
    proofs = []
    for row in await connection.fetch(queries.batches_of_records, account.value, list(wanted)):
        commitments = [row["commitments"][at : at + 32] for at in range(0, len(row["commitments"]), 32)]
        subtree = subtree_of([leaf_hash(commitment) for commitment in commitments])
        for position, record in enumerate(row["record_ids"]):
            if record in wanted:
                path = inclusion_path(position, len(commitments), subtree)
                proofs.append(
                    KeptProof(
                        RecordId(record), commitments[position], row["idx"], row["salt"], row["payload"], position, path
                    )
                )
    return proofs


async def _tree(connection: Connection, account: AccountId, ranges: set[tuple[int, int]]) -> TileTree:
    wanted = {(account, level, n) for between in ranges for level, n, _, _ in parts(*between)}
    return TileTree((await fetch_tiles(connection, wanted)).get(account, {}))
