"""At start, and after any commit whose outcome is unknown: the database against the lock file.

For each log, with what the tables hold at its right edge recomputed:
- as the lock file says: signed again if the checkpoint was not stored (Ed25519 gives the same bytes);
- ahead of it: the tables must continue what was signed; then the lock file is moved and the head is signed;
- behind it, or another root at the same size: refused, nothing is signed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from sealwire.evidence.heads import Head, Heads, LogForked, LogRolledBack
from sealwire.evidence.journal import Batch, Entries
from sealwire.evidence.log import LogDamaged, check_root, fetch_tiles, frontier_of, queries, right_edges
from sealwire.evidence.signer import LogSigner
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId
from sealwire_verifier.errors import NotProved
from sealwire_verifier.tiles import TileTree, parts

_PAGE = 500
Note = Callable[[list[Entries]], Awaitable[None]]


async def reconcile(
    database: Database, heads: Heads, signer: LogSigner, *, note: Note | None = None
) -> dict[AccountId, str]:
    """Bring lock file and checkpoints up to the database, or refuse; the origin of every log.

    `note` is given the leaves that the lock file does not cover yet, before it is moved over them.
    """
    origins: dict[AccountId, str] = {}
    after = UUID(int=0)
    while True:
        async with database.system() as connection:
            rows = await connection.fetch(queries.heads, after, _PAGE)
            if not rows:
                break
            moves = await _compare(connection, rows, heads)
            if note is not None and moves:
                await note([await _entries(connection, row, moves) for row in rows if AccountId(row[0]) in moves])
        await heads.advance(moves)
        stored = {AccountId(row["account_id"]): Head(row["size"], row["root"]) for row in rows}
        origins |= {AccountId(row["account_id"]): row["origin"] for row in rows}
        late = [AccountId(row["account_id"]) for row in rows if row["unsigned"] or row["signed_size"] < row["size"]]
        await store_checkpoints(
            database,
            {account: (stored[account].size, signer.sign(origins[account], stored[account])) for account in late},
        )
        after = rows[-1]["account_id"]
    if heads.accounts() - set(origins):
        raise LogRolledBack
    return origins


async def store_checkpoints(database: Database, checkpoints: dict[AccountId, tuple[int, bytes]]) -> None:
    """Write signed heads, flushed: a database that crashed must not show an older head than was shown before."""
    if not checkpoints:
        return
    rows = [(account.value, size, checkpoint) for account, (size, checkpoint) in checkpoints.items()]
    async with database.system() as connection:
        await connection.execute(queries.sign_heads, *zip(*rows, strict=True))


async def _compare(connection: Any, rows: list[Any], heads: Heads) -> dict[AccountId, tuple[Head | None, Head]]:
    edges = await right_edges(connection, {AccountId(row["account_id"]): row["size"] for row in rows})
    moves: dict[AccountId, tuple[Head | None, Head]] = {}
    for row in rows:
        account, stored = AccountId(row["account_id"]), Head(row["size"], row["root"])
        locked = heads[account]
        frontier_of(stored, row["frontier"])
        check_root(edges.get(account, {}), stored)
        if locked is None:
            if not row["unsigned"]:
                raise LogRolledBack(
                    "the lock file does not know a log that was signed: it is older than the database, or was lost"
                )
            moves[account] = None, stored
        elif stored.size < locked.size:
            raise LogRolledBack
        elif stored.size == locked.size:
            if stored.root != locked.root:
                raise LogForked
        else:
            await _must_continue(connection, account, locked)
            moves[account] = locked, stored
    return moves


async def _entries(connection: Any, row: Any, moves: dict[AccountId, tuple[Head | None, Head]]) -> Entries:
    before, after = moves[AccountId(row["account_id"])]
    first = before.size if before is not None else 0
    leaves = await connection.fetch(queries.leaves, row["account_id"], first, after.size)
    kept = await connection.fetchval(queries.kept_between, row["account_id"], first, after.size)
    rows = await connection.fetch(queries.batches_between, row["account_id"], first, after.size)
    batches = [
        Batch(
            one["idx"], one["salt"], one["payload"], b"".join(record.bytes for record in one["record_ids"]),
            one["commitments"],
        )
        for one in rows
    ]  # fmt: skip
    entries = b"".join(leaf["leaf"] for leaf in leaves)
    return Entries(row["account_id"].bytes, row["origin"], first, entries, kept, batches)


async def _must_continue(connection: Any, account: AccountId, locked: Head) -> None:
    """The tables' first `locked.size` entries are the ones that were signed."""
    wanted = [(account, level, n) for level, n, _, _ in parts(0, locked.size)]
    tiles = (await fetch_tiles(connection, wanted)).get(account, {})
    try:
        root = TileTree(tiles).subtree(0, locked.size)
    except NotProved:
        raise LogDamaged from None
    if root != locked.root:
        raise LogForked
