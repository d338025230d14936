"""A stranger follows docs/howto/add-a-category.md: one file, and the category is everywhere, in a copy of the tree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HOWTO = ROOT / "docs/howto/add-a-category.md"
NAME = "parking-ticket"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a cloud started from a tree with that one file more says of the new category."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__"))
    text = HOWTO.read_text()
    wanted = re.search(r"`(src/sealwire/custody/categories/\w+\.py)`", text)
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert wanted is not None
    assert code is not None
    (tree / wanted[1]).write_text(code[1])
    paths = [tree / "src", ROOT / "verifier/src", ROOT / "sdk/src", ROOT]
    done = subprocess.run(
        [sys.executable, "-m", "tests.promises.added_category", NAME], cwd=tree, capture_output=True, text=True,
        timeout=300, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_it_is_stored_and_opened_found_by_number_and_erased(told: dict[str, Any]) -> None:
    assert told["life"] == {"opened": True, "found": True, "hidden": True, "state": "removed"}


def test_its_table_has_the_columns_it_declares_and_no_sealed_one(told: dict[str, Any]) -> None:
    assert {"paid_at", "cents", "sealed", "commitment"} <= set(told["columns"])
    assert not {"payer", "plate"} & set(told["columns"])


def test_it_has_a_permission_and_a_period(told: dict[str, Any]) -> None:
    assert (told["permission"], told["period"]) == ("parking-ticket:open", 40)


def test_it_has_bounds_and_is_counted_in_preview_and_calendar(told: dict[str, Any]) -> None:
    assert (told["retention"]["days_default"], told["retention"]["days_min"], told["retention"]["days_max"]) == (
        40, 28, 180,
    )  # fmt: skip
    assert told["preview"]["refused"] is None
    assert [line["records"] for line in told["calendar"] if line["category"] == NAME] == [1]


def test_it_is_in_the_inventory_the_register_the_policy_and_the_page(told: dict[str, Any]) -> None:
    assert (told["inventory"]["records"], told["inventory"]["retention_days"]) == (1, 40)
    assert (told["register"]["article"], told["register"]["data_subjects"]) == ("30(2)", "payer, plate")
    assert told["policy"] == ["40 days after it paid; the customer may choose 28 to 180 days"]
    assert told["page"]


def test_the_tree_without_the_file_does_not_know_it() -> None:
    assert NAME not in (ROOT / "docs/categories.md").read_text()
