"""The messenger process: messages out and in, by one session with the message centre.

`python -m sealwire.doors.messenger --data DIR`. It is started only where a message centre is configured.
"""

from __future__ import annotations

import asyncio

from sealwire.communications.accounting.spending import AccountSpending
from sealwire.communications.messages.centre import Centre
from sealwire.communications.messages.charging import Charging
from sealwire.communications.messages.messenger import Messenger, Surroundings
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox
from sealwire.communications.messages.queue import CHANNEL
from sealwire.communications.webhooks.announcer import OutboxAnnouncer
from sealwire.config import Settings
from sealwire.custody.lifecycle import connect_custody
from sealwire.doors.process import run_process
from sealwire.governance.billing.tariff import load_tariff
from sealwire.ground import wire
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.listener import Listener

ROLE = "sealwire_service"


async def main(settings: Settings) -> None:
    """Take up what a crash left, then send and receive until told to stop."""
    centre = Centre.from_settings(settings)
    custody = await connect_custody(settings, dsn(settings, ROLE), SystemClock())
    try:
        opt_outs = OptOuts(custody)
        announcer = OutboxAnnouncer(custody.database, custody.clock)
        spending = AccountSpending(custody.database, custody.clock, load_tariff(settings.tariff), announcer=announcer)
        outbox = MessageOutbox(custody, opt_outs=opt_outs, spending=spending)
        charging = Charging(custody, spending)
        around = Surroundings(custody, outbox, opt_outs, announcer, charging, settings.backup_cycle_days)
        messenger = Messenger(centre, around)
        await messenger.recover()
        listener = Listener(dsn(settings, ROLE), {CHANNEL: messenger.wake}, on_connected=messenger.wake)
        async with asyncio.TaskGroup() as duties:
            duties.create_task(listener.run())
            duties.create_task(messenger.run())
            duties.create_task(_answer(settings, messenger))
    finally:
        await custody.close()


async def _answer(settings: Settings, messenger: Messenger) -> None:
    """A socket that answers, so that the supervisor knows that this process is ready; it says whether it is bound."""

    async def status(_peer: wire.Peer, _body: dict[str, object]) -> dict[str, bool]:
        return {"bound": messenger.is_bound}

    async with await wire.serve(settings.messenger_socket, {"status": status}) as server:
        await server.serve_forever()


if __name__ == "__main__":
    run_process("messenger", main)
