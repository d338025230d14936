"""The rules of the house that no linter knows: one clock, SQL in files, the words we chose."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("src/**/*.py"), *ROOT.glob("verifier/src/**/*.py"), *ROOT.glob("sdk/src/**/*.py")])
SERVICE = sorted(ROOT.glob("src/sealwire/**/*.py"))
STATEMENT_FILES = sorted(path for path in ROOT.glob("src/**/*.sql") if "schema" not in path.parent.name)
FORBIDDEN_WORDS = {"tenant", "tenants", "utils", "helpers", "shred", "nuke", "purge", "blacklist", "whitelist"}
SQL = re.compile(
    r"^\s*(SELECT\s.*\sFROM|SELECT\s+\w+\(|INSERT\s+INTO|UPDATE\s+\S+\s+SET|DELETE\s+FROM|ALTER\s+\w+|CREATE\s+\w+)\s?",
    re.IGNORECASE | re.DOTALL,
)
SQL_BUILT_IN_CODE = {
    "src/sealwire/custody/storage.py": "statements are made from the categories' declarations, never from input",
    "src/sealwire/ground/postgres/cluster.py": "single-user mode takes no parameters; the verifier is base64",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def sql_built_in(path: Path) -> list[int]:
    """Lines with an f-string that begins as a statement does."""
    return [
        node.lineno
        for node in nodes(path)
        if isinstance(node, ast.JoinedStr)
        and node.values
        and isinstance(node.values[0], ast.Constant)
        and SQL.match(str(node.values[0].value))
    ]


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text()))


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    assert path.stat().st_size == 0 or ast.get_docstring(ast.parse(path.read_text())), f"{name_of(path)}: no docstring"


@pytest.mark.parametrize("path", [path for path in SERVICE if path.name != "clock.py"], ids=name_of)
def test_only_the_clock_asks_the_machine_for_the_date(path: Path) -> None:
    asked = [
        node.lineno
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and node.attr in {"now", "utcnow", "today"}
        and re.fullmatch(r"(dt\.|datetime\.)?(datetime|date)", ast.unparse(node.value))
    ]
    assert not asked, f"{name_of(path)}:{asked}: take a Clock and ask that, so that years can be run in a test"


@pytest.mark.parametrize("path", SERVICE, ids=name_of)
def test_sql_is_not_put_together_from_pieces(path: Path) -> None:
    built = [] if name_of(path) in SQL_BUILT_IN_CODE else sql_built_in(path)
    assert not built, f"{name_of(path)}:{built}: name the statement in queries.sql and pass parameters"


def test_every_exception_to_the_sql_rule_is_still_needed() -> None:
    assert [name for name in SQL_BUILT_IN_CODE if not sql_built_in(ROOT / name)] == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_names_use_the_words_of_the_trade(path: Path) -> None:
    names = set(path.relative_to(ROOT).with_suffix("").parts)
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Name):
            names.add(node.id)
    words = {word.lower() for name in names for word in re.findall(r"[A-Z]?[a-z]+", name)}
    assert not words & FORBIDDEN_WORDS, f"{name_of(path)}: {words & FORBIDDEN_WORDS} is not a word of this house"


@pytest.mark.parametrize("path", STATEMENT_FILES, ids=name_of)
def test_every_named_statement_is_used(path: Path) -> None:
    named = re.findall(r"^-- name: *(\S+)", path.read_text(), re.MULTILINE)
    code = "\n".join(source.read_text() for source in SERVICE)
    unused = [name for name in named if not re.search(rf"\.{re.escape(name)}\b", code)]
    assert named, f"{name_of(path)} names no statement"
    assert not unused, f"{name_of(path)}: nobody uses {unused}"


@pytest.mark.parametrize("path", [*STATEMENT_FILES, *sorted(ROOT.glob("src/**/schema/*.sql"))], ids=name_of)
def test_rules_in_sql_take_the_time_as_a_parameter(path: Path) -> None:
    text = re.sub(r"--.*", "", path.read_text())
    asked = re.findall(r"\b(?:now\(\)|current_date|current_timestamp|clock_timestamp\(\))", text, re.IGNORECASE)
    assert not asked, f"{name_of(path)}: {asked}: the database's clock is not the clock of the house"
