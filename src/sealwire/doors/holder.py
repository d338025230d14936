"""The holder process, `sealwire holder serve`: a further holder of one installation's keys, on a disk of its own."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from sealwire.custody.keys.effaceability import test_volume
from sealwire.custody.keys.holding.identity import server_context
from sealwire.custody.keys.holding.service import HolderService, new_code
from sealwire.custody.keys.receipts import HolderKey
from sealwire.custody.keys.refusals import ClockInjected
from sealwire.doors.hardening import harden
from sealwire.errors import Malformed, SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import SystemClock
from sealwire.ground.wire import Handler, Peer

CONNECTIONS_MAX = 32


class Serving(Protocol):
    """What can be served as a holder."""

    key: HolderKey
    broken: asyncio.Future[SealwireError]

    def handlers(self) -> dict[str, Handler]:
        """Handlers by name."""


class ListenMalformed(Malformed):
    """Write where to listen as host:port, with a port up to 65535."""


async def run(state: Path, *, listen: str, operator: str) -> None:
    """Serve until SIGTERM; raises when the folder cannot be opened or an old key could not be destroyed."""
    host, port = place_to_listen(listen)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    memory_locked = harden(dies_with_parent=False)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anything is served
    effaceability = await asyncio.to_thread(test_volume, state)
    context, pin = server_context(state)
    service = HolderService(
        state, pin=pin, clock=SystemClock(), effaceability=effaceability, operator=operator, memory_locked=memory_locked
    )
    try:
        await serve_holder(service, context, stop, (host, port), _announce)
    finally:
        service.close()
        diagnostics.event("holder.stopped")
    if service.broken.done():
        raise service.broken.result()


def place_to_listen(listen: str) -> tuple[str, int]:
    """Host and port; also refuses what no holder may be started with."""
    if os.environ.get("SEALWIRE_CLOCK"):
        raise ClockInjected("a holder takes its time from the machine alone; remove SEALWIRE_CLOCK and start again")
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) >= 1 << 16:
        raise ListenMalformed
    return host.strip("[]"), int(port)


async def serve_holder(
    service: Serving,
    context: ssl.SSLContext,
    stop: asyncio.Event,
    place: tuple[str, int],
    announce: Callable[[Any, str], None],
) -> None:
    """Answer on this place until told to stop."""
    peers: set[Peer] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(peers) >= CONNECTIONS_MAX:
            writer.close()
            return
        peer = Peer(service.handlers())
        peers.add(peer)
        try:
            await peer.run(reader, writer)
        finally:
            peers.discard(peer)

    server = await asyncio.start_server(connected, *place, ssl=context)
    service.broken.add_done_callback(lambda _: stop.set())
    port = server.sockets[0].getsockname()[1]
    announce(service, f"{place[0]}:{port}")
    diagnostics.event("holder.ready", holder=service.key.name, port=port)
    await stop.wait()
    server.close()
    for peer in list(peers):
        peer.close()


def _announce(service: HolderService, address: str) -> None:
    """What the operator needs to join it; the code is shown once and only its hash is kept."""
    print(f"holder {service.key.vkey}")
    print(f"listening on {address}, certificate {service.pin}")
    if service.state.pairing is None:
        joining = f"{address} {service.pin} {new_code(service.folder)}"
        print(f"not joined yet; on the keeper's machine: sealwire holder join {joining}")
    sys.stdout.flush()


def main() -> None:
    """Exit 0 after SIGTERM, 1 with one sentence when something refuses."""
    parser = argparse.ArgumentParser(prog="sealwire.doors.holder", description="A further holder of the keys.")
    parser.add_argument("--state", required=True, type=Path, metavar="DIR")
    parser.add_argument("--listen", default="127.0.0.1:8450", metavar="HOST:PORT")
    parser.add_argument("--operator", default="unnamed operator")
    arguments = parser.parse_args()
    serve_until_told(arguments.state, listen=arguments.listen, operator=arguments.operator)


def serve_until_told(state: Path, *, listen: str, operator: str) -> None:
    """Run a holder in this process until SIGTERM; exits 1 with one sentence when something refuses."""
    diagnostics.start("holder")
    try:
        asyncio.run(run(state, listen=listen, operator=operator))
    except (SealwireError, OSError) as error:
        print(f"holder: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
