"""`sealwire holder`: further holders of the keys, so that one lost disk is not the loss of everything."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sealwire.config import load_settings
from sealwire.custody.keys.holding.service import new_code
from sealwire.doors.commands._options import DataOption, JsonOption
from sealwire.doors.holder import serve_until_told
from sealwire.ground.wire import connect

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Further holders of the keys, on other disks.")
StateOption = Annotated[
    Path, typer.Option("--state", metavar="DIR", help="The holder's own folder, on a disk of its own.")
]


@app.command()
def serve(
    state: StateOption,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT")] = "127.0.0.1:8450",
    operator: Annotated[
        str, typer.Option("--operator", help="Who runs it; every receipt says so.")
    ] = "unnamed operator",
) -> None:
    """Run a holder until Ctrl-C. At its first start it prints what the keeper's machine needs to join it."""
    serve_until_told(state, listen=listen, operator=operator)


@app.command()
def code(state: StateOption) -> None:
    """Make a new joining or recovery code for the holder of this folder; good once."""
    print(new_code(state))


@app.command()
def join(
    address: Annotated[str, typer.Argument(metavar="HOST:PORT")],
    certificate: Annotated[str, typer.Argument(help="The certificate's pin, as the holder printed it.")],
    joining_code: Annotated[str, typer.Argument(metavar="CODE")],
    data: DataOption,
) -> None:
    """Join a holder to the running cloud: it gets a full copy and takes part from then on."""
    member = _ask(data, "holder_join", address=address, pin=certificate, code=joining_code)
    name, operator = member["vkey"].partition("+")[0], member["operator"]
    print(f"{name} of {operator} has joined; pin it in your policies: {member['vkey']}")


@app.command()
def remove(name: str, data: DataOption) -> None:
    """Count a holder no more. By this you say that its copy is destroyed or lost."""
    _ask(data, "holder_remove", holder=name)
    print(f"{name} takes part no more; erasures wait for it no more")


@app.command(name="list")
def list_holders(data: DataOption, as_json: JsonOption = False) -> None:
    """The holders that have joined, and whether they are here."""
    for holder in _ask(data, "holders"):
        if as_json:
            print(json.dumps(holder))
        else:
            here = "up to date" if holder["is_up"] else "AWAY: erasures wait for it"
            print(f"{holder['holder']}  {holder['operator']}  {holder['address']}  {holder['failure_domain']}  {here}")


def _ask(data: Path, name: str, **body: Any) -> Any:
    async def ask() -> Any:
        peer = await connect(load_settings(data).keeper_socket)
        try:
            return await peer.call(name, wait_s=600.0, **body)
        finally:
            peer.close()

    return asyncio.run(ask())
