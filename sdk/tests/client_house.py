"""Both clients behind one face, so that each claim is made of both; and a server that answers as it is told."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from typing import Any

from tests.sites import Site, open_site

from sealwire_sdk.client import AsyncSealwire, Sealwire


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, awaited: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(awaited, self._loop).result(60)

    @contextmanager
    def entered(self, manager: AbstractAsyncContextManager[Any]) -> Iterator[Any]:
        made = self.run(manager.__aenter__())
        try:
            yield made
        finally:
            self.run(manager.__aexit__(None, None, None))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Awaited:
    """AsyncSealwire, with every answer awaited."""

    def __init__(self, cloud: AsyncSealwire, loop: Loop) -> None:
        self._cloud, self._its_loop = cloud, loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cloud, name)

        def call(*arguments: Any, **named: Any) -> Any:
            made = method(*arguments, **named)
            if inspect.isasyncgen(made):
                return self._its_loop.run(_collected(made))
            return self._its_loop.run(made)

        return call


async def _collected(items: Any) -> list[Any]:
    return [item async for item in items]


@contextmanager
def opened(kind: str, loop: Loop, *arguments: Any, **named: Any) -> Iterator[Any]:
    """The client of this kind; sync or async."""
    if kind == "sync":
        with Sealwire(*arguments, **named) as cloud:
            yield cloud
    else:
        with loop.entered(AsyncSealwire(*arguments, **named)) as cloud:
            yield Awaited(cloud, loop)


@contextmanager
def a_site(loop: Loop, folder: Path) -> Iterator[Site]:
    with loop.entered(open_site(folder)) as site:
        yield site
