"""`sealwire holder`: further holders of the keys, so that one lost disk is not the loss of everything."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from sealwire.config import load_settings
from sealwire.custody.keys.holding.service import new_code
from sealwire.custody.keys.sharing.store import ShareStore
from sealwire.doors.commands._options import DataOption, JsonOption
from sealwire.doors.holder import serve_until_told
from sealwire.doors.holder_told import tell_of_holder
from sealwire.doors.share import LEASE_S, destroy_share
from sealwire.doors.share import serve_until_told as serve_shares_until_told
from sealwire.evidence.leaves import LeafClass
from sealwire.ground.wire import connect
from sealwire.vocabulary import AccountId

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Further holders of the keys, on other disks.")
StateOption = Annotated[
    Path, typer.Option("--state", metavar="DIR", help="The holder's own folder, on a disk of its own.")
]


AccountOption = Annotated[str, typer.Option("--account", metavar="acc_...", help="The account.")]


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
    tell_of_holder(
        load_settings(data), LeafClass.HOLDER_JOINED, _ask(data, "keeper_accounts"), member["vkey"], operator
    )
    print(f"{name} of {operator} has joined; pin it in your policies: {member['vkey']}")


@app.command()
def remove(name: str, data: DataOption) -> None:
    """Count a holder no more. By this you say that its copy is destroyed or lost."""
    known = {each["holder"]: each for each in _ask(data, "holders")}
    _ask(data, "holder_remove", holder=name)
    gone, settings = known[name], load_settings(data)
    tell_of_holder(settings, LeafClass.HOLDER_LEFT, _ask(data, "keeper_accounts"), gone["vkey"], gone["operator"])
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


@app.command(name="join-share")
def join_share(
    address: Annotated[str, typer.Argument(metavar="HOST:PORT")],
    certificate: Annotated[str, typer.Argument(help="The certificate's pin, as the customer's holder printed it.")],
    joining_code: Annotated[str, typer.Argument(metavar="CODE")],
    account: AccountOption,
    data: DataOption,
) -> None:
    """Give an account a customer's holder: from now on nothing of it opens without that holder's half."""
    about = _ask(data, "share_join", account=account, address=address, pin=certificate, code=joining_code)
    tell_of_holder(load_settings(data), LeafClass.HOLDER_JOINED, [account], about["vkey"], about["operator"])
    print(f"{about['vkey'].partition('+')[0]} of {about['operator']} has joined {account}; pin it: {about['vkey']}")


@app.command(name="leave-share")
def leave_share(account: AccountOption, data: DataOption) -> None:
    """Take a customer's holder off an account again, while it lends; its customer destroys the share afterwards."""
    before = _ask(data, "share", account=account)
    _ask(data, "share_leave", account=account)
    tell_of_holder(load_settings(data), LeafClass.HOLDER_LEFT, [account], before["vkey"], before["operator"])
    print(f"{account} opens without a customer's holder again")


@app.command(name="share")
def show_share(account: AccountOption, data: DataOption) -> None:
    """How the share of an account stands, as one JSON object."""
    print(json.dumps(_ask(data, "share", account=account)))


@app.command(name="serve-share")
def serve_share(
    state: StateOption,
    listen: Annotated[str, typer.Option("--listen", metavar="HOST:PORT")] = "127.0.0.1:8460",
    operator: Annotated[
        str, typer.Option("--operator", help="Who runs it; every receipt says so.")
    ] = "unnamed customer",
    lease_seconds: Annotated[
        int, typer.Option("--lease-seconds", help="For how long a key is lent at a time: 5 seconds to 7 days.")
    ] = LEASE_S,
) -> None:
    """For customers: hold half of what opens your account, until Ctrl-C. It holds shares and nothing else."""
    serve_shares_until_told(state, listen=listen, operator=operator, lease_s=lease_seconds)


@app.command(name="shares")
def list_shares(state: StateOption) -> None:
    """For customers: the shares of this folder, one JSON object a line."""
    for meta in ShareStore(state).metas():
        print(json.dumps(msgspec.to_builtins(meta)))


@app.command(name="destroy-share")
def destroy_one_share(
    state: StateOption,
    account: Annotated[str, typer.Option("--account", metavar="acc_...", help="The account that it opens half of.")],
    operator: Annotated[str, typer.Option("--operator", help="Who runs it; the receipt says so.")] = "unnamed customer",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """For customers: destroy a share, and with it all of the account but invoices and its log. There is no way back.

    What is held by law or dispute goes too. Prints the signed receipt.
    """
    if not yes:
        typer.confirm(f"Destroy the share of {account}? Nothing of it will ever open again", abort=True)
    receipt = destroy_share(state, AccountId.parse(account), operator=operator)
    print(msgspec.json.encode(receipt).decode())


def _ask(data: Path, name: str, **body: Any) -> Any:
    async def ask() -> Any:
        peer = await connect(load_settings(data).keeper_socket)
        try:
            return await peer.call(name, wait_s=600.0, **body)
        finally:
            peer.close()

    return asyncio.run(ask())
