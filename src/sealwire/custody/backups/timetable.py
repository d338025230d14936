"""Backups by the timetable: when one is due, and made by the same command that a person would type.

In a process of its own, so that sealing does not hold up the worker and a kill of it leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys

from sealwire.config import Settings
from sealwire.custody.backups.cycle import cycle
from sealwire.custody.backups.refusals import BackupFailed
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock


def is_due(settings: Settings, clock: Clock) -> bool:
    """Whether the newest backup, or without any the installation, is older than `backup_every_hours`."""
    if not settings.backup_every_hours:
        return False
    last = cycle(settings, clock=clock).newest_made_at
    if last is None:
        try:
            last = dt.datetime.fromtimestamp((settings.data_dir / "FORMAT").stat().st_mtime, dt.UTC)
        except OSError:
            return False
    return clock.now() - last >= dt.timedelta(hours=settings.backup_every_hours)


async def make_in_its_own_process(settings: Settings) -> None:
    """`sealwire backup make`; BackupFailed with its sentence when it did not come to its end."""
    chosen = {
        f"SEALWIRE_{name.upper()}": str(getattr(settings, name))
        for name in settings.__struct_fields__
        if name != "data_dir"
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sealwire.doors.cli", "backup", "make", "--json", "--data", str(settings.data_dir),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **chosen},
    )  # fmt: skip
    try:
        _, told = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode != 0:
        words = [line for line in told.decode(errors="replace").splitlines() if line.startswith("sealwire:")]
        diagnostics.event("backup.not-made", exit_code=process.returncode or 0)
        raise BackupFailed(words[-1] if words else None)
