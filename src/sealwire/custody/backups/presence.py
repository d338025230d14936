"""Which backups there still are, as facts: how far back they reach, and whether any has outlived its cycle."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from pathlib import Path

from sealwire.custody.backups.manifest import MANIFEST, backups_in, read_manifest
from sealwire.errors import SealwireError
from sealwire.ground.clock import Clock

UNKNOWN = dt.datetime.min.replace(tzinfo=dt.UTC)
"""When a backup was begun that does not say so: it may hold anything that was ever here."""


def oldest_begun(target: Path) -> dt.datetime | None:
    """When the oldest backup in this folder was begun: what was removed before then is in none. None without any.

    One that is being written, or cannot be read, counts as begun at `UNKNOWN`.
    """
    if any(target.glob("*.unfinished")) or any(_is_half(folder) for folder in target.glob("2*Z-*")):
        return UNKNOWN
    return min((_begun(folder) for folder in backups_in(target)), default=None)


def is_gone_from(oldest: dt.datetime | None, removed_at: dt.datetime | None) -> bool:
    """Whether ciphertext that was removed then is in no backup, given what `oldest_begun` said."""
    return removed_at is not None and (oldest is None or oldest > removed_at)


def outlived(target: Path, *, clock: Clock) -> list[Path]:
    """Backups whose cycle has ended and which are still there, and those that do not say when it ends."""
    found = []
    for folder in backups_in(target):
        try:
            is_over = read_manifest(folder).cycle_ends_on < clock.now().date()
        except (SealwireError, OSError):
            is_over = True
        if is_over:
            found.append(folder)
    return found


def _is_half(folder: Path) -> bool:
    """Files of a backup without the manifest that is written last."""
    return folder.is_dir() and not (folder / MANIFEST).exists()


def _begun(folder: Path) -> dt.datetime:
    try:
        status = (folder / MANIFEST).stat()
        return _begun_says(folder, status.st_mtime_ns, status.st_size)
    except (SealwireError, OSError, ValueError):
        return UNKNOWN


@lru_cache(maxsize=256)
def _begun_says(folder: Path, _changed_ns: int, _size: int) -> dt.datetime:
    """A manifest names every file of the database and is written once, so it is read once."""
    return dt.datetime.fromisoformat(read_manifest(folder).made_at)
