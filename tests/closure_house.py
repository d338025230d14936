"""What the tests about closing an account share: accounts in a running cloud, and the worker's closer beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sealwire.custody.closure import book
from sealwire.custody.closure.book import Closure
from sealwire.custody.closure.clearing import Clearing
from sealwire.custody.closure.closer import Closer, Rules
from sealwire.custody.removal import Remover
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.closure_drill.furnishing import Resident, settle_in
from sealwire.doors.supervisor import KEEPER, SEQUENCER
from sealwire.governance.billing.statutory import load_statutory
from sealwire.ground.clock import Clock, SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, ClosureId
from sealwire_verifier.closure import VerifiedClosure, verify_closure
from sealwire_verifier.policy import Policy


@dataclass
class ClosureHouse:
    """A cloud without a worker, so that each step of a closure is taken when the test says so."""

    scratch: Scratch
    database: Database
    clock: Clock = field(default_factory=SystemClock)
    numbers: int = 100

    @property
    def owner_dsn(self) -> str:
        return self.scratch.cloud.cluster.dsn()

    @property
    def custody(self):  # type: ignore[no-untyped-def]
        return self.scratch.custody

    async def resident(self, *, each: int = 1) -> Resident:
        """An account with something of everything."""
        self.numbers += 1
        return await settle_in(self.custody, self.owner_dsn, f"+441632960{self.numbers}", each=each)

    def closer(self, *, clock: Clock | None = None) -> Closer:
        """The worker's, on the worker's role."""
        custody, clock = self.custody, clock or self.clock
        clearing = Clearing(
            database=self.database, keeper=custody.keeper, objects=custody.objects, clock=clock,
            remover=Remover(database=self.database, objects=custody.objects, clock=clock),
        )  # fmt: skip
        return Closer(
            database=self.database, keeper=custody.keeper, sequencer=custody.sequencer, clearing=clearing, clock=clock,
            rules=Rules(load_statutory(), "DE", 28),
        )  # fmt: skip

    async def begin(self, resident: Resident, *, grace_days: int = 0, clock: Clock | None = None) -> Closure:
        async with self.custody.database.account(resident.account) as connection:
            begun, _ = await book.begin(
                connection, resident.account, grace_days=grace_days, confirmation=book.CONFIRMATION,
                by=resident.principal.credential, clock=clock or self.clock,
            )  # fmt: skip
        return begun

    async def find(self, account: AccountId, closure: ClosureId) -> Closure:
        async with self.custody.database.account(account) as connection:
            return await book.find(connection, account, closure)

    async def close(self, resident: Resident) -> Closure:
        """From the beginning to removed, without a grace."""
        begun, closer = await self.begin(resident), self.closer()
        await closer.make_due_unreadable()
        for _ in range(4):  # old WAL may outlast one round on a busy disk; the worker comes back to it too
            await closer.remove_pending()
            if (found := await self.find(resident.account, begun.closure)).state == "removed":
                break
        assert found.state == "removed"
        return found

    async def verified(self, closure: Closure) -> VerifiedClosure:
        """What the separate verifier says of its certificate."""
        assert closure.certificate is not None
        return verify_closure(closure.certificate.encode(), await self.policy(closure.account))

    async def policy(self, account: AccountId) -> Policy:
        log, status = await self.custody.sequencer.open_log(account), await self.custody.keeper.status()
        return Policy.parse(f"log {log.vkey}\nholder {status.holder_vkey}\nquorum none\n")


@asynccontextmanager
async def closure_house() -> AsyncIterator[ClosureHouse]:
    """Start one."""
    async with scratch_cloud(((KEEPER,), (SEQUENCER,))) as scratch:
        database = await Database.connect(dsn(scratch.settings, "sealwire_worker"), size_max=4)
        try:
            yield ClosureHouse(scratch, database)
        finally:
            await database.close()
