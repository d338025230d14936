"""Operational tables: what the service needs to run and no category claims, column by column, with the reason.

Every table and column of every schema stands in a category's declaration or in `operational.toml` beside this file; a
test asks the database's own catalogue. A column named without a reason holds ids, counts, times or flags by its type.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files

from sealwire.custody.categories import CATALOGUE, Category

STATE = "a word of a list that is checked"
CLOSED_TYPES = frozenset(
    {
        "uuid", "uuid[]", "boolean", "integer", "smallint", "bigint", "double precision", "date",
        "timestamp with time zone",
    }
)  # fmt: skip
"""Types that hold ids, counts and times. What holds a number as a count is the sweep's to find."""

_STORAGE = {"account_id", "record_id", "retention_class", "day", "slot", "kept_at", "sealed", "commitment"}
_MEDIA = {"object_name", "media_bytes"}


@dataclass(frozen=True, slots=True)
class Table:
    """One table that is no category's: what it is for, its columns of closed types, a reason for each other column."""

    why: str
    closed: frozenset[str]
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> frozenset[str]:
        return self.closed | self.said.keys()


def operational() -> dict[str, Table]:
    """The list, by `schema.table`."""
    document = tomllib.loads((files(__package__) / "operational.toml").read_text())
    return {name: _table(dict(entry)) for name, entry in document.items()}


def columns_of(category: Category) -> frozenset[str]:
    """The columns a declaration asks for: those of every record, and its plain fields."""
    plain = {each.name for each in category.plain_fields}
    return frozenset(_STORAGE | plain | (_MEDIA if category.has_media else set()))


def claimed() -> dict[str, frozenset[str]]:
    """Every table and column somebody answers for."""
    of_categories = {f"custody.{category.table}": columns_of(category) for category in CATALOGUE}
    return of_categories | {name: table.columns for name, table in operational().items()}


def _table(entry: dict[str, str]) -> Table:
    why, closed = entry.pop("why"), frozenset(entry.pop("closed", "").split())
    return Table(why, closed, {column: reason for reason, columns in entry.items() for column in columns.split()})
