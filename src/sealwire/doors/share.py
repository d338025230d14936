"""The customer's holder process, `sealwire holder serve-share`: it holds shares of accounts and nothing else."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

from sealwire.custody.keys.effaceability import test_volume
from sealwire.custody.keys.holding.identity import server_context
from sealwire.custody.keys.holding.service import new_code
from sealwire.custody.keys.receipts import HolderKey
from sealwire.custody.keys.sharing.messages import LEASE_S_MAX, LEASE_S_MIN
from sealwire.custody.keys.sharing.receipt import ShareReceipt
from sealwire.custody.keys.sharing.service import ShareService
from sealwire.custody.keys.sharing.store import ShareStore
from sealwire.doors.hardening import harden
from sealwire.doors.holder import place_to_listen, serve_holder
from sealwire.errors import Malformed, SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import SystemClock, rfc3339
from sealwire.vocabulary import AccountId

LEASE_S = 3600


class LeaseMalformed(Malformed):
    """A share is lent for 5 seconds to 7 days at a time; write --lease-seconds within that."""


async def run(state: Path, *, listen: str, operator: str, lease_s: int) -> None:
    """Serve until SIGTERM; raises when the folder cannot be opened or an old share could not be destroyed."""
    place = place_to_listen(listen)
    if not LEASE_S_MIN <= lease_s <= LEASE_S_MAX:
        raise LeaseMalformed
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    harden(dies_with_parent=False)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anything is served
    effaceability = await asyncio.to_thread(test_volume, state)
    context, pin = server_context(state)
    service = ShareService(
        state, pin=pin, clock=SystemClock(), effaceability=effaceability, operator=operator, lease_s=lease_s
    )
    telling = asyncio.create_task(service.tell_destroyed())
    try:
        await serve_holder(service, context, stop, place, _announce)
    finally:
        telling.cancel()
        with suppress(asyncio.CancelledError):
            await telling
        diagnostics.event("holder.stopped")
    if service.broken.done():
        raise service.broken.result()


def destroy_share(state: Path, account: AccountId, *, operator: str) -> ShareReceipt:
    """Destroy a share, whether or not its holder is running, and sign that."""
    return ShareStore(state).destroy(
        account, key=HolderKey.open(state / "holder.key", create=False), operator=operator,
        effaceability_class=test_volume(state).effaceability_class, at=rfc3339(SystemClock().now()),
    )  # fmt: skip


def _announce(service: ShareService, address: str) -> None:
    """What the owner of an account needs; the code is shown once and only its hash is kept."""
    print(f"holder {service.key.vkey}")
    print(f"listening on {address}, certificate {service.pin}")
    if not service.store.metas():
        print(f"no share yet; joining code {new_code(service.folder)}")
    sys.stdout.flush()


def main() -> None:
    """Exit 0 after SIGTERM, 1 with one sentence when something refuses."""
    parser = argparse.ArgumentParser(prog="sealwire.doors.share", description="A customer's holder of shares.")
    parser.add_argument("--state", required=True, type=Path, metavar="DIR")
    parser.add_argument("--listen", default="127.0.0.1:8460", metavar="HOST:PORT")
    parser.add_argument("--operator", default="unnamed customer")
    parser.add_argument("--lease-seconds", type=int, default=LEASE_S)
    given = parser.parse_args()
    serve_until_told(given.state, listen=given.listen, operator=given.operator, lease_s=given.lease_seconds)


def serve_until_told(state: Path, *, listen: str, operator: str, lease_s: int) -> None:
    """Run a customer's holder in this process until SIGTERM; exits 1 with one sentence when something refuses."""
    diagnostics.start("holder")
    try:
        asyncio.run(run(state, listen=listen, operator=operator, lease_s=lease_s))
    except (SealwireError, OSError) as error:
        print(f"holder: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
