"""The main job: one real round from ring to verified erasure, checked by its own figures; and a Ctrl-C half way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
SOURCES = (ROOT / "src", ROOT / "verifier" / "src", ROOT / "sdk" / "src")
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, SOURCES))}
PROMISED = {
    "sweep_hits": 0,
    "old_vault_readable": False,
    "restored_erased_readable": False,
    "restored_kept_readable": True,
    "full_snapshot_readable": True,
    "certificate_verified": True,
    "tampered_certificate_refused": True,
    "rest_call": True,
    "age_opened": True,
    "sealed_media_played": True,
    "uas_call": True,
    "sms_receipt": True,
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the database's user can reach."""
    made = Path(tempfile.mkdtemp(prefix="sealwire-demo-test-"))
    made.chmod(0o755)
    yield made / "demo"
    shutil.rmtree(made, ignore_errors=True)


def demo(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "sealwire.doors.cli", "demo", "--json", "--data", str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True,
    )  # fmt: skip


def left_running(folder: Path) -> list[str]:
    """Command lines of processes that know this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_the_demo_comes_out_as_promised(folder: Path) -> None:
    process = demo(folder)
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    steps = [json.loads(line) for line in out.splitlines()]
    assert [step["step"] for step in steps] == [*range(13), "end"]
    figures = steps[-1]
    assert {name: figures[name] for name in PROMISED} == PROMISED
    assert figures["audio_correlation"] >= 0.9
    assert figures["control_hits"] > 0
    assert figures["e1_seconds"] <= 2
    assert figures["idle_memory_mb"] < 400
    assert left_running(folder) == []


@pytest.mark.parametrize("seconds", [0.0, 8.0, 30.0])
def test_ctrl_c_half_way_leaves_nothing_running(folder: Path, seconds: float) -> None:
    process = demo(folder)
    ends_s = time.monotonic() + 30
    while not folder.exists() and time.monotonic() < ends_s:  # until then it only loads itself
        time.sleep(0.02)
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is left running" in err
    assert left_running(folder) == []
