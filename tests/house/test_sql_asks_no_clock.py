"""No statement asks the database what time it is: times are parameters, from the one clock that a test can set."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CLOCKS = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(|"
    r"\b(current_date|current_time|current_timestamp|localtime|localtimestamp)\b",
    re.IGNORECASE,
)
COMMENT = re.compile(r"--[^\n]*")
STATEMENT = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER)\b")
SQL_FILES = sorted(ROOT.glob("src/**/*.sql"))
CODE = sorted(ROOT.glob("src/sealwire/**/*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def clocks_in(statement: str) -> list[str]:
    return [found[0] for found in CLOCKS.finditer(COMMENT.sub("", statement))]


def statements_in(path: Path) -> list[str]:
    """Every text of a module that has a word of SQL in capitals."""
    constants = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return [text for text in constants if isinstance(text, str) and STATEMENT.search(text)]


@pytest.mark.parametrize("path", SQL_FILES, ids=name_of)
def test_no_file_of_statements_asks_the_database_for_the_time(path: Path) -> None:
    assert clocks_in(path.read_text()) == []


@pytest.mark.parametrize("path", CODE, ids=name_of)
def test_no_statement_in_the_code_asks_the_database_for_the_time(path: Path) -> None:
    assert [clocks_in(text) for text in statements_in(path) if clocks_in(text)] == []


def test_a_statement_that_asks_is_found() -> None:
    asks = "DELETE FROM x WHERE due < now() -- and not\n"
    assert clocks_in(asks) == ["now("]
    assert clocks_in("SELECT CURRENT_DATE") == ["CURRENT_DATE"]
    assert clocks_in("-- never now()\nSELECT started_at, knowledge FROM x WHERE at < $1") == []
