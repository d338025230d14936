"""Rows that governance keeps only for a while."""

from __future__ import annotations

import datetime as dt

from sealwire.ground.postgres.database import Database
from sealwire.ground.postgres.queries import load_queries

_queries = load_queries(__package__)


async def drop_old_requests(database: Database, *, before: dt.datetime) -> None:
    """Forget which POSTs were seen before this moment; a repeat after that acts anew."""
    async with database.system() as connection:
        await connection.execute(_queries.drop_old_idempotent, before)
