"""What the tests of sealed backups share: taking one, and a command in a process of its own that may be cut off."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sealwire.custody.backups.sealing import BackupKey, backup_key
from sealwire.custody.backups.take import TakenBackup, take
from sealwire.custody.backups.unpack import VerifiedChain, verify_chain
from sealwire.ground.clock import Clock
from tests.promises.backup_house import CLOCK, House


async def taken(
    house: House, *, target: Path | None = None, wants_base: bool = False, clock: Clock = CLOCK
) -> TakenBackup:
    status = await house.custody.keeper.status()
    return await take(
        house.settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class, clock=clock,
        target=str(target) if target else None, wants_base=wants_base,
    )  # fmt: skip


def verified(house: House, folder: Path, *, key: BackupKey | None = None) -> VerifiedChain:
    return verify_chain(str(folder), house.settings, key or backup_key(house.settings))


def command(*words: str | Path, crash_at: str = "") -> subprocess.CompletedProcess[str]:
    """`sealwire WORDS`, which dies as by kill -9 where `crash_at` says."""
    environment = {**os.environ, "SEALWIRE_CRASH_AT": crash_at, "SEALWIRE_BACKUP_EVERY_HOURS": "0"}
    if not crash_at:
        del environment["SEALWIRE_CRASH_AT"]
    return subprocess.run(
        [sys.executable, "-m", "sealwire.doors.cli", *map(str, words)], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
