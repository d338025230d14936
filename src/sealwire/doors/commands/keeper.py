"""`sealwire keeper`: rebuild a lost keeper from its holders, or give the vault a new root key."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from sealwire.config import load_settings
from sealwire.custody.keys.holding.recovery import Source, describe
from sealwire.custody.recovery import recover_keeper
from sealwire.doors.commands._options import DataOption, JsonOption
from sealwire.errors import Malformed
from sealwire.ground.clock import SystemClock
from sealwire.ground.wire import connect

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The keeper's folder: recover it, rotate its root key."
)


class SourceMalformed(Malformed):
    """Write each --from as one word of three parts: HOST:PORT,CERTIFICATE,CODE (see bin/sealwire holder code)."""


@app.command()
def recover(
    data: DataOption,
    source: Annotated[list[str], typer.Option("--from", metavar="HOST:PORT,CERTIFICATE,CODE", help="A holder to ask.")],
    lost: Annotated[list[str] | None, typer.Option("--lost", metavar="NAME", help="A holder that is lost too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild the keeper's folder of a stopped cloud from one or more of its holders."""
    parts = [text.split(",") for text in source]
    if any(len(part) != 3 for part in parts):
        raise SourceMalformed
    sources = [Source(*part) for part in parts]
    settings = load_settings(data)
    recovered = asyncio.run(recover_keeper(settings, sources, lost=lost or [], clock=SystemClock()))
    if as_json:
        print(describe(recovered))
        return
    print(f"recovered epoch {recovered.epoch} with the keys of {recovered.accounts} accounts from {recovered.holder}")
    print("the keeper signs with a new key from now on: policies that pin the old one need the new one too")


@app.command()
def rotate_root(
    data: DataOption,
    openbao: Annotated[
        str | None, typer.Option(metavar="URL", help="Wrap it by this OpenBao's transit engine.")
    ] = None,
    key: Annotated[str, typer.Option(help="The engine's key.")] = "sealwire-root",
    token_file: Annotated[Path | None, typer.Option(help="A file with a token that may use this key.")] = None,
    ca_file: Annotated[str, typer.Option(help="Who certifies the OpenBao, if not the system's authorities.")] = "",
) -> None:
    """Seal the running keeper's vault under a new root key."""
    if openbao is not None and token_file is None:
        raise typer.BadParameter("an OpenBao needs --token-file")
    bao = None
    if openbao is not None:
        bao = {"address": openbao, "key": key, "token_file": str(token_file), "ca_file": ca_file}

    async def ask() -> int:
        peer = await connect(load_settings(data).keeper_socket)
        try:
            return int(await peer.call("rotate_root", wait_s=120.0, openbao=bao))
        finally:
            peer.close()

    print(f"the vault is sealed under a new root key since epoch {asyncio.run(ask())}")
