"""What breaks an erasure for a trial is in no process of a cloud, and works on no folder but a sweep's own."""

from __future__ import annotations

import ast
import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import pytest

import sealwire
from sealwire.config import Settings
from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.categories.codec import pack_sealed
from sealwire.doors.sweep.bad_keeper import FAULTS
from sealwire.doors.sweep.canaries import Canaries
from sealwire.doors.sweep.mutants import ATTACKED, KEEPERS, ON_S3, SWEPT
from sealwire.doors.sweep.run import ways_of
from sealwire.doors.sweep.scratch import MARK, NotScratch, require_scratch
from sealwire.vocabulary import CallId, Party

SOURCE = Path(sealwire.__file__).parent
APART = SOURCE / "doors" / "sweep"
ALL = (*KEEPERS, *ATTACKED, *SWEPT)


def test_nothing_but_its_own_command_imports_the_sweep() -> None:
    importers = {
        file.relative_to(SOURCE)
        for file in SOURCE.rglob("*.py")
        if not file.is_relative_to(APART) and any("doors.sweep" in name for name in imports_of(file))
    }
    assert importers == {Path("doors/commands/sweep.py")}


def test_there_are_more_than_eight_faults_and_each_has_its_own_name() -> None:
    names = [mutant.name for mutant in (*ALL, *ON_S3)]
    assert len(ALL) >= 8
    assert len(set(names)) == len(names)
    assert {mutant.fault for mutant in KEEPERS} | {"nothing"} == set(FAULTS)


@pytest.mark.parametrize("program", [("bad_keeper", "keep_the_old_epoch"), ("sealer",)])
def test_a_folder_that_no_sweep_made_is_refused(program: tuple[str, ...], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"sealwire.doors.sweep.{program[0]}", *program[1:], "--data", str(tmp_path / "data")],
        capture_output=True, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.returncode != 0
    assert b"was not made by a sweep" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_folder_is_scratch_only_beside_the_mark(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with pytest.raises(NotScratch):
        require_scratch(settings)
    (tmp_path / MARK).touch()
    require_scratch(settings)


@pytest.mark.parametrize("category", CATALOGUE, ids=lambda category: category.name)
def test_every_category_is_made_up_from_its_declaration_alone(category: Category) -> None:
    canaries, at, call = Canaries(bytes(32)), dt.datetime.now(dt.UTC), CallId.new()
    one, again = (canaries.values(category, 7, at=at, call=call) for _ in range(2))
    sealed = [field.name for field in category.sealed_fields]
    assert [one[name] for name in sealed] == [again[name] for name in sealed]  # both ends make the same
    assert pack_sealed(category, category.record(**one))
    assert canaries.patterns(category, 7, subject="x")
    assert "record" in ways_of(category)


def test_no_two_made_up_people_share_a_number() -> None:
    canaries = Canaries(bytes(32))
    numbers = [Party(canaries.number(serial, party)) for serial in range(1, 900) for party in range(4)]
    assert len(set(numbers)) == len(numbers)


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found
