"""How each process of ours starts and stops: one sentence on failure, a clean end on SIGTERM and Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from sealwire.config import Settings, load_settings
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics


def worker_socket(settings: Settings) -> Path:
    """Answers while the worker hears requests; it serves nothing."""
    return settings.run_dir / "worker.sock"


def run_process(name: str, main: Callable[[Settings], Coroutine[Any, Any, None]]) -> None:
    """Parse `--data DIR`, run `main` until it ends or a signal asks, exit 0 or with a sentence and 1."""
    parser = argparse.ArgumentParser(prog=f"sealwire-{name}")
    parser.add_argument("--data", type=Path, required=True, help="the data folder")
    arguments = parser.parse_args()
    diagnostics.start(name)
    try:
        uvloop.run(_until_signal(main(load_settings(arguments.data))))
    except SealwireError as error:
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
    except Exception as error:
        diagnostics.failure("process.failed", error)
        print(f"{name}: stopped by {type(error).__name__}; the line above says where", file=sys.stderr, flush=True)
        sys.exit(1)


async def _until_signal(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        diagnostics.event("process.stopped")
