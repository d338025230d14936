"""Rebuilding the blind index after a crash or a restore: PostgreSQL empties UNLOGGED tables then.

Records are opened inside the keeper under a leaf and only tokens come back; until the end a lookup answers 503.
"""

from __future__ import annotations

from uuid import UUID, uuid4

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.lifecycle import KeeperClient, SealedItem, open_proof
from sealwire.custody.sealing.envelope import items_root
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord, queries
from sealwire.errors import Broken, Unavailable
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.leaves import LeafClass
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId

BATCH = 500


class IndexLostAgain(Unavailable):
    """PostgreSQL crashed while the index was rebuilt, so what was done is lost; it begins anew within a minute."""


class IndexRebuilder:
    """Runs in the worker, on its own role."""

    def __init__(self, *, database: Database, keeper: KeeperClient, sequencer: SequencerClient, clock: Clock) -> None:
        self._database, self._keeper, self._sequencer, self._clock = database, keeper, sequencer, clock

    async def rebuild_if_lost(self) -> bool:
        """Rebuild the whole index when its marker is gone; True when that was so."""
        async with self._database.system() as connection:
            if await connection.fetchval(queries.index_is_whole):
                return False
            accounts = [AccountId(row["account_id"]) for row in await connection.fetch(queries.accounts)]
            rebuild = uuid4()
            await connection.execute(queries.begin_rebuild, rebuild)
        tokens = 0
        for account in accounts:
            for category in CATALOGUE:
                tokens += await self._rebuild(account, category) if category.findable_positions else 0
        async with self._database.system() as connection:
            since = await connection.fetchval(queries.declare_index_whole, self._clock.now(), rebuild)
        if since is None:
            raise IndexLostAgain
        diagnostics.event("index.rebuilt", accounts=len(accounts), tokens=tokens)
        return True

    async def _rebuild(self, account: AccountId, category: Category) -> int:
        after, tokens = UUID(int=0), 0
        while True:
            async with self._database.account(account) as connection:
                rows = await connection.fetch(statements(category).after, account.value, after, BATCH)
            if not rows:
                return tokens
            stored = [StoredRecord.from_row(account, category, row) for row in rows]
            after = stored[-1].record.value
            whole = [row for row in stored if not row.is_detached]
            tokens += await self._insert_sound(account, category, whole) if whole else 0

    async def _insert_sound(self, account: AccountId, category: Category, stored: list[StoredRecord]) -> int:
        """A record whose seal is broken cannot be found by number, but keeps nobody else from being found."""
        try:
            return await self._insert(account, category, stored)
        except Broken as error:
            if len(stored) == 1:
                diagnostics.failure("index.record-broken", error, record=stored[0].record)
                return 0
        half = len(stored) // 2
        first = await self._insert_sound(account, category, stored[:half])
        return first + await self._insert_sound(account, category, stored[half:])

    async def _insert(self, account: AccountId, category: Category, stored: list[StoredRecord]) -> int:
        contexts = [row.context.text for row in stored]
        payload: dict[str, object] = {
            "principal": "worker",
            "purpose": "service-operation",
            "nonce": (await self._keeper.challenge()).hex(),
            "items": len(stored),
            "items_root": items_root(contexts),
            "at": rfc3339(self._clock.now()),
        }
        inclusion = await self._sequencer.include(
            account, leaf_class=LeafClass.INDEX_REBUILT, payload=payload, mentions=[]
        )
        items = [SealedItem(row.context.text, row.sealed) for row in stored]
        found = await self._keeper.reindex(account, proof=open_proof(inclusion), items=items)
        pairs = [(row, token) for row, tokens in zip(stored, found, strict=True) for token in tokens]
        async with self._database.account(account) as connection:
            await connection.execute(queries.hold_off_erasure, account.value)
            await connection.execute(
                queries.insert_tokens, account.value, category.code,
                [row.record.value for row, _ in pairs], [token for _, token in pairs],
                [int(row.day) for row, _ in pairs], [row.retention_class for row, _ in pairs],
            )  # fmt: skip
        return len(pairs)
