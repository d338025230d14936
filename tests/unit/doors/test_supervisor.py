"""The cloud starts in order, and whatever happens, nothing of it is left running."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import ports

from sealwire.config import Settings
from sealwire.doors.readiness import PortTaken
from sealwire.doors.supervisor import API, Cloud, CloudStopped, Part, sip_is_open
from sealwire.errors import Unavailable
from sealwire.ground.process import descendants


class Helper(Part):
    """A process of the test's own instead of one of ours."""

    __slots__ = ()

    @property
    def module(self) -> str:
        return f"tests.unit.doors.{self.name}"


def ready(settings: Settings) -> bool:
    return (settings.run_dir / "ready").exists()


STEADY = Helper("steady_process", ready)
FAILING = Helper("failing_process", lambda settings: False)


@pytest.fixture
def settings(reachable_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    root = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(root), str(root / "src"), os.environ.get("PYTHONPATH", "")]))
    return Settings(data_dir=reachable_dir, api_listen=f"127.0.0.1:{ports.take()}")


@pytest.fixture(autouse=True)
def nothing_is_left_running() -> Iterator[None]:
    before = set(descendants(os.getpid()))
    yield
    assert set(descendants(os.getpid())) <= before


async def test_everything_starts_in_order_and_stops_together(settings: Settings) -> None:
    steps: list[str] = []
    async with Cloud(settings, parts=((STEADY,),), on_step=steps.append) as cloud:
        assert steps == ["database", "steady_process"]
        assert [part.name for part in cloud.health()] == ["postgres", "steady_process"]
        assert all(part.is_running and part.memory_bytes > 0 for part in cloud.health())
        assert cloud.memory_bytes() > sum(part.memory_bytes for part in cloud.health()) / 2
        assert cloud.certificates is not None
    assert not cloud.child("postgres").is_running
    async with Cloud(settings, parts=()):
        pass


async def test_a_dead_child_is_told_in_one_sentence(settings: Settings) -> None:
    async with Cloud(settings, parts=((STEADY,),)) as cloud:
        pid = cloud.child("steady_process").pid
        assert pid is not None
        asyncio.get_running_loop().call_later(0.1, os.kill, pid, signal.SIGKILL)
        with pytest.raises(CloudStopped, match=r"steady_process was ended by SIGKILL.*everything was stopped"):
            await asyncio.wait_for(cloud.wait(), 20)


async def test_a_part_that_does_not_start_stops_what_was_started(settings: Settings) -> None:
    cloud = Cloud(settings, parts=((STEADY,), (FAILING,)))
    with pytest.raises(Unavailable, match=r"failing_process stopped with exit code 1: the keeper is not there"):
        await cloud.start()
    assert not cloud.child("postgres").is_running


async def test_being_cancelled_half_way_stops_what_was_started(settings: Settings) -> None:
    never = Helper("steady_process", lambda settings: False)
    starting = asyncio.ensure_future(Cloud(settings, parts=((never,),)).start())
    await asyncio.sleep(2)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting


async def test_a_taken_port_is_named_before_anything_is_started(settings: Settings) -> None:
    host, _, port = settings.api_listen.rpartition(":")
    with (
        socket.create_server((host, int(port))),
        pytest.raises(PortTaken, match=rf"{settings.api_listen} is taken.*SEALWIRE_API_LISTEN"),
    ):
        await Cloud(settings, parts=((API,),)).start()
    assert not settings.postgres_dir.exists()


def test_a_held_sip_port_is_seen_without_binding_it(settings: Settings) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        taken = Settings(data_dir=settings.data_dir, sip_listen=f"127.0.0.1:{holder.getsockname()[1]}")
        assert sip_is_open(taken)
    assert not sip_is_open(taken)


def test_a_supervisor_killed_outright_leaves_nothing_running(settings: Settings) -> None:
    code = f"""
import asyncio
from pathlib import Path
from sealwire.config import Settings
from tests.unit.doors.test_supervisor import STEADY
from sealwire.doors.supervisor import Cloud
async def main():
    cloud = Cloud(Settings(data_dir=Path({str(settings.data_dir)!r})), parts=((STEADY,),))
    await cloud.start()
    print(*[part.pid for part in cloud.health()], flush=True)
    await cloud.wait()
asyncio.run(main())
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    pids = [int(pid) for pid in supervisor.stdout.readline().split()]
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}/cwd").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not [
        pid for pid in pids if (Path(f"/proc/{pid}/environ").exists() and Path(f"/proc/{pid}/cmdline").read_bytes())
    ]
