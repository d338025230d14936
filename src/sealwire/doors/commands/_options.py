"""Options that many commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def default_data_dir() -> Path:
    """Where data lies unless told otherwise: /var/lib/sealwire for root, a folder in the home for others."""
    if os.getuid() == 0:
        return Path("/var/lib/sealwire")
    return Path("~/.local/share/sealwire").expanduser()


DataOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", default_factory=default_data_dir, help="The data folder.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
