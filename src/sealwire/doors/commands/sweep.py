"""`sealwire sweep`: is anything left of what was erased? With a control, and with every step switched off once."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from sealwire.doors.commands._interrupting import run
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
    show = ForScripts() if as_json else ForPeople()
    if not run(run_sweep(show, quick=quick, on_s3=objects is ObjectStore.S3)):
        sys.exit(1)
