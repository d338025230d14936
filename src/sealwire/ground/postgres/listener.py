"""Hearing NOTIFY for as long as a process lives, whatever becomes of the connection it is heard on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import asyncpg

from sealwire.ground import diagnostics

PATIENCE_S_MIN, PATIENCE_S_MAX = 0.1, 2.0
CONNECT_S_MAX = 10.0


class Listener:
    """Its channels, on one connection of its own: one from a pool would be lent to others once it is lost.

    `channels` says what is called for each notification; `on_connected` is called after each connection is made: what
    was told before then was told to nobody and has to be looked for.
    """

    def __init__(
        self, dsn: str, channels: Mapping[str, Callable[[], None]], *, on_connected: Callable[[], None]
    ) -> None:
        self._dsn, self._channels, self._on_connected = dsn, dict(channels), on_connected

    async def run(self) -> None:
        """Until cancelled; a lost connection is made again, with growing patience."""
        patience_s = PATIENCE_S_MIN
        while True:
            try:
                await self._listen()
                patience_s = PATIENCE_S_MIN
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                diagnostics.failure("listener.not-connected", error, channels=len(self._channels))
            await asyncio.sleep(patience_s)
            patience_s = min(patience_s * 2, PATIENCE_S_MAX)

    async def _listen(self) -> None:
        """Returns when the connection is lost."""
        connection: asyncpg.Connection[Any] = await asyncpg.connect(self._dsn, timeout=CONNECT_S_MAX)
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            for channel, on_heard in self._channels.items():
                await connection.add_listener(channel, lambda *_, heard=on_heard: heard())
            self._on_connected()
            await ended.wait()
            diagnostics.event("listener.lost", channels=len(self._channels))
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=1)
