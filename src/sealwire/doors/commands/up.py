"""`sealwire up`: start the cloud and keep it running until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console

from sealwire.config import Settings, load_settings
from sealwire.custody.keys.holding.recoverable import recoverability
from sealwire.doors.commands._options import DataOption
from sealwire.doors.supervisor import Cloud

ListenOption = Annotated[
    str | None, typer.Option("--listen", metavar="ADDRESS", help="Take calls on this address, for a desk phone.")
]
ApiOption = Annotated[
    str | None, typer.Option("--api-listen", metavar="HOST:PORT", help="Serve the API on this address.")
]


def command(data: DataOption, listen: ListenOption = None, api_listen: ApiOption = None) -> None:
    """Start the cloud and keep it running until Ctrl-C."""
    settings = load_settings(data, sip_listen=_with_port(listen, "5060"), api_listen=_with_port(api_listen, "8443"))
    asyncio.run(_until_told_to_stop(settings, _console()))


def _console() -> Console:
    """Paths are told whole: who pipes this to a file wants to copy them."""
    return Console(highlight=False, soft_wrap=True)


async def _until_told_to_stop(settings: Settings, console: Console) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    running = asyncio.ensure_future(_run(settings, console))
    stopping = asyncio.ensure_future(told.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        console.print("stopping …")
        running.cancel()
    stopping.cancel()
    with suppress(asyncio.CancelledError):
        await running
    console.print("stopped; nothing is left running")


async def _run(settings: Settings, console: Console) -> None:
    with console.status("starting …") as status:
        cloud = Cloud(settings, on_step=lambda step: status.update(f"starting: {step} …"))
        await cloud.start()
    try:
        _say_where(cloud, console)
        await cloud.wait()
    finally:
        await asyncio.shield(cloud.stop())


def _say_where(cloud: Cloud, console: Console) -> None:
    settings = cloud.settings
    console.print(f"[bold green]up[/]  {len(cloud.health())} processes, {cloud.memory_bytes() >> 20} MB")
    console.print(f"  API and its reference page   https://{settings.api_listen}/")
    if cloud.certificates is not None:
        console.print(f"  authority for curl --cacert  {cloud.certificates.ca}")
    console.print(f"  calls                        sip:NUMBER@{settings.sip_listen}")
    console.print(f"  data                         {settings.data_dir}")
    found = recoverability(settings.keeper_dir)
    if found.holders == 1:
        console.print(
            "[yellow]not disaster-recoverable:[/] this keeper is the only holder of the keys; when this disk is lost, "
            "everything is lost, backups included (docs/howto/what-if-i-lose-this-machine.md)"
        )
    else:
        console.print(found.sentence if found.is_recoverable else f"[yellow]{found.sentence}[/]")
    console.print("Ctrl-C stops everything.")


def _with_port(address: str | None, port: str) -> str | None:
    if address is None:
        return None
    is_bare = ":" not in address or address.endswith("]")
    return f"{address}:{port}" if is_bare else address
