"""Single records of a backup that was opened, asked of the living keeper: which of them open?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sealwire.config import Settings
from sealwire.custody.backups.opening import DrillOpener
from sealwire.custody.backups.restore import scratch_instance
from sealwire.vocabulary import AccountId, RecordId


@dataclass(frozen=True, slots=True)
class Drilled:
    """What became of one record: was its row in the backup, does it open, does its audio (None: it has none)."""

    record: RecordId
    in_backup: bool
    readable: bool
    media_readable: bool | None


@dataclass(frozen=True, slots=True)
class DrillReport:
    """The outcome, record by record."""

    records: list[Drilled]

    def of(self, record: RecordId) -> Drilled:
        return next(drilled for drilled in self.records if drilled.record == record)


async def drill_records(
    folder: Path, records: Sequence[tuple[AccountId, RecordId]], settings: Settings, *, opener: DrillOpener
) -> DrillReport:
    """Start a copy of the database in `folder` (see `unpack.opened_into`) and have these records opened."""
    opener.begin(folder.name, folder)
    outcomes = []
    async with scratch_instance(folder / "postgres", settings) as scratch:
        for account, record in records:
            stored = await scratch.records(account, [record])
            if not stored:
                outcomes.append(Drilled(record, False, False, None))
                continue
            [opens] = await opener.records(stored)
            media = await opener.media(stored[0]) if stored[0].object_name else None
            outcomes.append(Drilled(record, True, bool(opens), media))
    return DrillReport(outcomes)
