"""What no store and no memory holds is searched too: files that are open and removed, or elsewhere, and swap."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from sealwire.custody.forensics.beside import core_bytes_max, search_beside, swap_devices
from sealwire.custody.forensics.matcher import Matcher
from sealwire.custody.forensics.patterns import text_patterns

TOKEN = "QZ7K2MPN4TXWQZ7K2MPN4TXW"
SWAPS = "Filename Type Size Used Priority\n/swap\\040file file 1048572 0 -2\n/dev/zram0 partition 8 0 1\n"


def places(*searched: Path) -> list[str]:
    report = search_beside(Matcher(text_patterns(TOKEN, subject="token")), [os.getpid()], searched=searched)
    assert report.control_hits > 0
    assert "files held open" not in report.missed
    return report.places


def test_a_file_that_is_removed_and_still_open_is_searched() -> None:
    assert places() == []
    with tempfile.TemporaryFile() as removed:
        removed.write(b"...." + TOKEN.encode())
        removed.flush()
        assert any("token: raw" in place for place in places())
    assert places() == []


def test_a_file_that_is_written_to_outside_the_stores_is_searched_and_one_inside_is_left_to_them(
    tmp_path: Path,
) -> None:
    with (tmp_path / "log").open("wb") as log:
        log.write(TOKEN.encode())
        log.flush()
        assert any(str(tmp_path / "log") in place for place in places())
        assert places(tmp_path) == []


def test_swap_is_known_from_the_kernels_list() -> None:
    assert swap_devices(SWAPS) == [(Path("/swap file"), 1048572 << 10), (Path("/dev/zram0"), 8 << 10)]
    assert swap_devices(SWAPS.splitlines()[0]) == []


def test_a_process_that_may_leave_a_core_dump_is_told() -> None:
    for limit, is_told in ((0, False), (1 << 20, True)):
        with subprocess.Popen(["prlimit", f"--core=0:{limit}", "sleep", "60"], stdout=subprocess.DEVNULL) as process:
            while Path(f"/proc/{process.pid}/comm").read_text().strip() != "sleep":
                time.sleep(0.01)
            assert core_bytes_max(process.pid) == str(limit)
            report = search_beside(Matcher(text_patterns(TOKEN, subject="token")), [process.pid], searched=[])
            assert bool(report.missed) is is_told
            process.kill()
