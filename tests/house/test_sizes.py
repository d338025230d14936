"""Files and functions stay small enough to be read in one sitting."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = {ROOT / "sdk/src/sealwire_sdk/client" / name for name in ("models.py", "synchronous.py", "asynchronous.py")}
"""Written from the API's document, one method for each operation: to be looked up, not read through."""
MODULES = sorted(
    {*ROOT.glob("src/**/*.py"), *ROOT.glob("verifier/src/**/*.py"), *ROOT.glob("sdk/src/**/*.py")} - GENERATED
)
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*MODULES, *sorted(ROOT.glob("tests/**/*.py"))], ids=name_of)
def test_a_module_has_at_most_400_lines(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MODULE_LINES_MAX, f"{name_of(path)} has {lines} lines: split it by what its parts are for"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_function_has_at_most_60_lines(path: Path) -> None:
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > FUNCTION_LINES_MAX
    }
    assert not long, f"{name_of(path)}: {long}: give its steps names of their own"


def test_there_is_something_to_measure() -> None:
    assert len(MODULES) > 20
