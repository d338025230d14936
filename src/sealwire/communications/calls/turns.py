"""Whose turn it is on a channel: one verb at a time, and somebody outside goes before the application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

_outside: ContextVar[bool] = ContextVar("acts_from_outside", default=False)


class Turns:
    """Verbs wait here for each other. While the API acts on a channel, its application waits too."""

    def __init__(self) -> None:
        self._verb = asyncio.Lock()
        self._outsiders = 0
        self._undisturbed = asyncio.Event()
        self._undisturbed.set()

    @property
    def taken(self) -> bool:
        """A verb is under way."""
        return self._verb.locked()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until nothing else is under way."""
        while True:
            if not _outside.get():
                await self._undisturbed.wait()
            await self._verb.acquire()
            if _outside.get() or self._undisturbed.is_set():
                break
            self._verb.release()
        try:
            yield
        finally:
            self._verb.release()

    @contextmanager
    def from_outside(self) -> Iterator[None]:
        """What this task does now goes before what the application wants next."""
        self._outsiders += 1
        self._undisturbed.clear()
        token = _outside.set(True)
        try:
            yield
        finally:
            _outside.reset(token)
            self._outsiders -= 1
            if not self._outsiders:
                self._undisturbed.set()
