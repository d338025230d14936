"""A backup was cut off while it was taken, or at the end of its cycle; and one that was put back, at the gate."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from sealwire.custody.backups.manifest import backups_in
from sealwire.custody.backups.sealing import backup_key
from sealwire.custody.backups.unpack import verify_chain
from sealwire.errors import SealwireError
from sealwire.evidence.leaves import LeafClass
from tests.crash.killing import KILLED
from tests.crash.report import Broken, Report, Violation
from tests.crash.worker_house import WorkerHouse

Pick = Callable[[Sequence[Any]], Sequence[Any]]
_TOLD = """SELECT (SELECT count(*) FROM evidence.event_outbox WHERE leaf_class = $1)
 + (SELECT count(*) FROM evidence.leaf_entry WHERE get_byte(leaf, 1) = $1)"""


async def told(house: WorkerHouse, leaf: LeafClass) -> float:
    """How often each account's log was told, or is about to be; 1 when each was once."""
    connection = await asyncpg.connect(house.closures.owner_dsn)
    try:
        logs = await connection.fetchval("SELECT count(*) FROM evidence.head")
        return float(await connection.fetchval(_TOLD, int(leaf)) / logs)
    finally:
        await connection.close()


def broken_backups(house: WorkerHouse) -> list[str]:
    """Whatever counts as a backup here and is not whole."""
    settings, found = house.scratch.settings, []
    for folder in backups_in(settings.backups_dir):
        try:
            verify_chain(str(folder), settings, backup_key(settings))
        except SealwireError as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


async def kill_backups(house: WorkerHouse, report: Report, pick: Pick, scratch: Path) -> None:
    """An increment, then the end of its cycle, each cut off anywhere; the base before it stays whole."""
    settings = house.scratch.settings
    await house.expiring()
    assert await house.killing.order("backup", at=-1) == 0
    (base,) = backups_in(settings.backups_dir)
    steps = await house.killing.steps("backup", scratch / "backup")
    for at in pick(range(len(steps))):
        _keep_only(house, base)
        before = await told(house, LeafClass.BACKUP_MADE)
        if await house.killing.order("backup", at=at) != KILLED:
            continue
        found = [(Broken.FALSE, text) for text in broken_backups(house)]
        if await house.killing.order("backup", at=-1) != 0:
            found.append((Broken.STUCK, "the next backup fails"))
        found += [(Broken.FALSE, text) for text in broken_backups(house)]
        whole = len(backups_in(settings.backups_dir)) - 1
        now = await told(house, LeafClass.BACKUP_MADE) - before
        if not whole <= now <= whole + (1 if steps[at].startswith("file unlink") else 0):
            found.append((Broken.OTHER_END, f"{whole} whole backups, and the log was told of {now}"))
        left = [path.name for path in settings.backups_dir.glob("*.unfinished")]
        found += [(Broken.OTHER_END, name) for name in left]
        report.add(
            "backup", "killed", [Violation(broken, f"backup, before {steps[at]}", text) for broken, text in found]
        )
    _keep_only(house, base)
    await _kill_ends(house, report, pick, scratch, base)


async def _kill_ends(house: WorkerHouse, report: Report, pick: Pick, scratch: Path, base: Path) -> None:
    saved, settings = scratch / "saved", house.scratch.settings
    shutil.copytree(base, saved)
    steps = await house.killing.steps("end", scratch / "end")
    for at in pick(range(len(steps))):
        shutil.rmtree(base, ignore_errors=True)
        shutil.copytree(saved, base)
        before = await told(house, LeafClass.BACKUP_DESTROYED)
        if await house.killing.order("end", at=at) != KILLED:
            continue
        found = list[tuple[Broken, str]]()
        if await house.killing.order("end", at=-1) != 0 or backups_in(settings.backups_dir):
            found.append((Broken.STUCK, "the end of the cycle"))
        if not 1 <= (now := await told(house, LeafClass.BACKUP_DESTROYED) - before) <= 2:
            found.append((Broken.OTHER_END, f"the log was told {now} times that it is destroyed"))
        report.add("backup", "killed", [Violation(broken, f"end, before {steps[at]}", text) for broken, text in found])


def _keep_only(house: WorkerHouse, base: Path) -> None:
    for path in house.scratch.settings.backups_dir.iterdir():
        if path != base and path.is_dir():
            shutil.rmtree(path)
