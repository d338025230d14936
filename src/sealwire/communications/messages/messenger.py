"""The messenger: one session with the message centre, kept up, and the duties around it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from sealwire.communications.messages.centre import Centre
from sealwire.communications.messages.charging import Charging
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox
from sealwire.communications.messages.parts import Arrivals
from sealwire.communications.messages.queue import Queue
from sealwire.communications.messages.receiving import ReceiptDesk, Receiver
from sealwire.communications.messages.redaction import Redactor
from sealwire.communications.messages.sending import Sender
from sealwire.communications.messages.session import BindRefused, CentreAway, Session
from sealwire.communications.messages.telling import Teller
from sealwire.communications.webhooks.events import Announcer
from sealwire.custody.lifecycle import Custody
from sealwire.ground import diagnostics

PATIENCE_S_MIN, PATIENCE_S_MAX = 0.2, 15.0
CHARGES_WAIT_S_MAX = 10.0
STATES_KEPT = dt.timedelta(days=200)
"""Longer than any record of a message may be kept (180 days)."""
Act = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the messenger works with."""

    custody: Custody
    outbox: MessageOutbox
    opt_outs: OptOuts
    announcer: Announcer
    charging: Charging | None
    backup_cycle_days: int


class Messenger:
    """Runs for the life of its process."""

    def __init__(self, centre: Centre, around: Surroundings) -> None:
        custody = around.custody
        self._centre, self._custody, self._charging = centre, custody, around.charging
        self._queue = Queue(custody.database)
        self._sender = Sender(custody, self._queue)
        self._desk = ReceiptDesk(self._queue, self._sender, clock=custody.clock)
        self._arrivals = Arrivals(custody, self._queue)
        self._receiver = Receiver(
            custody, desk=self._desk, arrivals=self._arrivals, opt_outs=around.opt_outs, outbox=around.outbox
        )
        self._teller = Teller(self._queue, around.announcer, clock=custody.clock)
        self._redactor = Redactor(custody, self._queue, backup_cycle_days=around.backup_cycle_days)
        self.is_bound = False

    def wake(self) -> None:
        """A message was put into the queue."""
        self._sender.wake()

    async def recover(self) -> None:
        """Take up what an earlier life of this process left under way."""
        accounts = await self._queue.take_back(self._custody.clock.now())
        parts = await self._arrivals.recover()
        diagnostics.event("messenger.recovered", accounts=accounts, parts=parts)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sender.run())
            tasks.create_task(self._desk.run())
            tasks.create_task(self._stay_bound())
            for act, every_s in self._duties():
                tasks.create_task(_repeat(act, every_s))

    def _duties(self) -> list[tuple[Act, float]]:
        duties: list[tuple[Act, float]] = [
            (self._teller.tell_all, 0.5),
            (self._redactor.redact_all, 2.0),
            (self._arrivals.make_late, 10.0),
            (self._end_unconfirmed, 60.0),
            (self._drop_old, 3600.0),
            (self._custody.sealer.drop_idle, 20.0),
        ]
        return duties if self._charging is None else [*duties, (self._settle, 1.0)]

    async def _settle(self) -> None:
        """Charges wait while messages go out, but not for long: they are as certain later. Then all of them: where
        messages never cease, waiting before each batch would leave more behind each time.
        """
        assert self._charging is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._sender.idle.wait(), CHARGES_WAIT_S_MAX)
        while await self._charging.settle_all():
            pass

    async def _stay_bound(self) -> None:
        patience_s = PATIENCE_S_MIN
        while True:
            try:
                session = await Session.bind(self._centre, self._receiver.take)
            except (CentreAway, BindRefused) as error:
                diagnostics.failure("messenger.not-bound", error, again_in_s=patience_s)
                await asyncio.sleep(patience_s)
                patience_s = min(2 * patience_s, PATIENCE_S_MAX)
                continue
            diagnostics.event("messenger.bound")
            patience_s, self.is_bound = PATIENCE_S_MIN, True
            self._sender.use(session)
            try:
                await session.closed.wait()
            finally:
                self.is_bound = False
                self._sender.use(None)
                await session.close()
            diagnostics.event("messenger.unbound")
            await asyncio.sleep(PATIENCE_S_MIN)

    async def _end_unconfirmed(self) -> None:
        await self._queue.end_unconfirmed(self._custody.clock.now())

    async def _drop_old(self) -> None:
        await self._queue.drop_old(self._custody.clock.now() - STATES_KEPT)


async def _repeat(act: Act, every_s: float) -> None:
    """Until cancelled; at once again while there is more. A part that is away must not end this process."""
    while True:
        try:
            more = await act()
        except Exception as error:
            diagnostics.failure("messenger.duty-failed", error, duty=getattr(act, "__name__", "duty"))
            more = None
        if more is not True:
            await asyncio.sleep(every_s)
