"""`sealwire bench`: keep, erase and calls, each against its baseline in the same run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Annotated, Any

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from sealwire.doors.bench import calls as bench_calls
from sealwire.doors.bench import erase as bench_erase
from sealwire.doors.bench import keep as bench_keep
from sealwire.doors.bench.scratch import scratch_cloud
from sealwire.doors.commands._options import JsonOption
from sealwire.doors.supervisor import KEEPER, SEQUENCER, SWITCHBOARD, WORKER

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Measure, side by side with a baseline.")
QuickOption = Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds: a first impression.")]
_RECORDS = ((KEEPER,), (SEQUENCER,), (WORKER,))


@app.command()
def keep(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """Call records kept per second, against the same rows unsealed."""
    _run(_keep(quick), as_json)


@app.command()
def erase(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """Time until erased means unreadable: one record, a day, scattered records."""
    _run(_erase(quick), as_json)


@app.command()
def calls(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """Twenty concurrent recorded and sealed calls, against the bare engine."""
    _run(_calls(quick), as_json)


async def _keep(quick: bool) -> dict[str, Any]:
    async with scratch_cloud(_RECORDS, connections_max=bench_keep.CONNECTIONS) as scratch:
        owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
        try:
            await bench_keep.prepare_baseline(owner)
        finally:
            await owner.close()
        rounds, seconds = (3, 2.0) if quick else (9, 4.0)
        return await bench_keep.measure(scratch.custody, scratch.account, rounds=rounds, seconds=seconds)


async def _erase(quick: bool) -> dict[str, Any]:
    async with scratch_cloud(_RECORDS) as scratch:
        if quick:
            return await bench_erase.measure(scratch, days=3, records_per_day=5_000, singles=10, scattered=500)
        return await bench_erase.measure(scratch, days=3, records_per_day=100_000, singles=50, scattered=5_000)


async def _calls(quick: bool) -> dict[str, Any]:
    async with scratch_cloud(
        (*_RECORDS, (SWITCHBOARD,)), sip_listen="127.0.0.1:15360", rtp_ports="25000-26999"
    ) as scratch:
        return await bench_calls.measure(scratch, calls=20, speak_seconds=5.0 if quick else 30.0)


def _run(measuring: Coroutine[Any, Any, dict[str, Any]], as_json: bool) -> None:
    figures = asyncio.run(measuring)
    if as_json:
        print(json.dumps(figures))
        return
    table = Table(title=f"bench {figures['bench']}", show_header=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
