"""Tests run beside each other without meeting: ports of one's own, and the machine alone for who measures."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests import ports
from tests.turns import turn

ROOT = Path(__file__).parents[2]
CONFTEST = """
import pathlib
from tests.turns import Turns
HERE = pathlib.Path(__file__).parent
def pytest_configure(config):
    config.addinivalue_line("markers", "alone")
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Turns(HERE / "test_alone.py", HERE / "test_beside.py"))  # not this run's own
"""
ALONE = """
import pathlib, time, pytest
HERE = pathlib.Path(__file__).parent / "in"
@pytest.mark.alone
def test_alone():
    HERE.touch()
    time.sleep(1.5)
    HERE.unlink()
"""
BESIDE = """
import pathlib, time, pytest
HERE = pathlib.Path(__file__).parent / "in"
@pytest.mark.parametrize("each", range(8))
@pytest.mark.timeout(1)
def test_beside(each):
    time.sleep(0.1)
    assert not HERE.exists()
def test_that_is_skipped():
    pytest.skip("not installed: node")
"""


def test_who_is_alone_meets_nobody_and_waiting_is_no_timeout_and_plugins_reach_the_workers(tmp_path: Path) -> None:
    for name, text in {"conftest": CONFTEST, "test_alone": ALONE, "test_beside": BESIDE}.items():
        (tmp_path / f"{name}.py").write_text(text)
    plugins = ("-p", "xdist.plugin", "-p", "pytest_timeout", "-p", "tests.must_run")
    parallel = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *plugins)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *parallel, "--rootdir", tmp_path, "-c", "/dev/null", "-q", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # it takes seconds to load them
    )  # fmt: skip
    assert "1 failed, 9 passed in" in done.stdout.splitlines()[-1], done.stdout
    assert "must run here, but: " in done.stdout


def test_who_waits_to_be_alone_is_not_overtaken(tmp_path: Path) -> None:
    room, gate, came = tmp_path / "room", tmp_path / "gate", list[str]()
    room.touch()
    gate.touch()
    at_the_gate = threading.Event()

    def enter(name: str, *, alone: bool) -> None:
        at_the_gate.set()
        with turn(alone=alone, room=room, gate=gate):
            came.append(name)

    threads = [
        threading.Thread(target=enter, args=(name,), kwargs={"alone": name == "alone"}) for name in ("alone", "b")
    ]
    with turn(alone=False, room=room, gate=gate):
        for thread in threads:
            at_the_gate.clear()
            thread.start()
            assert at_the_gate.wait(5)
            thread.join(0.3)
        assert came == []
    for thread in threads:
        thread.join(5)
    assert came == ["alone", "b"]


def test_two_who_are_not_alone_are_in_together(tmp_path: Path) -> None:
    room, gate = tmp_path / "room", tmp_path / "gate"
    room.touch()
    gate.touch()
    with turn(alone=False, room=room, gate=gate), turn(alone=False, room=room, gate=gate):
        pass


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_workers_share_the_ports_and_no_two_have_the_same(workers: int) -> None:
    shares = [ports.share_of(f"gw{each}", workers) for each in range(workers)]
    every = [port for share in shares for port in share]
    assert len(every) == len(set(every)) > 4900
    assert min(every) >= ports.FIRST
    assert max(every) < ports.END


def test_ports_that_are_taken_are_free_in_a_row_and_not_those_taken_before() -> None:
    first = ports.take(40)
    with socket.create_server(("127.0.0.1", first)):
        assert not ports.is_free(first)
        second = ports.take(40)
    assert not set(range(first, first + 40)) & set(range(second, second + 40))
    assert all(ports.is_free(second + each) for each in range(40))
