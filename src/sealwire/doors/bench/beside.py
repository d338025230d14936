"""Calls that are up while something else is measured: recorded and sealed, all of them, from its start to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sealwire.custody.categories import LiveCall, category_of
from sealwire.doors.bench.calling import CallsFailed, require_all_at_once, run_callers
from sealwire.doors.bench.scratch import CALLED, Scratch

ALL_UP_S_MAX = 60.0
RECORDING_AFTER_S = 8.0
"""So long after the last call came, the greeting is over and every caller is being recorded."""


@asynccontextmanager
async def calls_beside(scratch: Scratch, *, calls: int, speak_seconds: float) -> AsyncIterator[None]:
    """So many calls are up within; CallsFailed afterwards unless all were, all the while, and came to their own end."""
    to = f"sip:{CALLED}@{scratch.settings.sip_listen}"
    plan = ("--calls", str(calls), "--speak-seconds", str(speak_seconds), "--deaf")
    calling = asyncio.ensure_future(run_callers(to, *plan))
    try:
        await _until_up(scratch, calls, calling)
        began_s = time.monotonic()
        yield
        ended_s = time.monotonic()
        report = await calling
    finally:
        calling.cancel()
    require_all_at_once(report)
    if began_s < report["all_up_from_s"] or ended_s > report["all_up_until_s"]:
        raise CallsFailed("the calls beside were not all up while it was measured; the machine is busy, or too slow")


async def _until_up(scratch: Scratch, calls: int, calling: asyncio.Future[dict[str, object]]) -> None:
    for _ in range(int(ALL_UP_S_MAX * 4)):
        live = await scratch.custody.page(scratch.account, category_of(LiveCall), before=None, limit=10_000)
        if len(live) >= calls:
            await asyncio.sleep(RECORDING_AFTER_S)
            return
        if calling.done():
            calling.result()
        await asyncio.sleep(0.25)
    raise CallsFailed(f"the {calls} calls beside were not up within {ALL_UP_S_MAX:.0f} s")
