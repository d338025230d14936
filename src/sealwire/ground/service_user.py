"""Who runs the database: PostgreSQL refuses root, so root hands it to a system user that owns nothing else."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sealwire.errors import Refused

_PREFERRED = "sealwire"
_FALLBACKS = ("postgres", "nobody")


class NoServiceUser(Refused):
    """Root may not run the database and no system user for it could be made; run as an ordinary user instead."""


class FolderOutOfReach(Refused):
    """The database user cannot enter the data folder; choose another one with --data."""


@dataclass(frozen=True, slots=True)
class ServiceUser:
    """The user the database runs as; the running user itself unless that is root."""

    name: str
    uid: int
    gid: int

    @property
    def is_other(self) -> bool:
        """Whether starting the database means changing user."""
        return self.uid != os.getuid()


def service_user(owned: Path | None = None) -> ServiceUser:
    """The database user: owner of what is there already, else `sealwire` (made when it is missing)."""
    if os.getuid() != 0:
        me = pwd.getpwuid(os.getuid())
        return ServiceUser(me.pw_name, os.getuid(), os.getgid())
    if owned is not None and owned.exists() and (uid := owned.stat().st_uid) != 0:
        return _by_uid(uid, owned.stat().st_gid)
    return _named(_PREFERRED) or _made() or next(filter(None, map(_named, _FALLBACKS)), None) or _none()


def first_closed_folder(path: Path, user: ServiceUser) -> Path | None:
    """The first folder on the way to `path`, itself included, that `user` may not enter; None when it can."""
    for folder in [*reversed(path.parents), path]:
        try:
            status = folder.stat()
        except FileNotFoundError:
            return None
        if not _may_enter(status, user):
            return folder
    return None


def require_reach(path: Path, user: ServiceUser) -> None:
    """Refuse a folder below one that the database user cannot enter, naming both."""
    if (closed := first_closed_folder(path, user)) is not None:
        raise FolderOutOfReach(
            f"the database runs as user {user.name}, which cannot enter {closed}; "
            "choose a folder that it can reach, for example --data /var/lib/sealwire"
        )


def _may_enter(status: os.stat_result, user: ServiceUser) -> bool:
    if status.st_uid == user.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == user.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _named(name: str) -> ServiceUser | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return ServiceUser(name, entry.pw_uid, entry.pw_gid)


def _by_uid(uid: int, gid: int) -> ServiceUser:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return ServiceUser(str(uid), uid, gid)
    return ServiceUser(entry.pw_name, uid, entry.pw_gid)


def _made() -> ServiceUser | None:
    program = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
    if program is None:
        return None
    command = [program, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    made = subprocess.run([*command, "--shell", "/usr/sbin/nologin", _PREFERRED], capture_output=True, check=False)
    return _named(_PREFERRED) if made.returncode in (0, 9) else None


def _none() -> ServiceUser:
    raise NoServiceUser
