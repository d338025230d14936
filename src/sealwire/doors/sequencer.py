"""The sequencer's process: `python -m sealwire.doors.sequencer --data DIR`. The one writer of every account's log."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvloop

from sealwire.config import Settings, load_settings
from sealwire.custody.categories import AUDIT_CODE
from sealwire.custody.lifecycle import keeper_client
from sealwire.custody.sealing.sealer import Sealer
from sealwire.errors import SealwireError
from sealwire.evidence.heads import Heads
from sealwire.evidence.journal import LeafJournal
from sealwire.evidence.leaves import SealedPayload
from sealwire.evidence.sequencer import Sequencer
from sealwire.evidence.service import Connections, handlers
from sealwire.evidence.signer import LogSigner
from sealwire.ground import diagnostics, wire
from sealwire.ground.clock import Clock, SystemClock, today
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId

DROP_IDLE_S = 30.0


class TreeSealer:
    """Seals payloads of the log under the audit category of the account's key tree."""

    def __init__(self, sealer: Sealer, clock: Clock) -> None:
        self._sealer, self._clock = sealer, clock

    async def seal(self, account: AccountId, payload: bytes, /) -> SealedPayload:
        slot = await self._sealer.slot(account, category=AUDIT_CODE, day=today(self._clock))
        sealed = slot.seal(payload, [])
        return SealedPayload(sealed.context.day, sealed.context.slot, sealed.blob)


async def serve(settings: Settings) -> None:
    """Serve until told to stop. Refuses to start when the database is older than what was signed."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = SystemClock()
    heads = Heads.open(settings.evidence_dir)
    database = await Database.connect(dsn(settings, "sealwire_sequencer"), size_max=4)
    keeper = keeper_client(settings)
    sealer = Sealer(keeper, clock)
    journal = LeafJournal(settings.evidence_dir, clock)
    try:
        signer = LogSigner.load(settings.evidence_dir, may_make=not heads.accounts())
        sequencer = Sequencer(
            database=database, heads=heads, signer=signer, sealer=TreeSealer(sealer, clock), clock=clock,
            journal=journal,
        )  # fmt: skip
        await sequencer.start()
        connections = Connections()
        calls = connections.remembering(handlers(sequencer))
        server = await wire.serve(settings.sequencer_socket, calls, on_close=connections.forget)
        diagnostics.event("sequencer.ready", logs=sequencer.log_count)
        async with server:
            await _until(stop, sequencer.run(), _drop_idle(sealer))
            server.close()
            await connections.close()
    finally:
        await keeper.close()
        await database.close()
        journal.close()
        heads.close()


async def _until(stop: asyncio.Event, *duties: Coroutine[Any, Any, None]) -> None:
    """Run the duties until told to stop; the first that fails ends the process."""
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(duty) for duty in (stop.wait(), *duties)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


async def _drop_idle(sealer: Sealer) -> None:
    while True:
        await asyncio.sleep(DROP_IDLE_S)
        try:
            await sealer.drop_idle()
        except Exception as error:
            diagnostics.failure("leases.not-dropped", error)


def main() -> int:
    """Process entry; exit code 1 with one sentence when it cannot go on."""
    parser = argparse.ArgumentParser(prog="sealwire.doors.sequencer", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    diagnostics.start("sequencer")
    try:
        uvloop.run(serve(load_settings(options.data)))
    except SealwireError as error:
        diagnostics.event("sequencer.stopped", error=error.code())
        print(f"sequencer: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        diagnostics.failure("process.failed", error)
        print(f"sequencer: stopped by {type(error).__name__}; the line above says where", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
