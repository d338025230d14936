"""Telling each account's log of a backup, through the outbox of the sequencer."""

from __future__ import annotations

from typing import Any

import asyncpg

from sealwire.config import Settings
from sealwire.custody.backups import manifest as papers
from sealwire.custody.backups.refusals import BackupFailed
from sealwire.errors import SealwireError
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.cluster import Cluster
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId

_queries = load_queries(__package__)


async def connected(cluster: Cluster) -> asyncpg.Connection[Any]:
    """As the owner; BackupFailed when the database does not answer."""
    try:
        return await asyncpg.connect(cluster.dsn())
    except (OSError, asyncpg.PostgresError, SealwireError):
        raise BackupFailed("the database does not answer, so nothing was backed up: run bin/sealwire up") from None


async def tell_logs(cluster: Cluster, leaf: LeafClass, manifests: list[papers.Manifest], clock: Clock) -> None:
    """One leaf in each account's log, in the outbox of the sequencer."""
    connection = await connected(cluster)
    try:
        accounts = [AccountId(row["account_id"]) for row in await connection.fetch(_queries.log_heads)]
        async with connection.transaction():
            for manifest in manifests:
                for account in accounts:
                    await post_event(connection, account, leaf, _said(manifest, clock))
    finally:
        await connection.close()


def _said(manifest: papers.Manifest, clock: Clock) -> dict[str, object]:
    return {
        "backup": manifest.backup,
        "chain": manifest.chain,
        "after": manifest.after,
        "made_at": manifest.made_at,
        "cycle_ends_on": manifest.cycle_ends_on.isoformat(),
        "authenticator": manifest.authenticator,
        "at": rfc3339(clock.now()),
    }


async def tell_verified(settings: Settings, manifest: papers.Manifest, clock: Clock) -> None:
    """Each account's log is told that this backup was looked through and is whole."""
    await tell_logs(Cluster(settings), LeafClass.BACKUP_VERIFIED, [manifest], clock)
