"""`sealwire closure --drill`: close an account with something of everything, and show what remains."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwire.doors.closure_drill.run import drill as run_drill
from sealwire.doors.commands._interrupting import run
from sealwire.doors.commands._options import JsonOption
from sealwire.errors import Malformed

DrillOption = Annotated[bool, typer.Option("--drill", help="Close an account in a cloud of its own; show what stays.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="Fewer records; under a minute.")]


class ClosureWhat(Malformed):
    """Say --drill; an account is closed by its owner, through the API (docs/howto/close-an-account.md)."""


def command(drill: DrillOption = False, quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """Drill the closing of an account: exactly the billing allow-list remains."""
    if not drill:
        raise ClosureWhat
    outcome = run(run_drill(_for_scripts if as_json else _for_people, quick=quick))
    sys.exit(0 if outcome["ok"] else 1)


def _for_scripts(step: dict[str, Any]) -> None:
    print(json.dumps(step), flush=True)


def _for_people(step: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    match step["step"]:
        case "furnished":
            console.print(f"two accounts, {step['records']} records each in {step['tables']} tables; all of them open")
        case "closed":
            seconds = step["seconds"]
            console.print(f"closed: unreadable after {seconds['unreadable']} s, removed after {seconds['removed']} s")
        case _:
            for name, rows in sorted(step["left"].items()):
                mark = "[red]NOT ALLOWED[/]" if name in step["not_allowed"] else "allowed"
                console.print(f"  {name}: {rows} rows, {mark}")
            console.print(f"of {step['in_backup']} records in the backup and as many copied, {step['opened']} open")
            console.print(f"{step['statutory_opened']} invoices open for the statute, until {step['until']}")
            console.print(f"the neighbour: {step['neighbour_opened']} of {step['neighbour_kept']} records open")
            console.print(f"certificate: {step['certificate']}")
            console.print("[green]ok[/]" if step["ok"] else f"[red]failed: {', '.join(step['failed'])}[/]")
