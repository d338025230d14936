"""`sealwire demo`: one real round, from ring to verified erasure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sealwire.doors.commands._interrupting import run
from sealwire.doors.commands._options import JsonOption, default_data_dir
from sealwire.doors.demo.run import run_demo
from sealwire.doors.demo.show import ForPeople, ForScripts, Show
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
    if not run(_round(data, ForScripts() if as_json else ForPeople())):
        sys.exit(1)


async def _round(data: Path, show: Show) -> bool:
    return await run_demo(set_stage(data), show)
