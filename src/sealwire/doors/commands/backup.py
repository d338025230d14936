"""`sealwire backup`: make one of the running cloud, verify one, list those there are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sealwire.config import Settings, load_settings
from sealwire.custody.backups.make import MadeBackup, backups_in
from sealwire.custody.backups.make import make as make_backup
from sealwire.custody.backups.manifest import read_manifest
from sealwire.custody.backups.verify import verify as verify_backup
from sealwire.custody.lifecycle import keeper_client
from sealwire.doors.commands._options import DataOption, JsonOption
from sealwire.evidence.client import SequencerClient
from sealwire.ground.clock import SystemClock
from sealwire.ground.datafolder import require_made

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Backups: data only, never keys.")
ToOption = Annotated[
    Path | None, typer.Option("--to", metavar="DIR", help="Where to; by default the folder `backups` of the data.")
]


@app.command()
def make(data: DataOption, to: ToOption = None, as_json: JsonOption = False) -> None:
    """Back up the running cloud: database and objects, with a manifest."""
    made = asyncio.run(_make(_settings(data), to))
    manifest = made.manifest
    if as_json:
        figures = {"folder": str(made.folder), "bytes": manifest.total_bytes, "seconds": round(made.seconds, 2)}
        print(json.dumps({**figures, "cycle_ends_on": manifest.cycle_ends_on.isoformat()}))
        return
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{made.folder}: {manifest.total_bytes / 1e6:.0f} MB in {made.seconds:.1f} s, verified")
    console.print(f"destroyed when its cycle ends, after {manifest.cycle_ends_on}")
    console.print(f"[yellow]{manifest.disaster_recovery}[/]")


@app.command()
def verify(folder: Annotated[Path, typer.Argument(help="A backup's folder.")], data: DataOption) -> None:
    """Check a backup: every file's hash, PostgreSQL's own manifest, and that it is of this installation."""
    verified = asyncio.run(verify_backup(folder, _settings(data)))
    print(f"{verified.manifest.backup} is whole: {len(verified.manifest.files)} files, {verified.seconds:.1f} s")


@app.command(name="list")
def list_backups(data: DataOption) -> None:
    """The backups in the data folder, oldest first, with the day on which each is destroyed."""
    for folder in backups_in(_settings(data).backups_dir):
        manifest = read_manifest(folder)
        print(f"{folder}  made {manifest.made_at}  destroyed after {manifest.cycle_ends_on}")


def _settings(data: Path) -> Settings:
    """Of a data folder that is one."""
    settings = load_settings(data)
    require_made(settings.data_dir)
    return settings


async def _make(settings: Settings, target: Path | None) -> MadeBackup:
    keeper, sequencer = keeper_client(settings), SequencerClient(settings.sequencer_socket)
    try:
        status = await keeper.status()
        await sequencer.nudge()
    finally:
        await keeper.close()
        await sequencer.close()
    made = await make_backup(
        settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class,
        clock=SystemClock(), target=target,
    )  # fmt: skip
    await verify_backup(made.folder, settings)
    return made
