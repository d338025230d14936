"""`sealwire backup`: make one of the running cloud, verify one, list those there are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sealwire.config import Settings, load_settings
from sealwire.custody.backups.cycle import Cycle, cycle
from sealwire.custody.backups.manifest import backups_in, read_manifest
from sealwire.custody.backups.sealing import backup_key, identity_file
from sealwire.custody.backups.take import TakenBackup
from sealwire.custody.backups.telling import tell_verified
from sealwire.custody.backups.unpack import find_source, verify_chain
from sealwire.doors.commands._options import DataOption, JsonOption
from sealwire.doors.findings import is_running
from sealwire.doors.restoring.drilling import back_up
from sealwire.ground.clock import SystemClock
from sealwire.ground.datafolder import require_made

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Backups: data only, never keys.")
ToOption = Annotated[
    str | None,
    typer.Option("--to", metavar="TARGET", help="A folder or s3://BUCKET/PREFIX; by default what the settings say."),
]
BaseOption = Annotated[bool, typer.Option("--base", help="A new base, although an increment would do.")]
IdentityOption = Annotated[
    Path | None, typer.Option("--identity", metavar="FILE", help="The backup identity, when it is not in secrets.")
]


@app.command()
def make(data: DataOption, to: ToOption = None, base: BaseOption = False, as_json: JsonOption = False) -> None:
    """Back up the running cloud, database and objects, sealed for the target: a base, or an increment of it."""
    settings = _settings(data)
    made = asyncio.run(_make(settings, to, wants_base=base))
    manifest = made.manifest
    if as_json:
        figures = {"folder": str(made.folder), "backup": manifest.backup, "bytes": manifest.total_bytes}
        about = {"after": manifest.after or None, "seconds": round(made.seconds, 2)}
        print(json.dumps({**figures, **about, "cycle_ends_on": manifest.cycle_ends_on.isoformat()}))
        return
    console = Console(highlight=False, soft_wrap=True)
    kind = f"increment of {manifest.chain}" if manifest.after else "base"
    console.print(f"{made.folder}: {kind}, {manifest.total_bytes / 1e6:.0f} MB in {made.seconds:.1f} s, verified")
    console.print(f"destroyed with all of its chain when its cycle ends, after {manifest.cycle_ends_on}")
    console.print(f"sealed to {manifest.sealed_to}; keep a copy of {identity_file(settings)} where the backups are not")
    console.print(f"[yellow]{manifest.disaster_recovery}[/]")


@app.command()
def verify(
    backup: Annotated[str, typer.Argument(help="A backup's folder, or s3://BUCKET/PREFIX/NAME.")],
    data: DataOption,
    identity: IdentityOption = None,
) -> None:
    """Check a backup and all that it continues: every file's hash, who made it, and that it is of this installation."""
    settings = _settings(data)
    verified = verify_chain(backup, settings, backup_key(settings, file=identity))
    if is_running(settings):
        asyncio.run(tell_verified(settings, verified.chain.last, SystemClock()))
    files = sum(len(member.files) for member in verified.chain.members)
    print(
        f"{verified.chain.last.backup} is whole: {len(verified.chain.members)} backups in its chain, {files} files, "
        f"{verified.chain.total_bytes / 1e6:.0f} MB, {verified.seconds:.1f} s"
    )


@app.command(name="list")
def list_backups(data: DataOption, as_json: JsonOption = False) -> None:
    """The backups there are, oldest first, with the day on which each is destroyed; and the cycle they keep to."""
    settings = _settings(data)
    for folder in backups_in(settings.backups_dir):
        manifest = read_manifest(folder)
        kind = "plain copy" if not manifest.is_sealed else "increment" if manifest.after else "base"
        if as_json:
            print(json.dumps({
                "backup": manifest.backup, "kind": kind, "chain": manifest.chain, "made_at": manifest.made_at,
                "bytes": manifest.total_bytes, "where": manifest.target or str(folder.parent),
                "cycle_ends_on": manifest.cycle_ends_on.isoformat(),
            }))  # fmt: skip
            continue
        print(f"{folder}  {kind}  made {manifest.made_at}  destroyed after {manifest.cycle_ends_on}")
    now = cycle(settings, clock=SystemClock())
    print(json.dumps(_cycle_told(now)) if as_json else now.sentence)


def _cycle_told(now: Cycle) -> dict[str, Any]:
    return {
        "cycle_days": now.days,
        "backups": now.backups,
        "oldest_made_at": now.oldest_made_at.isoformat() if now.oldest_made_at else None,
        "newest_made_at": now.newest_made_at.isoformat() if now.newest_made_at else None,
        "next_end": now.next_end.isoformat() if now.next_end else None,
    }


def _settings(data: Path) -> Settings:
    """Of a data folder that is one."""
    settings = load_settings(data)
    require_made(settings.data_dir)
    return settings


async def _make(settings: Settings, target: str | None, *, wants_base: bool) -> TakenBackup:
    made = await back_up(settings, target=target, wants_base=wants_base)
    source = find_source(made.manifest, settings)
    await asyncio.to_thread(verify_chain, source, settings, backup_key(settings))
    await tell_verified(settings, made.manifest, SystemClock())
    return made
