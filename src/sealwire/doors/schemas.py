"""Which rooms keep tables, in the order in which their schema files are applied."""

from __future__ import annotations

from sealwire.custody.storage import derived_schema
from sealwire.ground.postgres.schema import Migration, migrations_of

ROOMS = ("ground", "evidence", "governance", "custody", "communications")


def all_migrations() -> list[Migration]:
    """The schema files of the whole house, room by room, then what the categories derive."""
    written = [migration for room in ROOMS for migration in migrations_of(room, f"sealwire.{room}")]
    return written + [Migration("custody", file, sql, is_derived=True) for file, sql in derived_schema()]
