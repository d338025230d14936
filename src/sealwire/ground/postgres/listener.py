"""Hearing NOTIFY for as long as a process lives, whatever becomes of the connection it is heard on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg

from sealwire.ground import diagnostics

PATIENCE_S_MIN, PATIENCE_S_MAX = 0.1, 2.0
CONNECT_S_MAX = 10.0


class Listener:
    """One channel, on a connection of its own: one from a pool would be lent to others once it is lost.

    `on_heard` is called for each notification, and `on_connected` after each connection is made: what was told
    before then was told to nobody and has to be looked for.
    """

    def __init__(
        self, dsn: str, channel: str, *, on_heard: Callable[[], None], on_connected: Callable[[], None]
    ) -> None:
        self._dsn, self._channel = dsn, channel
        self._on_heard, self._on_connected = on_heard, on_connected

    async def run(self) -> None:
        """Until cancelled; a lost connection is made again, with growing patience."""
        patience_s = PATIENCE_S_MIN
        while True:
            try:
                await self._listen()
                patience_s = PATIENCE_S_MIN
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                diagnostics.failure("listener.not-connected", error, channel=self._channel)
            await asyncio.sleep(patience_s)
            patience_s = min(patience_s * 2, PATIENCE_S_MAX)

    async def _listen(self) -> None:
        """Returns when the connection is lost."""
        connection: asyncpg.Connection[Any] = await asyncpg.connect(self._dsn, timeout=CONNECT_S_MAX)
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            await connection.add_listener(self._channel, lambda *_: self._on_heard())
            self._on_connected()
            await ended.wait()
            diagnostics.event("listener.lost", channel=self._channel)
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=1)
