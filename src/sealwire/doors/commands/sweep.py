"""`sealwire sweep`: is anything left of what was erased? With a control, and with every step switched off once."""

from __future__ import annotations

import asyncio
import signal
import sys
from enum import StrEnum
from typing import Annotated

import typer

from sealwire.doors.commands._options import JsonOption
from sealwire.doors.demo.show import ForPeople, ForScripts
from sealwire.doors.sweep.run import run_sweep
from sealwire.ground import diagnostics


class ObjectStore(StrEnum):
    """Where the scratch installation keeps its objects."""

    FOLDER = "folder"
    S3 = "s3"


QuickOption = Annotated[bool, typer.Option("--quick", help="Fewer candidate keys for the attacker: under a minute.")]
ObjectsOption = Annotated[
    ObjectStore, typer.Option("--objects", help="Where objects lie: a folder, or a SeaweedFS with versions.")
]


def command(
    quick: QuickOption = False, as_json: JsonOption = False, objects: ObjectsOption = ObjectStore.FOLDER
) -> None:
    """Erase made-up people in a scratch installation, search everything, and see every broken step be caught."""
    diagnostics.start("sweep")
    if not asyncio.run(_until_signal(quick=quick, as_json=as_json, on_s3=objects is ObjectStore.S3)):
        sys.exit(1)


async def _until_signal(*, quick: bool, as_json: bool, on_s3: bool) -> bool:
    """Ctrl-C and SIGTERM cancel the sweep, which stops all it started."""
    show = ForScripts() if as_json else ForPeople()
    task = asyncio.ensure_future(run_sweep(show, quick=quick, on_s3=on_s3))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        print("stopped; nothing is left running", file=sys.stderr, flush=True)
        return False
