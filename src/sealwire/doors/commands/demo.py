"""`sealwire demo`: one real round, from ring to verified erasure."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from sealwire.doors.commands._options import JsonOption, default_data_dir
from sealwire.doors.demo.run import run_demo
from sealwire.doors.demo.show import ForPeople, ForScripts
from sealwire.doors.demo.stage import set_stage


def default_demo_dir() -> Path:
    """Beside the data folder of `up`, never inside it."""
    return default_data_dir().with_name(default_data_dir().name + "-demo")


DemoOption = Annotated[
    Path,
    typer.Option("--data", metavar="DIR", default_factory=default_demo_dir, help="The demo's folder, made anew."),
]


def command(data: DemoOption, as_json: JsonOption = False) -> None:
    """One real round: calls, records, erasure, attacks, verification."""
    if not asyncio.run(_until_signal(data, as_json)):
        sys.exit(1)


async def _until_signal(data: Path, as_json: bool) -> bool:
    """Ctrl-C and SIGTERM cancel the round, which stops all it started."""
    stage = set_stage(data)
    show = ForScripts() if as_json else ForPeople()
    task = asyncio.ensure_future(run_demo(stage, show))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        print("stopped; nothing is left running", file=sys.stderr, flush=True)
        os._exit(130)
