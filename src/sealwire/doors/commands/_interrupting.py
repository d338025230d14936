"""Commands that start processes and make folders of their own: Ctrl-C and SIGTERM end them, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

INTERRUPTED = 130
Outcome = TypeVar("Outcome")


def run(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run it to its end. A signal cancels it, which stops and removes all it made; then we exit with 130."""
    return asyncio.run(_until_signal(work))


async def _until_signal(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    task = asyncio.ensure_future(work)
    signals = (signal.SIGINT, signal.SIGTERM)

    def cancel() -> None:
        for number in signals:  # a second Ctrl-C must not cut short what the first one began
            asyncio.get_running_loop().add_signal_handler(number, _already_stopping)
        task.cancel()

    for number in signals:
        asyncio.get_running_loop().add_signal_handler(number, cancel)
    try:
        return await task
    except asyncio.CancelledError:
        print("stopped; nothing is left running", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(INTERRUPTED)  # a thread of ours may still read; its files are gone, and so is what it would tell


def _already_stopping() -> None:
    print("stopping; one moment", file=sys.stderr, flush=True)
