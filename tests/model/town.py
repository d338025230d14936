"""A whole house in one process, on a clock of its own: real PostgreSQL, real keeper and sequencer behind their sockets.

What the worker does by its timetable is done here when a night is lived through, in the order of `night`.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from sealwire.config import Settings
from sealwire.custody.backups.putback import put_back
from sealwire.custody.backups.take import TakenBackup, take
from sealwire.custody.keys.calendar import CONFIRMED
from sealwire.custody.keys.effaceability import Effaceability
from sealwire.custody.keys.keeper import Keeper
from sealwire.custody.keys.refusals import ClockSuspect
from sealwire.custody.keys.service import KeeperService
from sealwire.custody.lifecycle import Custody, connect_custody, keeper_client
from sealwire.custody.retention import classes, periods
from sealwire.custody.sealing.sealer import Sealer
from sealwire.doors import worker as workers
from sealwire.doors.bench.scratch import open_account
from sealwire.doors.keeper import FINDABLE
from sealwire.doors.restore_gate import RestoreGate
from sealwire.doors.schemas import all_migrations
from sealwire.doors.sequencer import TreeSealer
from sealwire.doors.worker import Worker
from sealwire.evidence.heads import Heads
from sealwire.evidence.journal import LeafJournal
from sealwire.evidence.sequencer import Sequencer
from sealwire.evidence.service import Connections
from sealwire.evidence.service import handlers as sequencer_handlers
from sealwire.evidence.signer import LogSigner
from sealwire.governance.principals import Principal
from sealwire.ground import wire
from sealwire.ground.clock import TestClock
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.postgres.cluster import DATABASE, Cluster, dsn
from sealwire.ground.postgres.database import Database

_TABLES = "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname = ANY($1)"
BEGINNING = dt.datetime(2027, 3, 1, 12, tzinfo=dt.UTC)
UNVERIFIED = Effaceability("unverified", "this is a test")
CYCLE_DAYS = 28
FAR_DAYS = 31
"""A keeper that slept longer than this waits for the operator's word about the clock."""


class TownClock(TestClock):
    """Time that passes when told to, and a wall clock that somebody can set wrong."""

    def set_by(self, **by: float) -> None:
        self._now += dt.timedelta(**by)


@dataclass
class Parts:
    """What runs: as processes would, each with its own connections."""

    keeper: Keeper
    keeper_service: KeeperService
    keeper_server: asyncio.Server
    heads: Heads
    journal: LeafJournal
    sequencing: asyncio.Task[None]
    sequencer_server: asyncio.Server
    connections: Connections
    clients: list[Any]
    custody: Custody
    worker: Worker


class Town:
    """One data folder and what runs on it."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")  # so that flushing costs nothing
        top = tempfile.mkdtemp(prefix="sealwire-model-", dir=memory if memory.is_dir() else None)
        self.top = Path(top).resolve()
        self.top.chmod(0o711)
        self.settings = Settings(data_dir=self.top / "data", backup_cycle_days=CYCLE_DAYS, backup_every_hours=0)
        self.clock = TownClock(BEGINNING)
        self.cluster = _cluster(self.settings)
        self.parts: Parts
        self.runs = False
        self._seeded: set[str] = set()
        self._owner: asyncpg.Connection[Any] | None = None

    @property
    def custody(self) -> Custody:
        return self.parts.custody

    async def build(self) -> None:
        """The database, once; what a new one holds by itself is remembered."""
        with DataFolder(self.settings):
            pass
        await self.cluster.start(all_migrations())
        self._seeded = {name for name in await self._tables() if await self.owner(f"SELECT FROM {name} LIMIT 1")}

    async def demolish(self) -> None:
        if self.runs:
            await self.stop()
        await self._stop_database()
        shutil.rmtree(self.top, ignore_errors=True)

    async def begin_anew(self) -> None:
        """An empty house on the first day: the same database without a row, a new keeper and new logs."""
        if self.runs:
            await self.stop()
        emptied = [name for name in await self._tables() if name not in self._seeded]
        await self.owner(f"TRUNCATE {', '.join(emptied)} RESTART IDENTITY CASCADE")
        for name in ("keeper", "evidence", "objects", "backups"):
            shutil.rmtree(self.settings.data_dir / name, ignore_errors=True)
            (self.settings.data_dir / name).mkdir(mode=0o700)
        (self.settings.data_dir / "restore.pending").unlink(missing_ok=True)
        self.clock = TownClock(BEGINNING)
        await self.start()

    async def move_in(self) -> Principal:
        """A new account with an agreement, whose class 1 is the customer's own."""
        principal = await open_account(self.custody)
        await self.owner("DELETE FROM governance.number")  # the next account is given the same
        account = principal.in_account()
        async with self.custody.database.account(account) as connection:
            await classes.name_class(connection, account, 1, "contracts", by=principal.credential, clock=self.clock)
        assert await periods.settle(self.custody.database, self.custody.keeper, account)
        return principal

    async def start(self) -> None:
        """Keeper, gate, sequencer and the worker's own things, in the order of the supervisor."""
        settings, clock = self.settings, self.clock
        keeper = await Keeper.open(
            settings.keeper_dir, clock=clock, effaceability=UNVERIFIED, findable=FINDABLE,
            heads=settings.evidence_dir / "heads.lock",
        )  # fmt: skip
        service = KeeperService(keeper)
        keeper_server = await wire.serve(settings.keeper_socket, service.handlers(), on_close=service.closed)
        gate = RestoreGate(settings, clock)
        await gate.reconcile()
        heads = Heads.open(settings.evidence_dir)
        database = await Database.connect(dsn(settings, "sealwire_sequencer"), size_max=2)
        its_keeper, journal = keeper_client(settings), LeafJournal(settings.evidence_dir, clock)
        sequencer = Sequencer(
            database=database, heads=heads, signer=LogSigner.load(settings.evidence_dir, may_make=not heads.accounts()),
            sealer=TreeSealer(Sealer(its_keeper, clock), clock), clock=clock, journal=journal,
        )  # fmt: skip
        await sequencer.start()
        connections = Connections()
        sequencer_server = await wire.serve(
            settings.sequencer_socket, connections.remembering(sequencer_handlers(sequencer)),
            on_close=connections.forget,
        )  # fmt: skip
        sequencing = asyncio.create_task(sequencer.run())
        await gate.tell()
        custody = await connect_custody(settings, dsn(settings, "sealwire_service"), clock, connections_max=4)
        working = await Database.connect(dsn(settings, "sealwire_worker"), size_max=4)
        worker = self._worker(working, custody)
        self.parts = Parts(
            keeper, service, keeper_server, heads, journal, sequencing, sequencer_server, connections,
            [its_keeper, database, working, worker._keeper, worker._eraser._sequencer], custody, worker,
        )  # fmt: skip
        self.runs = True
        await worker._reindex()

    def _worker(self, database: Database, custody: Custody) -> Worker:
        """The worker as it is, on this clock."""
        the_clock, workers.SystemClock = workers.SystemClock, lambda: self.clock  # type: ignore[assignment,misc]
        try:
            return Worker(self.settings, database, custody)
        finally:
            workers.SystemClock = the_clock  # type: ignore[misc]

    async def stop(self, *, is_killed: bool = False) -> None:
        """As by SIGTERM, or as by kill -9: then nobody flushes, hands back or says goodbye."""
        parts, self.runs = self.parts, False
        parts.sequencing.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await parts.sequencing
        for server in (parts.sequencer_server, parts.keeper_server):
            server.close()
        await parts.connections.close()
        if is_killed:
            parts.journal.close()
            parts.heads.close()
            await parts.keeper_service.stop()
            await _killed(parts.keeper)
        for client in [parts.worker, parts.custody, *parts.clients]:
            await client.close()
        if not is_killed:
            parts.journal.close()
            parts.heads.close()
            await parts.keeper_service.stop()
            await parts.keeper.close()

    async def restart(self, *, is_killed: bool = False, dark_days: int = 0) -> None:
        """Nothing runs for so many days; after a long sleep the operator confirms the clock."""
        await self.stop(is_killed=is_killed)
        self.clock.advance(days=dark_days)
        if dark_days >= FAR_DAYS:
            (self.settings.keeper_dir / CONFIRMED).touch()
        await self.start()

    async def night(self) -> None:
        """What keeper and worker do by themselves, each once: what is due is gone afterwards, down to the bytes."""
        parts, worker = self.parts, self.parts.worker
        with suppress(ClockSuspect):
            await parts.keeper.sweep()
        await worker._end_holds()
        await worker._expire()
        await self.erase_what_waits()
        await worker._close()
        await worker._closer.remove_pending()
        await worker._end_backups()

    async def erase_what_waits(self) -> None:
        """As when the worker is woken."""
        await self.parts.worker._erase()
        await self.parts.worker._remove()

    async def back_up(self, *, wants_base: bool) -> TakenBackup:
        """As `sealwire backup make`."""
        status = await self.custody.keeper.status()
        return await take(
            self.settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class, clock=self.clock,
            wants_base=wants_base,
        )  # fmt: skip

    async def restore(self, backup: str) -> None:
        """Database and objects are lost and put back; keeper and evidence go on. The gate stands before the rest."""
        await self.stop()
        await self._stop_database()
        shutil.rmtree(self.settings.postgres_dir)
        shutil.rmtree(self.settings.objects_dir)
        await put_back(str(self.settings.backups_dir / backup), self.settings, clock=self.clock)
        self.cluster = _cluster(self.settings)
        await self.cluster.start(all_migrations())
        await self.start()

    async def owner(self, statement: str, *arguments: object) -> list[Any]:
        """What the superuser sees."""
        if self._owner is None:
            self._owner = await asyncpg.connect(self.cluster.dsn(database=DATABASE))
        return list(await self._owner.fetch(statement, *arguments))

    async def _stop_database(self) -> None:
        if self._owner is not None:
            await self._owner.close()
            self._owner = None
        await self.cluster.stop()

    async def _tables(self) -> list[str]:
        rows = await self.owner(_TABLES, ["custody", "evidence", "governance", "communications", "ground"])
        return sorted(row["name"] for row in rows)


def _cluster(settings: Settings) -> Cluster:
    return Cluster(settings, server_settings={"fsync": "off"})


async def _killed(keeper: Keeper) -> None:
    await keeper.companions.stop()
    keeper.journal.abandon()
    keeper.vault.close()
