"""The test's end of `killed_process`: an order is given, and the answer says how the process ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

KILLED = 137
REPOSITORY = Path(__file__).resolve().parents[2]


class Killing:
    """One process that forks; orders are carried out one after another."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process, self._turn = process, asyncio.Lock()

    async def order(self, ritual: str, *, at: int, **more: Any) -> int:
        """Have a child take this ritual's steps and die before its nth effect; its exit code."""
        line = json.dumps({"name": "", "ritual": ritual, "at": at, **more}) + "\n"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(line.encode())
            await self._process.stdin.drain()
            return int(json.loads(await self._process.stdout.readline())["code"])

    async def steps(self, ritual: str, told: Path, **more: Any) -> list[str]:
        """The effects of this ritual when nobody dies."""
        assert await self.order(ritual, at=-1, told=str(told), **more) == 0
        return told.read_text().splitlines()


@asynccontextmanager
async def killing(data: Path) -> AsyncIterator[Killing]:
    """Start it on a data folder; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.killed_process", str(data), cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    await process.stdout.readline()
    try:
        yield Killing(process)
    finally:
        process.stdin.close()
        await process.wait()
