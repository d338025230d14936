"""The worker process: erasures, expiry, index rebuilds, webhooks. `python -m sealwire.doors.worker --data DIR`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sealwire.communications.egress import Egress
from sealwire.communications.reports import book as report_book
from sealwire.communications.reports.maker import ReportMaker
from sealwire.communications.webhooks.announcer import CHANNEL as WEBHOOKS_CHANNEL
from sealwire.communications.webhooks.announcer import OutboxAnnouncer
from sealwire.communications.webhooks.deliverer import Deliverer
from sealwire.config import Settings
from sealwire.custody.backups.ending import destroy_old_leaves, end_backups
from sealwire.custody.backups.timetable import is_due, make_in_its_own_process
from sealwire.custody.closure.book import CHANNEL as CLOSURE_CHANNEL
from sealwire.custody.closure.clearing import Clearing
from sealwire.custody.closure.closer import Closer, Rules
from sealwire.custody.eraser import Eraser
from sealwire.custody.holds.ritual import CHANNEL as HOLDS_CHANNEL
from sealwire.custody.holds.ritual import HoldRitual
from sealwire.custody.lifecycle import Custody, KeeperClient, connect_custody, keeper_client
from sealwire.custody.media import remove_left_over
from sealwire.custody.reindex import IndexRebuilder
from sealwire.custody.removal import Remover
from sealwire.custody.retention.expiry import ClockWatch, expire_due
from sealwire.custody.retention.periods import CHANNEL as RETENTION_CHANNEL
from sealwire.custody.retention.periods import settle_all
from sealwire.doors.process import run_process, worker_socket
from sealwire.evidence.client import SequencerClient
from sealwire.governance.housekeeping import drop_old_requests
from sealwire.governance.spending import let_lapse
from sealwire.ground import diagnostics, wire
from sealwire.ground.clock import SystemClock
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.ground.postgres.listener import Listener
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.secretbox import SecretBox
from sealwire.timetable import (
    CLEAR,
    CLOSE,
    DELIVER,
    DUTIES,
    END_BACKUPS,
    ERASE,
    EXPIRE,
    FORGET_REQUESTS,
    HOLDS,
    LET_LAPSE,
    MAKE_BACKUPS,
    MAKE_REPORTS,
    REINDEX,
    REMOVE,
    RETRY_S,
    SETTLE,
    Duty,
)
from sealwire.vocabulary import AccountId, CallId

REQUESTS_KEPT = timedelta(days=1)
UPLOADS_LAST = timedelta(days=1)
"""No call lasts this long, so an upload that is older belongs to a process that was killed."""
_queries = load_queries(__package__, "worker.sql")

Act = Callable[[], Awaitable[bool | None]]
"""One round of a duty. True: something is still to be done that could not be done now, so try again soon."""


class Worker:
    """Runs the duties of the timetable; a request for erasure wakes it through the database."""

    def __init__(self, settings: Settings, database: Database, custody: Custody) -> None:
        clock = SystemClock()
        keeper = keeper_client(settings)
        sequencer = SequencerClient(settings.sequencer_socket)
        self._database, self._keeper = database, keeper
        self._wakes = {duty: asyncio.Event() for duty in DUTIES}
        self._listening = asyncio.Event()
        self._listener = Listener(
            dsn(settings, "sealwire_worker"),
            {
                "sealwire_erasure": self._wakes[ERASE].set,
                CLOSURE_CHANNEL: self._wakes[CLOSE].set,
                HOLDS_CHANNEL: self._wakes[HOLDS].set,
                RETENTION_CHANNEL: self._wakes[EXPIRE].set,
                WEBHOOKS_CHANNEL: self._wakes[DELIVER].set,
                report_book.CHANNEL: self._wakes[MAKE_REPORTS].set,
            },
            on_connected=self._connected,
        )
        self._deliverer = Deliverer(
            database=database, custody=custody, egress=Egress.of(settings), box=SecretBox.open(settings), clock=clock,
            on_room=self._wakes[DELIVER].set,
        )  # fmt: skip
        self._report_maker = ReportMaker(
            custody, backup_cycle_days=settings.backup_cycle_days,
            announcer=OutboxAnnouncer(custody.database, clock),
        )  # fmt: skip
        self._objects = Objects.of(settings)
        self._eraser = Eraser(
            database=database, keeper=keeper, sequencer=sequencer, objects=self._objects, clock=clock
        )  # fmt: skip
        self._closer = closer(settings, database, keeper=keeper, sequencer=sequencer, objects=self._objects)
        self._holds = HoldRitual(
            database=database, keeper=keeper, clock=clock, backup_cycle_days=settings.backup_cycle_days
        )  # fmt: skip
        self._rebuilder = IndexRebuilder(database=database, keeper=keeper, sequencer=sequencer, clock=clock)
        self._settings, self._clock, self._clock_watch = settings, clock, ClockWatch(clock)

    async def run(self) -> None:
        """Until cancelled."""
        acts: dict[Duty, Act] = {
            REINDEX: self._reindex, EXPIRE: self._expire, FORGET_REQUESTS: self._forget_requests,
            END_BACKUPS: self._end_backups, MAKE_BACKUPS: self._make_backups, ERASE: self._erase, REMOVE: self._remove,
            HOLDS: self._end_holds, CLOSE: self._close, CLEAR: self._closer.remove_pending, DELIVER: self._deliver,
            MAKE_REPORTS: self._make_reports, LET_LAPSE: self._let_lapse, SETTLE: self._settle,
        }  # fmt: skip
        async with asyncio.TaskGroup() as duties:
            duties.create_task(self._listener.run())
            duties.create_task(self._answer())
            for duty in DUTIES:
                duties.create_task(self._repeat(duty, acts[duty]))

    def _connected(self) -> None:
        """Whatever was asked for while nobody listened is found by looking."""
        self._listening.set()
        for wake in self._wakes.values():
            wake.set()

    async def _answer(self) -> None:
        """Once requests are heard, have a socket that answers: so the supervisor knows that this process is ready."""
        await self._listening.wait()
        async with await wire.serve(worker_socket(self._settings), {}) as server:
            await server.serve_forever()

    async def close(self) -> None:
        """Stop what runs beside the duties."""
        await self._deliverer.close()

    async def _reindex(self) -> None:
        await self._rebuilder.rebuild_if_lost()

    async def _erase(self) -> bool:
        while await self._eraser.make_pending_unreadable():
            self._wakes[REMOVE].set()
        async with self._database.system() as connection:
            return bool(await connection.fetchval(_queries.erasure_is_waiting))

    async def _remove(self) -> None:
        while await self._eraser.remove_pending():
            pass

    async def _must_wait(self) -> bool:
        """Whether nothing may end by the clock: it jumped, or the keeper, which knows when it last ran, doubts it."""
        if self._clock_watch.is_suspect():
            return True
        if (await self._keeper.status()).clock_trusted:
            return False
        diagnostics.event("clock.doubted-by-keeper")
        return True

    async def _close(self) -> bool:
        if await self._must_wait():  # a clock that was set ahead must not end anybody's grace
            return False
        is_unfinished = await self._closer.make_due_unreadable()
        self._wakes[CLEAR].set()
        return is_unfinished

    async def _end_holds(self) -> bool:
        if await self._must_wait():  # nor a hold: one that begins to end does not begin again
            return False
        return await self._holds.run()

    async def _settle(self) -> None:
        await settle_all(self._database, self._keeper)

    async def _expire(self) -> None:
        cycle = self._settings.backup_cycle_days
        await settle_all(self._database, self._keeper)
        if not await self._must_wait() and await expire_due(
            self._database, self._clock, backup_cycle_days=cycle, watch=self._clock_watch
        ):
            self._wakes[ERASE].set()
        if removed := await remove_left_over(self._database, self._objects, self._clock):
            diagnostics.event("media.left-over-removed", objects=removed)
        if aborted := await self._objects.abort_unfinished(before=self._clock.now() - UPLOADS_LAST):
            diagnostics.event("objects.uploads-aborted", uploads=aborted)

    async def _forget_requests(self) -> None:
        await drop_old_requests(self._database, before=self._clock.now() - REQUESTS_KEPT)

    async def _end_backups(self) -> None:
        if await self._must_wait():  # nor destroy a backup before its cycle ends
            return
        await end_backups(self._settings, self._database, self._clock)
        await asyncio.to_thread(destroy_old_leaves, self._settings, self._clock)

    async def _make_backups(self) -> None:
        if await asyncio.to_thread(is_due, self._settings, self._clock):
            await make_in_its_own_process(self._settings)

    async def _deliver(self) -> None:
        await self._deliverer.deliver_due()

    async def _make_reports(self) -> bool:
        return not await self._report_maker.make_pending()

    async def _let_lapse(self) -> None:
        if lapsed := await let_lapse(self._database, self._clock):
            diagnostics.event("spending.lapsed", reservations=lapsed)
        await report_book.drop_old(self._database, self._clock)

    async def _repeat(self, duty: Duty, act: Act) -> None:
        wake, retry_s = self._wakes[duty], RETRY_S
        while True:
            wake.clear()
            try:
                is_unfinished = bool(await act())
            except Exception as error:
                diagnostics.failure("duty.failed", error, duty=duty.name)
                is_unfinished = True
            try:
                await asyncio.wait_for(wake.wait(), min(retry_s, duty.every_s) if is_unfinished else duty.every_s)
                retry_s = RETRY_S
            except TimeoutError:
                retry_s = retry_s * 2 if is_unfinished else RETRY_S


def closer(
    settings: Settings, database: Database, *, keeper: KeeperClient, sequencer: SequencerClient, objects: Objects
) -> Closer:
    """What closes accounts, on this role."""
    clock = SystemClock()

    async def end_calls(account: AccountId) -> None:
        if not settings.switchboard_socket.exists():
            return
        # what calls need takes 18 MB; few accounts are ever closed
        from sealwire.communications.calls.remote import SwitchboardClient  # noqa: PLC0415

        switchboard = SwitchboardClient(settings.switchboard_socket)
        try:
            for call in await switchboard.live_calls(account):
                await switchboard.cancel_call(account, CallId.parse(call["call"]))
        finally:
            await switchboard.close()

    clearing = Clearing(
        database=database, keeper=keeper, objects=objects, clock=clock,
        remover=Remover(database=database, objects=objects, clock=clock),
    )  # fmt: skip
    return Closer(
        database=database, keeper=keeper, sequencer=sequencer, clearing=clearing, clock=clock,
        rules=Rules.of(settings), end_calls=end_calls,
    )  # fmt: skip


async def main(settings: Settings) -> None:
    """Connect on the worker's own role and run until told to stop."""
    database = await Database.connect(dsn(settings, "sealwire_worker"), size_max=6)
    # What became of a webhook is kept on the role that may keep; the worker's own role may not.
    custody = await connect_custody(settings, dsn(settings, "sealwire_service"), SystemClock(), connections_max=4)
    worker = Worker(settings, database, custody)
    try:
        await worker.run()
    finally:
        await worker.close()
        await custody.close()
        await database.close()


if __name__ == "__main__":
    run_process("worker", main)
