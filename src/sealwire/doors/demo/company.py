"""The customer's side of the demo as processes: each started, awaited by its port or its first word, stopped by pid."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from sealwire.doors.demo.client import DemoFailed
from sealwire.ground.process import port_answers

READY_SECONDS_MAX = 15.0


class Company:
    """Programs that run beside the cloud for the length of the demo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[asyncio.subprocess.Process] = []

    async def start(
        self, module: str, *arguments: str, listens: str | None = None, environment: dict[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        """Start `python -m module`; returns once `listens` (HOST:PORT, TCP) answers, or at once."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments, env={**os.environ, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        self._running.append(process)
        if listens is not None:
            await self._until_answers(process, module, listens)
        return process

    async def _until_answers(self, process: asyncio.subprocess.Process, module: str, listens: str) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                while not await asyncio.to_thread(port_answers, listens):
                    if process.returncode is not None:
                        raise DemoFailed(f"{module} stopped with exit code {process.returncode}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise DemoFailed(f"{module} did not begin to listen at {listens}") from None

    async def said(self, process: asyncio.subprocess.Process, words: str) -> None:
        """Wait until a program has said a line that begins with these words."""
        assert process.stdout is not None
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                while not (line := await process.stdout.readline()).startswith(words.encode()):
                    if not line:
                        raise DemoFailed("a program of the demo ended too early")
        except TimeoutError:
            raise DemoFailed(f"a program of the demo did not say “{words.strip()}” in time") from None

    async def report(self, process: asyncio.subprocess.Process, *, seconds: float) -> dict[str, Any]:
        """The JSON object a telephone prints at its end."""
        try:
            out, _ = await asyncio.wait_for(process.communicate(), seconds)
            found: dict[str, Any] = json.loads(out.splitlines()[-1])
        except (TimeoutError, ValueError, IndexError):
            raise DemoFailed("a telephone of the demo did not end as it should") from None
        return found

    async def stop(self) -> None:
        """End whatever still runs."""
        for process in self._running:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.terminate()
        for process in self._running:
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()
        self._running.clear()
