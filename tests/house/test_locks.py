"""What is installed is exactly what was locked, and no file names where packages come from."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements/*.lock"))
# An address of a package index or mirror belongs to a machine, not to the project.
INDEX = re.compile(
    r"--(?:extra-)?index-url|--find-links|--trusted-host|/simple/[a-z]|pypi\.org/simple|files\.pythonhosted"
)
SELF = Path(__file__).name


def requirements(lock: Path) -> list[str]:
    """The logical lines of a lock, continuation lines joined."""
    joined = re.sub(r"\\\n", " ", lock.read_text())
    return [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def committed_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("this is not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_line_of_a_lock_has_one_version_and_its_hashes(lock: Path) -> None:
    lines = requirements(lock)
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==\S+ ", line), line[:80]
        assert "--hash=sha256:" in line, line[:80]


def _named(line: str) -> str:
    """The package of a line, as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", re.split(r"[=<>\[]", line, maxsplit=1)[0]).lower()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_wanted_package_is_in_its_lock(lock: Path) -> None:
    inputs = {ROOT / "requirements/run.in", lock.with_suffix(".in")}
    wanted = "\n".join(path.read_text() for path in inputs).splitlines()
    locked = {_named(line) for line in requirements(lock)}
    for line in wanted:
        if line and line[0] not in "#-":
            assert _named(line) in locked


def test_tests_run_on_the_versions_that_are_shipped() -> None:
    run, dev = (
        {line.split(" ", 1)[0] for line in requirements(ROOT / f"requirements/{name}.lock")} for name in ("run", "dev")
    )
    assert run - dev == set()


def test_no_file_names_a_package_index() -> None:
    naming = []
    for path in committed_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        if path.name != SELF and INDEX.search(text):
            naming.append(str(path.relative_to(ROOT)))
    assert naming == []
