"""What all calls of one switchboard share: the engine and the rest of the house behind its ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sealwire.communications.accounting.port import Charge, Spending
from sealwire.communications.calls.pace import Pace
from sealwire.communications.calls.ports import Applications, RecordKeeper, Router, Trunks
from sealwire.communications.control.port import Sounds
from sealwire.communications.switches.port import Engine
from sealwire.communications.webhooks.events import Announcer, Event
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.vocabulary import AccountId, ApplicationId, CallId

KEEP_AGAIN_SECONDS = (0.5, 1, 2, 5, 10, 20, 30)
"""What cannot be kept is tried again after these; it waits in memory only."""


async def pass_unguarded(_: AccountId, text: str) -> str:
    """Where no card guard is wired."""
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One per process."""

    engine: Engine
    router: Router
    keeper: RecordKeeper
    clock: Clock
    applications: Applications
    spending: Spending
    trunks: Trunks
    pace: Pace
    call_seconds_max: float
    sounds: Sounds | None = None
    announcer: Announcer | None = None
    charge_speech: Callable[[AccountId, float], Awaitable[list[Charge]]] | None = None
    """What so many seconds of speech cost."""
    guard: Callable[[AccountId, str], Awaitable[str]] = pass_unguarded
    """Takes payment card numbers out of a text, as the account's policy wants it."""

    async def announce(self, account: AccountId, event: Event, **references: str | int | bool) -> None:
        """Tell the account's webhooks; what goes wrong with that is no harm to a call."""
        if self.announcer is None:
            return
        try:
            await self.announcer.announce(account, event, **references)
        except Exception as error:
            diagnostics.failure("call.not-announced", error, kind=event.value)

    async def keep(self, what: str, work: Callable[[], Awaitable[None]], *, of: CallId | ApplicationId) -> bool:
        """Do it, again and again if it must be; False when it never went well."""
        for seconds in (*KEEP_AGAIN_SECONDS, None):
            try:
                await work()
            except Exception as error:
                diagnostics.failure(f"{what}.not-kept", error, of=of, again=seconds is not None)
                if seconds is not None:
                    await asyncio.sleep(seconds)
            else:
                return True
        return False
