"""The keeper process: `python -m sealwire.doors.keeper --data DIR`. Alone with the keys, behind one Unix socket."""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

from sealwire.config import Settings, load_settings
from sealwire.custody.categories import CATALOGUE
from sealwire.custody.keys.effaceability import test_volume
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.refusals import ClockInjected, ClockSuspect
from sealwire.custody.keys.service import KeeperService
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import SystemClock
from sealwire.ground.wire import serve

SWEEP_SECONDS = 60.0
FINDABLE = {category.code: category.findable_positions for category in CATALOGUE}
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_MLOCK_CURRENT_FUTURE_ONFAULT = 1 | 2 | 4


def harden() -> bool:
    """No core dumps, no reading by others, memory locked where allowed; True when it is locked."""
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        hard = resource.RLIM_INFINITY
    if hard != resource.RLIM_INFINITY and os.geteuid() != 0:
        return False
    return bool(libc.mlockall(_MLOCK_CURRENT_FUTURE_ONFAULT) == 0)


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
    keeper = await Keeper.open(settings.keeper_dir, clock=SystemClock(), effaceability=effaceability, findable=FINDABLE)
    try:
        service = KeeperService(keeper, memory_locked=memory_locked)
        server = await serve(settings.keeper_socket, service.handlers(), on_close=service.closed)
        diagnostics.event(
            "keeper.ready",
            epoch=keeper.vault.epoch.number,
            accounts=len(keeper.vault.index.shards),
            effaceability=effaceability.effaceability_class,
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
