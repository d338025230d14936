"""A second instance from a backup: the database alone, in a scratch folder, seen by nobody else, gone afterwards."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from sealwire.config import Settings
from sealwire.custody.backups.refusals import RestoreFailed
from sealwire.custody.categories import CATALOGUE
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord, uuids
from sealwire.errors import SealwireError
from sealwire.ground.postgres.cluster import DATABASE, Cluster
from sealwire.vocabulary import AccountId, RecordId

_SCRATCH_SETTINGS = {"fsync": "off", "autovacuum": "off", "summarize_wal": "off", "max_wal_size": "64MB"}
_BINARIES = "postgres-binaries"


class ScratchInstance:
    """A running copy of a backed-up database, open to its superuser only."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self.connection = connection

    async def records(self, account: AccountId, records: Sequence[RecordId]) -> list[StoredRecord]:
        """The rows of these records that the backup holds, whatever row security says."""
        found: list[StoredRecord] = []
        for category in CATALOGUE:
            rows = await self.connection.fetch(statements(category).by_ids, account.value, uuids(list(records)))
            found += [StoredRecord.from_row(account, category, row) for row in rows]
        return found


@asynccontextmanager
async def scratch_instance(
    postgres_copy: Path,
    settings: Settings,
    *,
    workspace: Path | None = None,
    database: str = DATABASE,
    moves: bool = False,
) -> AsyncIterator[ScratchInstance]:
    """Start a copy of a database folder; it is stopped and every byte of it removed at the end.

    `workspace` is a folder that the database user can enter; by default the data folder. With `moves` the folder itself
    is started and not a copy of it.
    """
    scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=workspace or settings.data_dir))
    inside = Settings(data_dir=scratch)
    cluster: Cluster | None = None
    connection: asyncpg.Connection[Any] | None = None
    try:
        try:
            cluster = await asyncio.to_thread(_prepared, postgres_copy, settings, inside, moves=moves)
            await cluster.start_server()
            connection = await asyncpg.connect(cluster.dsn(database=database))
        except (SealwireError, OSError, asyncpg.PostgresError) as error:
            raise RestoreFailed(
                f"a copy of {postgres_copy} did not start: {_reason(error)}; verify the backup, and try another one"
            ) from None
        yield ScratchInstance(connection)
    finally:
        if connection is not None:
            await connection.close()
        if cluster is not None:
            await cluster.stop()
        shutil.rmtree(scratch, ignore_errors=True)
        if not inside.run_dir.is_relative_to(scratch):
            shutil.rmtree(inside.run_dir, ignore_errors=True)


def _reason(error: Exception) -> str:
    """Why, in a few words; shutil lists every file it could not copy."""
    if isinstance(error, shutil.Error):
        return "it could not be copied; is the disk full?"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def remove_left_over(settings: Settings) -> None:
    """Remove what a drill that was killed left in the data folder; call when none is running."""
    for scratch in settings.data_dir.glob("scratch-*"):
        shutil.rmtree(scratch, ignore_errors=True)


def _prepared(postgres_copy: Path, settings: Settings, inside: Settings, *, moves: bool) -> Cluster:
    if moves:
        postgres_copy.rename(inside.postgres_dir)
    else:
        shutil.copytree(postgres_copy, inside.postgres_dir, symlinks=True)
    owner = Cluster(settings).user
    inside.postgres_dir.chmod(0o700)
    (inside.postgres_dir / "postmaster.pid").unlink(missing_ok=True)
    if owner.is_other:
        for path in (inside.postgres_dir, *inside.postgres_dir.rglob("*")):
            os.chown(path, owner.uid, owner.gid, follow_symlinks=False)
    if (settings.data_dir / _BINARIES).exists():  # 70 MB that need no second copy
        (inside.data_dir / _BINARIES).symlink_to(settings.data_dir / _BINARIES)
    return Cluster(inside, server_settings=_SCRATCH_SETTINGS)
