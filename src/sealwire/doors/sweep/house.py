"""The installation of one sweep, and what is done in it: keep, back up, erase, search, attack."""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from sealwire.config import Settings, load_settings
from sealwire.custody.backups.take import take
from sealwire.custody.backups.unpack import opened_into
from sealwire.custody.categories import Category
from sealwire.custody.eraser import Eraser
from sealwire.custody.erasure import Ground, find, request_day, request_records
from sealwire.custody.forensics.patterns import Pattern, ciphertext_patterns
from sealwire.custody.keys.paths import LeafPath
from sealwire.custody.lifecycle import Custody, connect_custody
from sealwire.custody.reindex import IndexRebuilder
from sealwire.custody.requests import records_of_number
from sealwire.custody.store import StoredRecord
from sealwire.doors.bench.scratch import open_account
from sealwire.doors.supervisor import KEEPER, SEQUENCER, Cloud, Part
from sealwire.doors.sweep.canaries import Canaries
from sealwire.doors.sweep.scratch import MARK
from sealwire.doors.sweep.sealer import sealer_socket
from sealwire.errors import Unavailable
from sealwire.governance.principals import Principal
from sealwire.ground import wire
from sealwire.ground.clock import SystemClock
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.objects.s3 import CREDENTIAL_FILE
from sealwire.ground.objects.seaweed import Seaweed
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import OWNER, dsn
from sealwire.ground.postgres.database import Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.process import Child, socket_answers
from sealwire.vocabulary import E164, AccountId, CallId, ErasureId, Purpose, RecordId

SEALER = Part("sweep.sealer", lambda settings: socket_answers(sealer_socket(settings)))
ATTACKER = "attacker"
PARTS = ((KEEPER,), (SEQUENCER,), (SEALER,))
_KEEPER_S_MAX = 30.0
queries_here = load_queries(__package__)


class NotErased(Unavailable):
    """An erasure in the sweep's own installation did not get where it should; its logs say why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """One record that was kept, how it goes, and what it looked like before."""

    name: str
    category: Category
    serial: int
    row: StoredRecord
    way: str
    objects: tuple[bytes, ...] = ()

    @property
    def record(self) -> RecordId:
        return self.row.record

    @property
    def leaf(self) -> LeafPath:
        return LeafPath(self.category.code, self.row.retention_class, int(self.row.day), self.row.slot)


@dataclass
class House:
    """A running installation with one account."""

    settings: Settings
    cloud: Cloud
    custody: Custody
    principal: Principal
    copies: Path
    canaries: Canaries
    stores: tuple[Path, ...] = ()
    """Folders outside the data folder in which the installation keeps things: an S3's volumes."""
    clock: SystemClock = field(default_factory=SystemClock)
    serials: int = 0
    _sealing: wire.Peer | None = None

    @property
    def account(self) -> AccountId:
        return self.principal.in_account()

    @property
    def top(self) -> Path:
        """The folder of all that belongs to this sweep."""
        return self.settings.data_dir.parent

    @property
    def root_key(self) -> bytes:
        return (self.settings.keeper_dir / "root.key").read_bytes()

    async def keep(self, name: str, category: Category, *, way: str = "record", days_ago: int = 0) -> Subject:
        """Have the sealing process keep one record of made-up people."""
        self.serials += 1
        serial = self.serials
        answer = await (await self._sealer()).call(
            "keep", seed=self.canaries.seed, category=category.code, account=str(self.account),
            call=str(CallId.new()), serial=serial, days_ago=days_ago,
        )  # fmt: skip
        (row,) = await self.custody.find(self.account, [RecordId.parse(answer["record"])], category=category)
        media = (await whole(self.custody.objects, row.object_name),) if row.object_name else ()
        return Subject(name, category, serial, row, way, media)

    async def let_sealer_rest(self) -> None:
        """Have the sealing process collect its garbage."""
        await (await self._sealer()).call("rest")

    async def _sealer(self) -> wire.Peer:
        if self._sealing is None:
            self._sealing = await wire.connect(sealer_socket(self.settings))
        return self._sealing

    async def find(self, subject: Subject) -> list[StoredRecord]:
        """The records in which the first number of this one occurs."""
        number = E164(self.canaries.number(subject.serial))
        return await records_of_number(self.custody, self.principal, number, purpose=Purpose.SUBJECT_REQUEST)

    def patterns(self, subjects: Iterable[Subject]) -> list[Pattern]:
        """What of these records must lie nowhere in the clear."""
        return [
            pattern
            for each in subjects
            for pattern in self.canaries.patterns(each.category, each.serial, subject=each.name)
        ]

    async def back_up(self, name: str) -> Path:
        """A sealed backup as the worker takes one, and then opened by somebody who has its identity: what it holds."""
        status = await self.custody.keeper.status()
        taken = await take(
            self.settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class, clock=self.clock
        )
        return await asyncio.to_thread(opened_into, self.copies / name, taken.manifest, self.settings)

    def copy_keeper(self, name: str, *, with_epoch: bool) -> Path:
        """A copy of the keeper's folder; with the epoch slots it is what a snapshot of the machine would hold."""
        left_out = ("*.lock",) if with_epoch else ("epoch.slots*", "*.lock")
        return Path(
            shutil.copytree(
                self.settings.keeper_dir, self.top / ATTACKER / name, ignore=shutil.ignore_patterns(*left_out)
            )
        )

    async def ask(self, subject: Subject) -> ErasureId | None:
        """Ask to erase it: by its record, by a number in it, or by its day (None when that went with another)."""
        asked: dict[str, Any] = {
            "ground": Ground.INSTRUCTION, "requested_by": str(self.principal.credential),
            "backup_cycle_days": self.settings.backup_cycle_days, "clock": self.clock,
        }  # fmt: skip
        if subject.way == "day":
            async with self.custody.database.account(self.account) as connection:
                return await request_day(
                    connection, self.account, subject.category, subject.row.day,
                    retention_class=subject.row.retention_class, **asked,
                )  # fmt: skip
        if subject.way == "number":
            rows = await self.find(subject)
        else:
            rows = await self.custody.find(self.account, [subject.record], category=subject.category)
        async with self.custody.database.account(self.account) as connection:
            return await request_records(connection, self.account, rows, **asked)

    async def erase(
        self,
        subjects: Sequence[Subject],
        *,
        to: str = "removed",
        eraser: type[Eraser] = Eraser,
        objects: Objects | None = None,
    ) -> list[ErasureId]:
        """Erase these, as the worker does, up to a level; NotErased when they do not get there."""
        erasures = [erasure for each in subjects if (erasure := await self.ask(each)) is not None]
        await self.go_on(erasures, to=to, eraser=eraser, objects=objects)
        return erasures

    async def go_on(
        self, erasures: Sequence[ErasureId], *, to: str, eraser: type[Eraser] = Eraser, objects: Objects | None = None
    ) -> None:
        """Bring erasures that were asked for to a level."""
        database = await Database.connect(dsn(self.settings, "sealwire_worker"), size_max=4)
        try:
            at_work = eraser(
                database=database, keeper=self.custody.keeper, sequencer=self.custody.sequencer,
                objects=objects or self.custody.objects, clock=self.clock,
            )  # fmt: skip
            await at_work.make_pending_unreadable()
            if to == "removed":
                await at_work.remove_pending()
        finally:
            await database.close()
        async with self.custody.database.account(self.account) as connection:
            for erasure in erasures:
                state = (await find(connection, self.account, erasure)).state
                if state != to:
                    raise NotErased(f"{erasure} is {state}, not {to}")

    async def ciphertext(self, subject: Subject) -> list[Pattern]:
        """What is stored of it: its sealed fields and its sealed audio."""
        pieces = (subject.row.sealed, *subject.objects)
        name = f"ciphertext: {subject.name}"
        return [pattern for piece in pieces for pattern in ciphertext_patterns(piece, subject=name)]

    async def tokens(self, subject: Subject) -> list[Pattern]:
        """Its tokens in the blind index."""
        rows = await self.owner_fetch(queries_here.tokens_of, subject.record.value)
        return [Pattern(row["token"], f"token: {subject.name}", "as stored") for row in rows]

    async def owner_fetch(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """A statement on the database owner's role."""
        owner = await asyncpg.connect(dsn(self.settings, OWNER))
        try:
            return list(await owner.fetch(statement, *arguments))
        finally:
            await owner.close()

    async def flush(self) -> None:
        """Have every page written, those of unlogged tables too, which a checkpoint leaves in memory."""
        await self.owner_fetch(queries_here.make_buffercache)
        await self.owner_fetch(queries_here.evict_all)

    @asynccontextmanager
    async def with_keeper(self, fault: str) -> AsyncIterator[Path]:
        """The same installation with a keeper that forgets badly; call `bring_keeper_back` after the last of them."""
        (self.settings.logs_dir / "bad").mkdir(mode=0o700, exist_ok=True)
        await self.cloud.child("keeper").stop()
        bad = Child(
            name=f"bad-keeper-{fault}",
            command=[
                sys.executable, "-m", "sealwire.doors.sweep.bad_keeper", fault, "--data", self.settings.data_dir,
            ],
            log=self.settings.logs_dir / "bad" / f"{fault}.log",
            environment=self.cloud.environment(),
        )  # fmt: skip
        bad.start()
        try:
            await self._until_keeper_answers(bad)
            yield bad.log
        finally:
            await bad.stop()

    async def bring_keeper_back(self) -> None:
        """The good keeper, after the bad ones."""
        good = self.cloud.child("keeper")
        good.start()
        await self._until_keeper_answers(good)

    async def _until_keeper_answers(self, keeper: Child) -> None:
        await keeper.until_ready(lambda: socket_answers(self.settings.keeper_socket), seconds=_KEEPER_S_MAX)


async def whole(objects: Objects, name: str) -> bytes:
    """An object's bytes."""
    return b"".join([piece async for piece in objects.get_stream(name)])


@asynccontextmanager
async def house(seed: bytes, *, store: Seaweed | None = None, inside: Path | None = None) -> AsyncIterator[House]:
    """Make an installation in a temporary folder (below `inside`) and start it; everything is gone afterwards.

    Its objects lie in a folder, or on this S3.
    """
    top = Path(tempfile.mkdtemp(prefix="sealwire-sweep-", dir=inside)).resolve()  # noqa: ASYNC240 - once
    top.chmod(0o711)  # the database's own user must reach what is below
    try:
        copies = top / "copies"
        copies.mkdir(mode=0o711)
        (top / MARK).touch()
        chosen = _settings(top / "data", store)
        async with Cloud(chosen, parts=PARTS) as cloud:
            custody = await connect_custody(chosen, dsn(chosen, "sealwire_service"), SystemClock(), connections_max=4)
            try:
                principal = await open_account(custody)
                await _build_index(chosen, custody)
                stores = (store.folder,) if store else ()
                yield House(chosen, cloud, custody, principal, copies, Canaries(seed), stores)
            finally:
                await custody.close()
    finally:
        await asyncio.to_thread(shutil.rmtree, top, ignore_errors=True)


async def _build_index(settings: Settings, custody: Custody) -> None:
    """The worker's first duty: without it nobody is found by number."""
    database = await Database.connect(dsn(settings, "sealwire_worker"), size_max=2)
    try:
        await IndexRebuilder(
            database=database, keeper=custody.keeper, sequencer=custody.sequencer, clock=custody.clock
        ).rebuild_if_lost()
    finally:
        await database.close()


def _settings(data: Path, store: Seaweed | None) -> Settings:
    if store is None:
        return load_settings(data)
    bucket, credential = next(iter(store.credentials.items()))
    chosen = load_settings(
        data, objects_endpoint=store.endpoint, objects_bucket=bucket, objects_compact=store.compact
    )  # fmt: skip
    with DataFolder(chosen):  # makes what it needs in there
        file = chosen.secrets_dir / CREDENTIAL_FILE
        file.touch(mode=0o600)
        file.write_text(f"{credential.access_key}\n{credential.secret_key}\n")
    return chosen
