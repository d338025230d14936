"""The operator-wide cycle as it stands: how old the backups are, and when the next of them end."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sealwire.config import Settings
from sealwire.custody.backups.manifest import backups_in, read_manifest
from sealwire.errors import SealwireError
from sealwire.ground.clock import Clock


@dataclass(frozen=True, slots=True)
class Cycle:
    """Facts about the backups there are. `unreadable` ones are not counted elsewhere and may hold anything."""

    days: int
    backups: int
    unreadable: int
    oldest_made_at: dt.datetime | None
    newest_made_at: dt.datetime | None
    next_end: dt.date | None
    age_s: float | None

    @property
    def sentence(self) -> str:
        told = f"Backups are destroyed {self.days} days after the base of their chain was made"
        if self.newest_made_at is None:
            return f"{told}; there is none yet."
        assert self.age_s is not None
        age = f"{self.age_s / 3600:.1f} hours" if self.age_s < 2 * 86400 else f"{self.age_s / 86400:.0f} days"
        return f"{told}; there are {self.backups}, the newest {age} old; the next end after {self.next_end}."


def cycle(settings: Settings, *, clock: Clock) -> Cycle:
    """Look at the backups that are known here, wherever their files are."""
    made: list[dt.datetime] = []
    ends: list[dt.date] = []
    unreadable = 0
    for folder in backups_in(settings.backups_dir):
        try:
            manifest = read_manifest(folder)
            made.append(dt.datetime.fromisoformat(manifest.made_at))
            ends.append(manifest.cycle_ends_on)
        except (SealwireError, ValueError, OSError):
            unreadable += 1
    newest = max(made, default=None)
    age_s = None if newest is None else (clock.now() - newest).total_seconds()
    return Cycle(
        days=settings.backup_cycle_days,
        backups=len(made),
        unreadable=unreadable,
        oldest_made_at=min(made, default=None),
        newest_made_at=newest,
        next_end=min(ends, default=None),
        age_s=age_s,
    )
