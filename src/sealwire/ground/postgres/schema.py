"""The migration runner: plain SQL files, room by room, each applied once and never changed afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Any

import asyncpg

from sealwire.errors import Broken, Refused
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.queries import load_queries

_queries = load_queries(__package__, "schema.sql")


class DatabaseNewer(Refused):
    """The database was made by a newer version of Sealwire; start that version, or restore an older backup."""


class MigrationChanged(Broken):
    """A schema file was changed after it was applied; put the old text back and add a new file."""


class MigrationOutOfOrder(Broken):
    """A schema file was put before one that is applied already; give it a higher number."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One schema file of one room."""

    room: str
    file: str
    sql: str
    is_derived: bool = False
    """Derived from declarations in the code: repeatable, and applied again whenever its text changes."""

    @property
    def digest(self) -> bytes:
        return sha256(self.sql.encode()).digest()


def migrations_of(room: str, package: str) -> list[Migration]:
    """The files of a room's `schema` folder in order; none when the room keeps nothing in the database."""
    folder = files(package) / "schema"
    if not folder.is_dir():
        return []
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [Migration(room, name, (folder / name).read_text()) for name in names]


async def migrate(connection: asyncpg.Connection[Any], migrations: Sequence[Migration]) -> list[Migration]:
    """Apply what is missing, all in one transaction; what was applied now. Refuses a newer or changed database."""
    async with connection.transaction():
        await connection.execute(_queries.lock)
        await connection.execute(_queries.prepare)
        applied = {(row["room"], row["file"]): row["sha256"] for row in await connection.fetch(_queries.applied)}
        missing = _missing(migrations, applied)
        for migration in missing:
            await connection.execute(migration.sql)
            applied_at = SystemClock().now()
            await connection.execute(_queries.record, migration.room, migration.file, migration.digest, applied_at)
    return missing


def _missing(migrations: Iterable[Migration], applied: dict[tuple[str, str], bytes]) -> list[Migration]:
    known = {(migration.room, migration.file): migration for migration in migrations}
    if unknown := sorted(set(applied) - set(known)):
        raise DatabaseNewer(
            f"the database holds {unknown[0][0]}/{unknown[0][1]}, which this version does not know: "
            "it was made by a newer version of Sealwire; start that version, or restore an older backup"
        )
    missing: list[Migration] = []
    for name, migration in known.items():
        if name not in applied:
            missing.append(migration)
        elif migration.is_derived:
            missing += [migration] if applied[name] != migration.digest else []
        elif applied[name] != migration.digest:
            raise MigrationChanged(
                f"{migration.room}/{migration.file} was changed after it was applied; "
                "put the old text back and add a new file"
            )
        elif any(earlier.room == migration.room and not earlier.is_derived for earlier in missing):
            raise MigrationOutOfOrder
    return missing
