"""Keeps a leg within what is reserved for it: more is reserved before that runs out, or the leg ends."""

from __future__ import annotations

import asyncio
import time

from sealwire.communications.accounting.port import Admission
from sealwire.communications.calls import commands as c
from sealwire.communications.calls.line import Line
from sealwire.ground import diagnostics
from sealwire.vocabulary import HangupCause

MARGIN_SECONDS = 2.0
AGAIN_SECONDS = 0.25


async def meter(line: Line, admission: Admission) -> None:
    """Until the leg has ended. What cannot be reserved (money or its database is out) ends it in time."""
    await line.came_up.wait()
    answered_s = time.monotonic()
    while not line.ended.is_set():
        left = answered_s + admission.seconds - time.monotonic()
        margin = min(MARGIN_SECONDS, admission.seconds / 4)
        if left > margin:
            await asyncio.sleep(left - margin)
            continue
        if left > 0:
            try:
                if await admission.extend():
                    continue
            except Exception as error:
                diagnostics.failure("call.not-extended", error, call=line.call_id)
                await asyncio.sleep(min(AGAIN_SECONDS, left))
                continue
            await asyncio.sleep(max(0.0, answered_s + admission.seconds - time.monotonic()))
        diagnostics.event("call.spend-cap", call=line.call_id)
        line.feed(c.HangUp(HangupCause.SPEND_CAP))
        return
