"""Telling logs that a holder of keys has joined or left: who it is and who runs it, by its public key."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sealwire.config import Settings
from sealwire.custody.backups.telling import connected
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground.clock import SystemClock, rfc3339
from sealwire.ground.postgres.cluster import Cluster
from sealwire.vocabulary import AccountId


def tell_of_holder(
    settings: Settings, leaf_class: LeafClass, accounts: Sequence[str], vkey: str, operator: str
) -> None:
    """One leaf in each of these accounts' logs, by way of the sequencer's outbox."""
    payload = {"holder": vkey, "operator": operator, "at": rfc3339(SystemClock().now())}

    async def tell() -> None:
        connection = await connected(Cluster(settings))
        try:
            async with connection.transaction():
                for account in accounts:
                    await post_event(connection, AccountId.parse(account), leaf_class, payload)
        finally:
            await connection.close()

    asyncio.run(tell())
