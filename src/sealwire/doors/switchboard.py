"""The switchboard process: takes and places calls, runs their applications, hands what they leave to custody.

`python -m sealwire.doors.switchboard --data DIR`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from sealwire.communications.accounting.recovery import Biller
from sealwire.communications.accounting.spending import AccountSpending
from sealwire.communications.calls.exchange import Exchange
from sealwire.communications.calls.pace import Pace
from sealwire.communications.calls.remote import SwitchboardHandlers
from sealwire.communications.calls.switchboard import Switchboard
from sealwire.communications.cardguard import CardPolicy, guard
from sealwire.communications.carriers.trunks import Carriers
from sealwire.communications.control.applications import ServiceApplications
from sealwire.communications.control.pages.client import PageClient, stored_secrets
from sealwire.communications.control.programs.directory import ProgramDirectory
from sealwire.communications.egress import Egress
from sealwire.communications.media.sounds import MediaSounds
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox
from sealwire.communications.numbers import NumberRouter
from sealwire.communications.records import CallRecords, close_orphans
from sealwire.communications.speech import speech_engine
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.communications.webhooks.announcer import OutboxAnnouncer
from sealwire.config import Settings
from sealwire.custody.lifecycle import Custody, connect_custody
from sealwire.doors import uas_gateway
from sealwire.doors.process import run_process
from sealwire.governance.accounts import accounts_with_numbers
from sealwire.governance.billing.tariff import load_tariff
from sealwire.ground import diagnostics, wire
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.process import settle
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import AccountId

IDLE_CHECK_S = 20.0
HEARTBEAT_S = 5.0
BILL_LATE_S = 300.0
CONNECTIONS = 8


async def main(settings: Settings) -> None:
    """Close what a crash left open, take calls until told to stop, then end them and keep their records."""
    clock = SystemClock()
    custody = await connect_custody(settings, dsn(settings, "sealwire_service"), clock, connections_max=CONNECTIONS)
    announcer = OutboxAnnouncer(custody.database, clock)
    spending = AccountSpending(custody.database, clock, load_tariff(settings.tariff), announcer=announcer)
    biller = Biller(custody, spending)
    accounts = await accounts_with_numbers(custody.database)
    orphans = await close_orphans(custody, accounts=accounts, biller=biller, announcer=announcer)
    diagnostics.event("switchboard.recovered", calls=orphans)
    await _open_connections(custody)
    records = CallRecords(custody)
    box = SecretBox.open(settings)
    carriers = Carriers.of(settings, custody.database, box)
    sounds = MediaSounds(custody, speech_engine(settings.speech_engine))
    messages = MessageOutbox(custody, opt_outs=OptOuts(custody), spending=spending, has_centre=bool(settings.smsc))
    programs = ProgramDirectory(sounds=sounds, messages=messages)
    secrets = stored_secrets(custody.database, box, clock)
    pages = PageClient(Egress.of(settings), signing_secrets=secrets, clock=clock)
    exchange = Exchange(
        engine=BaresipEngine.from_settings(settings),
        router=NumberRouter(custody, gate=carriers),
        keeper=records,
        clock=clock,
        applications=ServiceApplications(sounds=sounds, messages=messages, pages=pages, programs=programs),
        spending=spending,
        trunks=carriers,
        pace=Pace(),
        call_seconds_max=settings.call_seconds_max,
        sounds=sounds,
        announcer=announcer,
        charge_speech=lambda account, seconds: spending.charge_speech(account, seconds=seconds),
        guard=card_guard(spending),
    )
    switchboard = Switchboard(exchange)
    await switchboard.start()
    settle()
    try:
        async with asyncio.TaskGroup() as duties:
            duties.create_task(_again_and_again(custody.sealer.drop_idle, IDLE_CHECK_S))
            duties.create_task(_again_and_again(records.note_live_calls, HEARTBEAT_S))
            duties.create_task(_again_and_again(partial(_bill_late, biller, custody), BILL_LATE_S))
            duties.create_task(_serve(settings, SwitchboardHandlers(switchboard, sounds=sounds, messages=messages)))
            duties.create_task(_take_programs(settings, programs, custody))
    finally:
        await switchboard.stop()
        await custody.close()


async def _open_connections(custody: Custody) -> None:
    """Connections to the database are there before the first calls come, which would wait for them."""
    await asyncio.gather(*(accounts_with_numbers(custody.database) for _ in range(CONNECTIONS)))


async def _bill_late(biller: Biller, custody: Custody) -> None:
    """What was settled while nothing could be kept."""
    for account in await accounts_with_numbers(custody.database):
        await biller.bill_settled(account)


def card_guard(spending: AccountSpending) -> Callable[[AccountId, str], Awaitable[str]]:
    """Takes card numbers out of what a record would hold; what may not be refused any more is masked."""

    async def guarded(account: AccountId, text: str) -> str:
        if guard(text) == text:
            return text
        policy = await spending.card_policy(account)
        return guard(text, CardPolicy.OFF if policy is CardPolicy.OFF else CardPolicy.MASK)

    return guarded


async def _serve(settings: Settings, handlers: SwitchboardHandlers) -> None:
    async with await wire.serve(settings.switchboard_socket, handlers.handlers()) as server:
        await server.serve_forever()


async def _take_programs(settings: Settings, programs: ProgramDirectory, custody: Custody) -> None:
    """Customers' programs; without them (their address is taken) calls of other services go on."""
    while True:
        try:
            await uas_gateway.serve(settings, programs, database=custody.database, clock=custody.clock)
        except Exception as error:
            diagnostics.failure("switchboard.programs-not-served", error)
        await asyncio.sleep(HEARTBEAT_S)


async def _again_and_again(act: Callable[[], Awaitable[None]], every_s: float) -> None:
    """Until cancelled. Calls are up meanwhile, so a keeper or database that is away must not end this process."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await act()
        except Exception as error:
            diagnostics.failure("switchboard.duty-failed", error, duty=getattr(act, "__name__", "bill-late"))


if __name__ == "__main__":
    run_process("switchboard", main)
