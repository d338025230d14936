"""Backups and objects lie apart: a backup among the objects would pack every backup before it, and itself."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlsplit

from sealwire.config import Settings
from sealwire.custody.backups.refusals import BackupTargetUnusable

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_PORTS = {"http": 80, "https": 443}


def require_apart(settings: Settings, target: str = "") -> None:
    """BackupTargetUnusable when this target, or that of the settings, is where the objects are: bucket or folder.

    The whole bucket is refused, whatever the prefix: objects are listed from its root, and what empties one must
    never reach the other. What was taken there before can still be read.
    """
    where = target or settings.backup_target
    if where.startswith("s3://"):
        bucket = where.removeprefix("s3://").partition("/")[0]
        if settings.objects_endpoint and bucket == settings.objects_bucket and _is_same_service(settings):
            raise BackupTargetUnusable(
                f"{where} is in the bucket of the objects, so each backup would hold all backups before it; set "
                "backup_target (or --to) to another bucket, s3://OTHER-BUCKET/PREFIX. Nothing was written"
            )
    elif where and not settings.objects_endpoint:
        folder, objects = Path(where).resolve(), settings.objects_dir.resolve()
        if folder == objects or objects in folder.parents:
            raise BackupTargetUnusable(
                f"{where} is in the folder of the objects, so each backup would hold all backups before it; set "
                f"backup_target (or --to) to a folder outside {objects}. Nothing was written"
            )


def _is_same_service(settings: Settings) -> bool:
    """By host and port; what cannot be read is refused by whoever opens the target."""
    try:
        told = json.loads((settings.secrets_dir / "backup-target.json").read_text())["endpoint"]
        return _place(str(told)) == _place(settings.objects_endpoint)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _place(endpoint: str) -> tuple[str, int | None]:
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    return "loopback" if host in _LOOPBACK else host, parts.port or _PORTS.get(parts.scheme)
