"""The keeper process: `python -m sealwire.doors.keeper --data DIR`. Alone with the keys, behind one Unix socket."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from sealwire.config import Settings, load_settings
from sealwire.custody.categories import CATALOGUE
from sealwire.custody.keys.effaceability import test_volume
from sealwire.custody.keys.holding.desk import holder_handlers
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.refusals import ClockInjected, ClockSuspect
from sealwire.custody.keys.service import KeeperService
from sealwire.custody.keys.sharing.desk import share_handlers
from sealwire.doors.hardening import harden
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import SystemClock
from sealwire.ground.wire import serve

SWEEP_SECONDS = 60.0
FIRST_SWEEP_AFTER_S = 30.0
"""Longer periods that were chosen while this was away are told to it before (the worker's duty `settle`)."""
FINDABLE = {category.code: category.findable_positions for category in CATALOGUE}


async def run(settings: Settings) -> None:
    """Serve until SIGTERM; raises when the vault cannot be opened or breaks."""
    if os.environ.get("SEALWIRE_CLOCK"):
        raise ClockInjected
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    memory_locked = harden()
    settings.keeper_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    effaceability = await asyncio.to_thread(test_volume, settings.keeper_dir)
    keeper = await Keeper.open(
        settings.keeper_dir,
        clock=SystemClock(),
        effaceability=effaceability,
        findable=FINDABLE,
        operator=settings.operator_name,
        heads=settings.evidence_dir / "heads.lock",
        holders_required=settings.holders_required,
    )
    try:
        service = KeeperService(keeper, memory_locked=memory_locked)
        handlers = service.handlers() | holder_handlers(keeper) | share_handlers(keeper)
        server = await serve(settings.keeper_socket, handlers, on_close=service.closed)
        diagnostics.event(
            "keeper.ready",
            epoch=keeper.vault.epoch.number,
            accounts=len(keeper.vault.index.shards),
            effaceability=effaceability.effaceability_class,
            holders=1 + len(keeper.companions.names),
            holders_away=len(keeper.companions.away),
            memory_locked=memory_locked,
            clock_trusted=keeper.calendar.trusted,
        )
        sweeper = asyncio.create_task(_sweep_every_minute(keeper))
        keeper.broken.add_done_callback(lambda _: stop.set())
        await stop.wait()
        sweeper.cancel()
        server.close()
        await service.stop()
        settings.keeper_socket.unlink(missing_ok=True)
    finally:
        await keeper.close()
        diagnostics.event("keeper.stopped")
    if keeper.broken.done():
        raise keeper.broken.result()


async def _sweep_every_minute(keeper: Keeper) -> None:
    await asyncio.sleep(FIRST_SWEEP_AFTER_S)
    while True:
        try:
            if days := await keeper.sweep():
                diagnostics.event("keeper.swept", days=days)
        except ClockSuspect as error:
            diagnostics.failure("keeper.clock-suspect", error)
        except (SealwireError, OSError) as error:
            diagnostics.failure("keeper.sweep-failed", error)
        await asyncio.sleep(SWEEP_SECONDS)


def main() -> None:
    """Exit 0 after SIGTERM, 1 with one sentence when something refuses."""
    parser = argparse.ArgumentParser(prog="sealwire.doors.keeper", description="Holds the keys of one Sealwire cloud.")
    parser.add_argument("--data", required=True, type=Path, metavar="DIR", help="the data folder")
    arguments = parser.parse_args()
    diagnostics.start("keeper")
    try:
        asyncio.run(run(load_settings(arguments.data)))
    except SealwireError as error:
        print(f"keeper: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
