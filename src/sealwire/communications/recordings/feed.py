"""Brings audio from memory to the sink that seals it. If the sink cannot follow, audio is dropped and counted.

`push` never waits, so that the call never does; a task of its own writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from sealwire.communications.recordings.ports import RecordingSink
from sealwire.ground import diagnostics

BACKLOG_BYTES_MAX = 30 * 8000 * 2 * 2
"""Thirty seconds of two channels."""
_SILENCE = bytes(16_000)


class Feed:
    """The way to one sink."""

    def __init__(self, sink: RecordingSink, *, on_failed: Callable[[], None]) -> None:
        self._sink = sink
        self._on_failed = on_failed
        self._backlog = bytearray()
        self._wake = asyncio.Event()
        self._closing = False
        self._failed = False
        self._running = asyncio.ensure_future(self._run())

    def push(self, pcm: bytes) -> bool:
        """Hand over the next piece; False when it was dropped."""
        if self._closing or self._failed or len(self._backlog) + len(pcm) > BACKLOG_BYTES_MAX:
            return False
        self._backlog += pcm
        self._wake.set()
        return True

    async def finish(self, *, owed: int = 0) -> object:
        """Wait until all is written, then `owed` bytes of silence, and close the sink; raises what went wrong."""
        self._closing = True
        self._wake.set()
        await self._running
        for at in range(0, owed, len(_SILENCE)):
            await self._sink.write(_SILENCE[: owed - at])
        return await self._sink.finish()

    async def abort(self) -> None:
        """Keep nothing."""
        self._closing = True
        self._backlog.clear()
        self._running.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await self._running
        await self._sink.abort()

    async def _run(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._backlog:
                    pcm = bytes(self._backlog)
                    self._backlog.clear()
                    await self._sink.write(pcm)
                if self._closing:
                    return
        except Exception as error:
            self._failed = True
            self._backlog.clear()
            diagnostics.failure("recording.write-failed", error)
            self._on_failed()
            raise
