"""Where every program can be installed, a test that is skipped for a missing one does not count as passed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.must_run import OF_THE_MACHINE
from tests.smsc.centre import own_folder

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest

@pytest.mark.skipif(True, reason="SIPp is not installed (Debian: sip-tester)")
def test_marked(): ...

def test_within(): pytest.skip({reason!r})

@pytest.mark.xfail
def test_expected(): assert False

def test_run(): ...
"""


def run(folder: Path, reason: str, *options: str) -> str:
    (folder / "test_some.py").write_text(TESTS.format(reason=reason))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", folder, "-c", "/dev/null", "-q", folder],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    return done.stdout.splitlines()[-1]


def test_a_skip_for_a_missing_program_fails_and_one_of_the_machine_does_not(tmp_path: Path) -> None:
    assert "1 passed, 2 skipped, 1 xfailed" in run(tmp_path, "needs mount")
    assert "1 failed, 1 passed, 1 xfailed, 1 error" in run(tmp_path, "not installed: node", "-p", "tests.must_run")
    assert "1 passed, 1 skipped, 1 xfailed, 1 error" in run(tmp_path, OF_THE_MACHINE[0], "-p", "tests.must_run")


def test_the_gate_says_so_when_it_is_root() -> None:
    assert '[ "$(id -u)" != 0 ] || must_run=(-p tests.must_run)' in (ROOT / ".ci/run").read_text()


def test_what_the_message_centre_loads_lies_in_a_folder_of_ours_alone(tmp_path: Path) -> None:
    made = own_folder(tmp_path / "smsc")
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert own_folder(made) == made
    made.chmod(0o777)
    with pytest.raises(PermissionError, match="not this user's alone"):
        own_folder(made)
    (tmp_path / "link").symlink_to("/tmp")
    with pytest.raises(PermissionError):
        own_folder(tmp_path / "link")


def test_without_a_writable_checkout_it_is_a_folder_of_this_run() -> None:
    made = own_folder(Path("/dev/null/smsc"))
    assert (stat.S_IMODE(made.stat().st_mode), made.stat().st_uid) == (0o700, os.getuid())
    made.rmdir()
