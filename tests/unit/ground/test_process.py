"""Children die with their parent, are stopped politely first, and tell in one sentence how they ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sealwire.ground.process import Child, ChildFailed, descendants, proportional_bytes


def python(code: str, tmp_path: Path, **more: object) -> Child:
    return Child(name="helper", command=[sys.executable, "-c", code], log=tmp_path / "helper.log", **more)  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_an_exit_code_is_told_in_one_sentence_with_the_last_words(tmp_path: Path) -> None:
    child = python("import sys; sys.exit('the port is taken')", tmp_path)
    child.start()
    assert await child.wait() == 1
    assert child.obituary().startswith("helper stopped with exit code 1: the port is taken")


async def test_a_signal_is_told_by_its_name(tmp_path: Path) -> None:
    child = python("import os; os.kill(os.getpid(), 9)", tmp_path)
    child.start()
    await child.wait()
    assert "helper was ended by SIGKILL" in child.obituary()


async def test_a_child_that_ends_before_it_is_ready_fails_the_start(tmp_path: Path) -> None:
    child = python("raise SystemExit('no')", tmp_path)
    child.start()
    with pytest.raises(ChildFailed, match="helper stopped with exit code 1: no"):
        await child.until_ready(lambda: False, seconds=20)


async def test_a_child_that_does_not_listen_to_sigterm_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = f"import signal, time; signal.signal(15, signal.SIG_IGN); open({str(ready)!r}, 'w'); time.sleep(60)"
    child = python(code, tmp_path, stop_seconds=0.3)
    child.start()
    await child.until_ready(ready.exists, seconds=20)
    started = time.monotonic()
    await child.stop()
    assert time.monotonic() - started < 5
    assert not child.is_running


async def test_stopping_twice_or_before_the_start_is_no_error(tmp_path: Path) -> None:
    child = python("import time; time.sleep(60)", tmp_path)
    await child.stop()
    child.start()
    await asyncio.gather(child.stop(), child.stop())
    assert not child.is_running


def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from sealwire.ground.process import Child
import sys
command = [sys.executable, "-c", "import time; time.sleep(60)"]
child = Child(name="c", command=command, log=Path({str(tmp_path / "c.log")!r}))
child.start()
print(child.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(pid)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    child = Child(name="helper", command=["/nonexistent/program"], log=tmp_path / "helper.log")
    with pytest.raises(ChildFailed, match="/nonexistent/program"):
        child.start()


def test_the_log_is_closed_to_others_and_never_a_link(tmp_path: Path) -> None:
    child = python("print('x')", tmp_path)
    child.start()
    assert child.log.stat().st_mode & 0o777 == 0o600
    (tmp_path / "link.log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        Child(name="linked", command=["/bin/true"], log=tmp_path / "link.log").start()
    asyncio.run(child.stop())


async def test_memory_and_descendants_of_this_process_are_found(tmp_path: Path) -> None:
    child = python("import time; time.sleep(60)", tmp_path)
    child.start()
    try:
        assert child.pid in descendants(os.getpid())
        assert proportional_bytes([os.getpid()]) > 1 << 20
        assert proportional_bytes([1 << 22]) == 0
    finally:
        await child.stop()
