"""`sealwire restore`: put a backup back into an empty folder, or drill it beside the running cloud."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwire.config import load_settings
from sealwire.custody.backups.gate import mark_pending, put_back_by_hand
from sealwire.custody.backups.putback import PutBack, put_back
from sealwire.doors.commands._interrupting import run
from sealwire.doors.commands._options import DataOption, JsonOption
from sealwire.doors.restoring.drilling import drill as run_drill
from sealwire.errors import Malformed
from sealwire.ground.clock import SystemClock, rfc3339
from sealwire.ground.datafolder import DataFolder, require_made

FromOption = Annotated[
    str | None, typer.Option("--from", metavar="BACKUP", help="A backup's folder, or s3://BUCKET/PREFIX/NAME.")
]
LivingOption = Annotated[
    Path | None,
    typer.Option("--living", metavar="DIR", help="The data folder whose keeper, evidence and secrets move here."),
]
IdentityOption = Annotated[
    Path | None, typer.Option("--identity", metavar="FILE", help="The backup identity, when it is not in secrets.")
]
DrillOption = Annotated[bool, typer.Option("--drill", help="Restore into a scratch instance, compare, and report.")]
QuickOption = Annotated[bool, typer.Option("--quick", help="With --drill: open a sample; under a minute.")]
ReconcileOption = Annotated[
    bool, typer.Option("--reconcile", help="The database was put back by hand: let the gate reconcile it at `up`.")
]


class RestoreWhat(Malformed):
    """Say one thing: --from BACKUP, --drill, or --reconcile."""


def command(  # noqa: PLR0917 - typer makes options of them
    data: DataOption,
    source: FromOption = None,
    living: LivingOption = None,
    identity: IdentityOption = None,
    drill: DrillOption = False,
    quick: QuickOption = False,
    reconcile: ReconcileOption = False,
    as_json: JsonOption = False,
) -> None:
    """Restore a backup into an empty folder, or drill the newest one."""
    if (source is not None) + drill + reconcile != 1:
        raise RestoreWhat
    settings = load_settings(data)
    if drill:
        report = run(run_drill(settings, quick=quick))
        _say(report, as_json)
        raise typer.Exit(0 if report["ok"] else 1)
    if reconcile:
        require_made(settings.data_dir)
        with DataFolder(settings):
            mark_pending(settings, put_back_by_hand(rfc3339(SystemClock().now())))
        _say({"ok": True, "next": _NEXT}, as_json)
        return
    assert source is not None
    done = asyncio.run(put_back(source, settings, clock=SystemClock(), living=living, identity=identity))
    _say(_told(done, settings.data_dir), as_json)


_NEXT = "bin/sealwire up reconciles it with what was erased and signed since, and serves nobody before"


def _told(done: PutBack, data: Path) -> dict[str, Any]:
    return {
        "ok": True,
        "backup": done.manifest.backup,
        "made_at": done.manifest.made_at,
        "backups_in_chain": done.members,
        "objects": done.objects,
        "data": str(data),
        "seconds": round(done.seconds, 2),
        "next": _NEXT,
    }


def _say(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(report))
        return
    console = Console(highlight=False, soft_wrap=True)
    for name, value in report.items():
        console.print(f"{name.replace('_', ' ')}: {value}", markup=False)
