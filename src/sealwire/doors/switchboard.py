"""The switchboard process: takes calls and hands what they leave to custody.

`python -m sealwire.doors.switchboard --data DIR`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sealwire.communications.calls.switchboard import Switchboard
from sealwire.communications.numbers import NumberRouter
from sealwire.communications.records import CallRecords, close_orphans
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.config import Settings
from sealwire.custody.lifecycle import connect_custody
from sealwire.doors.process import run_process
from sealwire.governance.accounts import accounts_with_numbers
from sealwire.ground import diagnostics
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn

IDLE_CHECK_S = 20.0
HEARTBEAT_S = 5.0


async def main(settings: Settings) -> None:
    """Close what a crash left open, take calls until told to stop, then end them and keep their records."""
    clock = SystemClock()
    custody = await connect_custody(settings, dsn(settings, "sealwire_service"), clock)
    orphans = await close_orphans(custody, accounts=await accounts_with_numbers(custody.database))
    diagnostics.event("switchboard.recovered", calls=orphans)
    records = CallRecords(custody)
    switchboard = Switchboard(
        BaresipEngine.from_settings(settings),
        router=NumberRouter(custody),
        keeper=records,
        clock=clock,
        call_seconds_max=settings.call_seconds_max,
        on_live=records.call_started,
    )
    await switchboard.start()
    try:
        async with asyncio.TaskGroup() as duties:
            duties.create_task(_again_and_again(custody.sealer.drop_idle, IDLE_CHECK_S))
            duties.create_task(_again_and_again(records.note_live_calls, HEARTBEAT_S))
    finally:
        await switchboard.stop()
        await custody.close()


async def _again_and_again(act: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Until cancelled. Calls are up meanwhile, so a keeper or database that is away must not end this process."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await act()
        except Exception as error:
            diagnostics.failure("switchboard.duty-failed", error, duty=act.__name__)


if __name__ == "__main__":
    run_process("switchboard", main)
