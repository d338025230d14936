"""SQL lives in files beside its room; this reads `-- name: x` blocks of a `queries.sql`."""

from __future__ import annotations

import re
from importlib.resources import files


class Queries:
    """The statements of one room, each an attribute."""

    def __init__(self, statements: dict[str, str]) -> None:
        self._statements = statements

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            raise AttributeError(f"no statement is named {name}") from None


def load_queries(package: str, file: str = "queries.sql") -> Queries:
    """Read the named statements of a room; two of one name are an error."""
    statements: dict[str, str] = {}
    for block in re.split(r"^-- name: *", (files(package) / file).read_text(), flags=re.MULTILINE)[1:]:
        name, _, body = block.partition("\n")
        if name.strip() in statements:
            raise ValueError(f"{package}/{file} has two statements named {name.strip()}")
        statements[name.strip()] = body.strip().rstrip(";")
    return Queries(statements)
