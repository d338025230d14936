"""What can be wrong with a backup, or with the place it is to go to. Each message names the file and the way out."""

from __future__ import annotations

from sealwire.errors import Missing, Refused, Unavailable


class BackupMissing(Missing):
    """There is no backup here: a whole one is a folder with a manifest.json."""


class BackupDamaged(Refused):
    """This backup is not what was made: take another one, and make a new one now."""


class BackupForeign(Refused):
    """This backup is of another installation; it can be used only with the data folder it was made from."""


class BackupTargetFull(Unavailable):
    """The disk that backups go to is full; the half that was written was removed. Make room, then try again."""


class BackupTargetUnusable(Refused):
    """Backups cannot be written to this folder; choose another one."""


class BackupFailed(Unavailable):
    """The backup could not be made; what was written was removed. See the reason, then try again."""


class RestoreFailed(Unavailable):
    """A copy of the backup's database did not start; verify the backup, and try another one."""


class BackupIdentityMissing(Missing):
    """The identity that backups are sealed to is not here; name your copy of it with --identity."""


class RestoreOccupied(Refused):
    """There is a database already; restore into an empty folder, or one whose database and objects were moved away."""


class RestoreRefused(Refused):
    """This restore cannot be reconciled with what was erased and signed since, so nothing is served; see the reason."""


class LedgerMissing(Refused):
    """The erasure ledger is missing or older than the backup, so nobody knows what was erased: nothing is served."""


class BackupUnderWay(Unavailable):
    """Another backup is being made; wait for its end, then try again."""
