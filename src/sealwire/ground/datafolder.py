"""The data folder: its layout and modes, its format number, and the lock that keeps it to one cloud at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from typing import Self

from sealwire.config import FORMAT_VERSION, Settings
from sealwire.errors import Refused

_BEFORE_US = frozenset({"sealwire.toml", "lost+found"})
"""What an operator may have put into a new data folder before the first start."""


class DataFolderNewer(Refused):
    """The data folder was made by a newer version of Sealwire; start that version, or choose another folder."""


class DataFolderForeign(Refused):
    """The data folder holds something that is not ours; choose an empty one with --data."""


class DataFolderInUse(Refused):
    """Another Sealwire is running on this data folder; stop it, or choose another folder with --data."""


class DataFolderMissing(Refused):
    """There is no data folder of Sealwire here; name the one that `sealwire up` was started with by --data."""


class DataFolderUnwritable(Refused):
    """The data folder cannot be written; choose another one with --data."""


class DataFolder:
    """One cloud's hold on its data folder: `with DataFolder(settings): ...`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *error: object) -> None:
        self.give_back()

    def take(self) -> None:
        """Make the folder when it is missing and lock it; refuses a foreign, newer or busy one."""
        top = self.settings.data_dir
        try:
            _require_ours(top)
            top.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._take_lock(top / "lock")
            for folder in self._layout():
                folder.mkdir(mode=0o700, exist_ok=True)
            if not (top / "FORMAT").exists():
                _write_format(top / "FORMAT")
        except OSError as error:
            self.give_back()
            raise _unwritable(top, error) from None

    def give_back(self) -> None:
        """Unlock; the folder stays."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _layout(self) -> list[Path]:
        s = self.settings
        return [s.objects_dir, s.keeper_dir, s.evidence_dir, s.secrets_dir, s.logs_dir, s.temp_dir, s.backups_dir]

    def _take_lock(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise DataFolderInUse(
                f"another Sealwire is running on {file.parent}; stop it, or choose another folder with --data"
            ) from None
        self._lock = descriptor


def require_made(top: Path) -> None:
    """DataFolderMissing, DataFolderForeign or DataFolderNewer when no cloud of ours was ever started here."""
    _require_ours(top)
    if not (top / "FORMAT").exists():
        raise DataFolderMissing(
            f"{top} is no data folder of Sealwire; name the one that `sealwire up` was started with by --data"
        )


def require_possible(top: Path) -> None:
    """Refuse what `DataFolder.take` would refuse of this path, and leave everything as it is."""
    try:
        _require_ours(top)
        missing = [folder for folder in (top, *top.parents) if not folder.exists()]
        top.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in missing:
            folder.rmdir()
        existing = missing[-1].parent if missing else top
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(existing))
    except OSError as error:
        raise _unwritable(top, error) from None


def _unwritable(top: Path, error: OSError) -> DataFolderUnwritable:
    reason = (error.strerror or str(error)).lower()
    return DataFolderUnwritable(
        f"{top} cannot be made or written ({reason}); make it and give it to this user, or choose another folder with"
        " --data"
    )


def _require_ours(top: Path) -> None:
    if not top.exists():
        return
    if not top.is_dir():
        raise DataFolderForeign(f"{top} is not a folder; choose another one with --data")
    try:
        text = (top / "FORMAT").read_text().strip()
    except FileNotFoundError:
        foreign = sorted(entry.name for entry in top.iterdir() if entry.name not in _BEFORE_US | {"lock"})
        if foreign:
            raise DataFolderForeign(
                f"{top} holds {foreign[0]} and was not made by Sealwire; choose an empty folder with --data"
            ) from None
        return
    if not text.isdecimal():
        raise DataFolderForeign(f"{top}/FORMAT does not hold a number; this is not a data folder of Sealwire")
    if int(text) > FORMAT_VERSION:
        raise DataFolderNewer(
            f"{top} has format {text} and this version knows {FORMAT_VERSION}: it was made by a newer version of "
            "Sealwire; start that version, or choose another folder with --data"
        )


def _write_format(file: Path) -> None:
    unfinished = file.with_name("FORMAT.unfinished")
    unfinished.write_text(f"{FORMAT_VERSION}\n")
    unfinished.chmod(0o600)
    unfinished.replace(file)
