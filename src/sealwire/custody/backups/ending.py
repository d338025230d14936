"""The end of backups: what has outlived the cycle is destroyed, where it is and here, and the logs are told."""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
from pathlib import Path

from sealwire.config import Settings
from sealwire.custody.backups.manifest import UNFINISHED, Manifest, backups_in, read_manifest
from sealwire.custody.backups.owed import DESTROYED, owe, owed, settle
from sealwire.custody.backups.target import Target
from sealwire.custody.store import queries
from sealwire.errors import SealwireError
from sealwire.evidence.journal import drop_before
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId

LEAVES_KEPT_DAYS = 7


def destroy_ended(settings: Settings, clock: Clock) -> list[Manifest]:
    """Destroy every backup whose cycle has ended, increments before what they continue; what the logs are owed.

    One that cannot be destroyed stays known, so that nothing is said to be gone from it. What a crash left half
    destroyed, or destroyed and untold, is among them.
    """
    destroyed = []
    for manifest in owed(settings.backups_dir, DESTROYED):
        try:
            _destroy(settings, manifest, settings.backups_dir / manifest.name)
        except (SealwireError, OSError) as error:
            diagnostics.failure("backup.not-destroyed", error, folder=manifest.name)
            continue
        destroyed.append(manifest)
    for folder in reversed(backups_in(settings.backups_dir)):
        try:
            manifest = read_manifest(folder)
            if manifest.cycle_ends_on >= clock.now().date():
                continue
            owe(settings.backups_dir, manifest, DESTROYED)
            _destroy(settings, manifest, folder)
        except (SealwireError, OSError) as error:
            diagnostics.failure("backup.not-destroyed", error, folder=folder.name)
            continue
        destroyed.append(manifest)
    return destroyed


def _destroy(settings: Settings, manifest: Manifest, folder: Path) -> None:
    """Where it is and here; harmless again."""
    if manifest.is_sealed:
        Target.open(manifest.target or str(folder.parent), settings).remove(manifest.name)
    doomed = folder.with_name(folder.name + UNFINISHED)
    if folder.exists():
        folder.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=not doomed.exists())


def destroy_old_leaves(settings: Settings, clock: Clock) -> int:
    """Remove the journal's files that no backup reaches back to any more; how many."""
    oldest = clock.now() - dt.timedelta(days=settings.backup_cycle_days + LEAVES_KEPT_DAYS)
    return drop_before(settings.evidence_dir, f"{oldest:%Y%m%d}")


async def end_backups(settings: Settings, database: Database, clock: Clock) -> int:
    """Destroy what has ended and tell each account's log; how many backups it were."""
    destroyed = await asyncio.to_thread(destroy_ended, settings, clock)
    if not destroyed:
        return 0
    async with database.system() as connection:
        accounts = [AccountId(row["account_id"]) for row in await connection.fetch(queries.accounts)]
    for account in accounts:
        async with database.account(account) as connection:
            for manifest in destroyed:
                said: dict[str, object] = {
                    "backup": manifest.backup,
                    "chain": manifest.chain,
                    "cycle_ends_on": manifest.cycle_ends_on.isoformat(),
                    "at": rfc3339(clock.now()),
                }
                await post_event(connection, account, LeafClass.BACKUP_DESTROYED, said)
    await asyncio.to_thread(settle, settings.backups_dir, destroyed, DESTROYED)
    for manifest in destroyed:
        diagnostics.event("backup.destroyed", backup=manifest.backup)
    return len(destroyed)
