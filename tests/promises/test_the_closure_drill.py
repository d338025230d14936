"""`sealwire closure --drill`: what it prints is what scripts read, and its exit code says whether all of it held."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "sealwire.doors.cli", "closure"]


@pytest.mark.slow
def test_the_quick_drill_holds_in_under_a_minute_and_says_what_it_compared() -> None:
    done = subprocess.run([*COMMAND, "--drill", "--quick", "--json"], capture_output=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["ok"] is True
    assert (last["found"], last["opened"]) == (0, 0)
    assert last["rows"] == last["allowed"] > 0
    assert last["tables"] >= 30
    assert last["in_backup"] == last["control_opened"] == last["neighbour_opened"] > 20
    assert last["seconds"] < 60


def test_without_the_drill_it_says_where_closing_is_done() -> None:
    done = subprocess.run(COMMAND, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"close-an-account.md" in done.stderr
