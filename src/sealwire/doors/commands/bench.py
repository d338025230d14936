"""`sealwire bench`: keep, erase, calls and messages against a baseline in the same run; control, api beside calls."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from sealwire.doors.bench import api as bench_api
from sealwire.doors.bench import calls as bench_calls
from sealwire.doors.bench import control as bench_control
from sealwire.doors.bench import erase as bench_erase
from sealwire.doors.bench import expiry as bench_expiry
from sealwire.doors.bench import gdprbench as bench_gdprbench
from sealwire.doors.bench import keep as bench_keep
from sealwire.doors.bench import lookup as bench_lookup
from sealwire.doors.bench import messages as bench_messages
from sealwire.doors.bench.scratch import scratch_cloud
from sealwire.doors.commands._options import JsonOption
from sealwire.doors.supervisor import API, KEEPER, SEQUENCER, SWITCHBOARD, WORKER

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Measure, side by side with a baseline.")
QuickOption = Annotated[bool, typer.Option("--quick", help="Fewer and shorter rounds: a first impression.")]
_SIP, _RTP, _UAS = "127.0.0.1:15360", "25000-26999", "127.0.0.1:15344"
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
def expiry(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """A day of a million records expires: time until it is unreadable, rows removed per second."""
    _run(_expiry(quick), as_json)


@app.command()
def calls(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """A hundred concurrent recorded and sealed calls on one core, against the bare engine."""
    _run(_calls(quick), as_json)


@app.command()
def control(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """How long pages and programs of customers wait for the cloud, beside fifty recorded calls."""
    _run(_control(quick), as_json)


@app.command()
def api(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """How long a list and a record take at 200 requests a second, beside fifty recorded calls."""
    _run(_api(quick), as_json)


@app.command()
def messages(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """Messages per second through SMPP, kept and sealed, against the bare client."""
    _run(_messages(quick), as_json)


@app.command()
def gdprbench(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """GDPRbench's four roles on sealed records, against PostgreSQL with metadata indexes and an audit row, and bare."""
    _run(_gdprbench(quick), as_json)


@app.command()
def lookup(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """Time to the first answer about a number, among ten million records, against a plaintext index."""
    _run(_lookup(quick), as_json)


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


async def _expiry(quick: bool) -> dict[str, Any]:
    plan = bench_expiry.Plan(2, 100_000, samples=10) if quick else bench_expiry.Plan(2, 1_000_000, samples=40)
    async with scratch_cloud(_RECORDS) as scratch:
        return await bench_expiry.measure(scratch, plan)


async def _calls(quick: bool) -> dict[str, Any]:
    plan = bench_calls.Plan(calls=20, speak_seconds=5.0, setups=40)
    if not quick:
        plan = bench_calls.Plan(calls=100, speak_seconds=30.0, setups=400)
    async with scratch_cloud((*_RECORDS, (SWITCHBOARD,)), sip_listen=_SIP, rtp_ports=_RTP, uas_listen=_UAS) as scratch:
        return await bench_calls.measure(scratch, plan)


async def _control(quick: bool) -> dict[str, Any]:
    plan = bench_control.Plan(beside=10, led=4) if quick else bench_control.Plan(beside=50, led=20)
    with tempfile.TemporaryDirectory(prefix="sealwire-customer-") as folder:
        async with scratch_cloud(
            (*_RECORDS, (SWITCHBOARD,)), sip_listen=_SIP, rtp_ports=_RTP, uas_listen=_UAS,
            egress_allow="127.0.0.0/8", egress_ca=str(bench_control.prepare(Path(folder))),
        ) as scratch:  # fmt: skip
            return await bench_control.measure(scratch, plan, Path(folder))


async def _api(quick: bool) -> dict[str, Any]:
    async with scratch_cloud(
        (*_RECORDS, (SWITCHBOARD, API)), sip_listen=_SIP, rtp_ports=_RTP, uas_listen=_UAS, api_listen="127.0.0.1:15343"
    ) as scratch:
        return await bench_api.measure(scratch, calls=10 if quick else 50, seconds=5.0 if quick else 20.0)


async def _lookup(quick: bool) -> dict[str, Any]:
    plan = bench_lookup.Plan(records=500_000, lookups=100) if quick else bench_lookup.Plan(10_000_000, lookups=300)
    async with scratch_cloud(_RECORDS) as scratch:
        return await bench_lookup.measure(scratch, plan)


async def _messages(quick: bool) -> dict[str, Any]:
    async with scratch_cloud(
        _RECORDS, connections_max=bench_messages.ACCEPTING, smsc=bench_messages.ADDRESS
    ) as scratch:
        return await bench_messages.measure(scratch, messages=1_000 if quick else 5_000)


async def _gdprbench(quick: bool) -> dict[str, Any]:
    async with scratch_cloud(_RECORDS, connections_max=bench_gdprbench.CLIENTS) as scratch:
        return await bench_gdprbench.measure(scratch, bench_gdprbench.QUICK if quick else bench_gdprbench.FULL)


def _run(measuring: Coroutine[Any, Any, dict[str, Any]], as_json: bool) -> None:
    figures = asyncio.run(measuring)
    if as_json:
        print(json.dumps(figures))
        return
    table = Table(title=f"bench {figures['bench']}", show_header=False)
    for name, value in figures.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)
