"""`sealwire doctor`: is everything right on this machine?"""

from __future__ import annotations

import sys

import msgspec
import typer
from rich.console import Console

from sealwire.config import load_settings
from sealwire.doors.commands._options import DataOption, JsonOption
from sealwire.doors.doctor import examine, worst
from sealwire.doors.findings import State

_MARKS = {State.FINE: "[green]  fine   [/]", State.WARNING: "[yellow] warning [/]", State.PROBLEM: "[red] problem [/]"}


def command(data: DataOption, as_json: JsonOption = False) -> None:
    """Look at this machine and say what is right, what is not, and what to do."""
    findings = examine(load_settings(data))
    if as_json:
        sys.stdout.write(msgspec.json.encode({"worst": worst(findings), "findings": findings}).decode() + "\n")
    else:
        console = Console(highlight=False)
        for finding in findings:
            console.print(f"{_MARKS[finding.state]} [bold]{finding.check}[/]: ", end="")
            console.print(finding.sentence, markup=False, soft_wrap=True)
            if finding.advice:
                console.print(f"          → {finding.advice}", markup=False, soft_wrap=True)
    raise typer.Exit(1 if worst(findings) is State.PROBLEM else 0)
