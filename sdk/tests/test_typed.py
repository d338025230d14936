"""What the pages and examples show is code that a strict type checker takes, against the SDK as it is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(ROOT.glob("examples/**/*.py"))
WRONG = """
from sealwire_sdk.client import Sealwire
from sealwire_sdk.client.models import Say

with Sealwire() as cloud:
    cloud.create_service(name="x", logic=Say(text="x"), direction="sideways")
    cloud.create_service(name="x")
"""


def check(folder: Path, *files: Path) -> str:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--explicit-package-bases",
        "--follow-imports=silent",
        "--config-file",
        "/dev/null",
    ]
    done = subprocess.run(
        [*command, "--cache-dir", str(folder / "cache"), *map(str, files)], cwd=ROOT, text=True, capture_output=True,
        env={"MYPYPATH": f"{ROOT}/sdk/src:{folder}", "PATH": ""}, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.mark.slow
def test_everything_that_is_shown_is_typed(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "sdk/README.md").read_text(), re.DOTALL)
    assert len(blocks) >= 5
    shown = [tmp_path / f"shown_{number}.py" for number in range(len(blocks))]
    for file, block in zip(shown, blocks, strict=True):
        file.write_text(block)
    assert "Success: no issues found" in check(tmp_path, *shown, *EXAMPLES)


@pytest.mark.slow
def test_what_the_api_would_refuse_the_type_checker_refuses_first(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG)
    said = check(tmp_path, tmp_path / "wrong.py")
    assert 'incompatible type "Say"' in said
    assert "sideways" in said
    assert 'Missing named argument "logic"' in said
