"""The keeper rebuilt from its holders, and what the database knows of the blocks that the lost keeper had given out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg

from sealwire.config import Settings
from sealwire.custody.categories import CATALOGUE
from sealwire.custody.keys.holding import recovery
from sealwire.custody.keys.holding.recovery import Recovered, Source
from sealwire.custody.keys.holding.refusals import RecoveryRefused
from sealwire.custody.keys.leases import LeaseId
from sealwire.custody.keys.paths import DayPath
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.postgres.cluster import Cluster
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId

_queries = load_queries(__package__, "recovery.sql")
_CODES = {category.table: category.code for category in CATALOGUE}


async def recover_keeper(
    settings: Settings, sources: Sequence[Source], *, lost: Sequence[str], clock: Clock
) -> Recovered:
    """Rebuild the keeper's folder of a cloud that is not running and whose database is here (restore it first)."""
    if not (settings.postgres_dir / "PG_VERSION").exists():
        raise RecoveryRefused(
            "there is no database in this data folder, which tells what the lost keeper had given out; restore a"
            " backup first, then recover the keeper"
        )
    folder = DataFolder(settings)
    folder.take()
    try:
        now = clock.now()
        return await recovery.recover(
            settings.keeper_dir, sources, lost=lost, blocks=lambda: _blocks_given_out(settings),
            at=rfc3339(now), seen_s=now.timestamp(),
        )  # fmt: skip
    finally:
        folder.give_back()


async def _blocks_given_out(settings: Settings) -> list[LeaseId]:
    cluster = Cluster(settings)
    await cluster.start_server()
    try:
        connection = await asyncpg.connect(cluster.dsn())
        try:
            found: set[LeaseId] = set()
            for row in await connection.fetch(_queries.statements_for_blocks):
                code = _CODES.get(row["place"])
                for place in await connection.fetch(row["statement"]):
                    category = code if place["category"] is None else place["category"]
                    if category is not None:
                        day = DayPath(category, place["retention_class"], place["day"])
                        found.add(LeaseId(AccountId(place["account_id"]), day, place["block"]))
            return sorted(found, key=lambda lease: (lease.account.value, lease.day, lease.block))
        finally:
            await connection.close()
    finally:
        await asyncio.shield(cluster.stop())
