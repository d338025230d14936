"""What several clients ask for at the same moment is done together: one transaction, one leaf, one receipt.

The product's verbs take lists: `Custody.open` opens up to 500 records under one leaf that names each of them, POST
/v1/erasures takes up to 10,000. So a controller with many clients sends what waits. Nobody is made to wait for a group
to fill: while a group is under way the next one gathers, as the sequencer does with leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Got = TypeVar("Got")


class Together(Generic[Asked, Got]):
    """Gives what waits to `act` in one piece; one answer for each, in order. When it fails, it fails for all."""

    def __init__(self, act: Callable[[list[Asked]], Awaitable[Sequence[Got]]], *, at_once: int = 1) -> None:
        self._act = act
        self._waiting: list[tuple[Asked, asyncio.Future[Got]]] = []
        self._wake = asyncio.Event()
        self._acting = [asyncio.create_task(self._run()) for _ in range(at_once)]

    async def ask(self, asked: Asked) -> Got:
        """The answer, once the group it came into is done."""
        answer: asyncio.Future[Got] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        self._wake.set()
        return await answer

    async def close(self) -> None:
        """Take nothing more."""
        for acting in self._acting:
            acting.cancel()
            with suppress(asyncio.CancelledError):
                await acting

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            group, self._waiting = self._waiting, []
            if not group:  # another group took it along
                continue
            try:
                answers = await self._act([asked for asked, _ in group])
            except Exception as error:
                for _, answer in group:
                    answer.set_exception(error)
                continue
            for (_, answer), got in zip(group, answers, strict=True):
                answer.set_result(got)
