"""A message centre for tests: node-smpp in a process of its own, told what to do by JSON lines."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sealwire.communications.messages.centre import PASSWORD_FILE
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.supervisor import KEEPER, MESSENGER, SEQUENCER, WORKER
from sealwire.ground.process import Child
from tests import ports
from tests.turns import turn

HERE = Path(__file__).parent
PASSWORD = "secret42"
SYSTEM_ID = "sealwire"
RECORD_PARTS = ((KEEPER,), (SEQUENCER,), (WORKER,))


@cache
def node_modules() -> Path:
    """node-smpp as the lock file names it, installed once for this checkout. Skips the test without Node.js."""
    if missing := [program for program in ("node", "npm") if shutil.which(program) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: nodejs npm)")
    folder = own_folder(HERE.parents[1] / ".venv" / "smsc")
    lock, installed = HERE / "package-lock.json", folder / "installed"
    with turn(alone=True, room=lock, gate=HERE / "package.json"):  # the other processes of a run want it too
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder / name)
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, check=True, capture_output=True)
            shutil.copy(lock, installed)
    return folder / "node_modules"


def own_folder(wanted: Path) -> Path:
    """A folder that nobody else can write to, for what is loaded from it runs as us; one for this run if need be."""
    try:
        wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        made = Path(tempfile.mkdtemp(prefix="sealwire-smsc-"))
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        return made
    status = wanted.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{wanted} is not this user's alone; remove it")
    return wanted


class MessageCentre:
    """One running centre; `news` is all that it told so far."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.news: list[dict[str, Any]] = []
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._heard = asyncio.Condition()

    @property
    def address(self) -> str:
        return f"smpp://{SYSTEM_ID}@127.0.0.1:{self.port}"

    @property
    def submits(self) -> list[dict[str, Any]]:
        return [each for each in self.news if "submit" in each]

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            "node", str(HERE / "smsc.js"), str(node_modules()), str(self.port), PASSWORD,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.ensure_future(self._read(self._process))
        await self.until(lambda: any("listening" in each for each in self.news))

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        self._process = None

    async def order(self, **what: Any) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        await self._process.stdin.drain()

    async def until(self, holds: Callable[[], bool], *, seconds: float = 20) -> None:
        """Wait for news that make this true."""
        async with asyncio.timeout(seconds), self._heard:
            await self._heard.wait_for(holds)

    async def bound(self, times: int = 1) -> None:
        await self.until(lambda: sum("bound" in each for each in self.news) >= times)

    async def deliver(self, tag: str, **message: Any) -> int:
        """Deliver a message to the service; the status of its last answer."""
        await self.order(deliver={**message, "tag": tag})
        await self.until(lambda: any(each.get("delivered") == tag for each in self.news))
        return next(each["status"] for each in reversed(self.news) if each.get("delivered") == tag)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            self.news.append(json.loads(line))
            async with self._heard:
                self._heard.notify_all()


@asynccontextmanager
async def open_centre() -> AsyncIterator[MessageCentre]:
    centre = MessageCentre(ports.take())
    await centre.start()
    try:
        yield centre
    finally:
        await centre.stop()


@asynccontextmanager
async def message_cloud(centre: MessageCentre) -> AsyncIterator[Scratch]:
    """A cloud that knows this centre; its messenger is started by `messenger`."""
    async with scratch_cloud(RECORD_PARTS, smsc=centre.address) as scratch:
        (scratch.settings.secrets_dir / PASSWORD_FILE).write_text(PASSWORD + "\n")
        yield scratch


def messenger(scratch: Scratch) -> Child:
    """The messenger process of this cloud, to be started and killed at will."""
    settings = scratch.settings
    return Child(
        name="messenger",
        command=[sys.executable, "-m", MESSENGER.module, "--data", settings.data_dir],
        log=settings.logs_dir / "messenger.log",
        environment={**os.environ, "SEALWIRE_SMSC": settings.smsc, "PYTHONUNBUFFERED": "1"},
    )


async def start_messenger(scratch: Scratch) -> Child:
    child = messenger(scratch)
    child.start()
    await child.until_ready(lambda: MESSENGER.is_ready(scratch.settings), seconds=20)
    return child
