"""A running cloud without a worker: accounts of which each is to lose something, and neighbours that lose nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sealwire.custody.categories import standard_periods
from sealwire.custody.retention.periods import admit, change, settle, wanted
from sealwire.custody.store import StoredRecord
from sealwire.doors.bench.scratch import Scratch
from sealwire.governance import accounts, agreements
from sealwire.governance.principals import Principal, Scope
from sealwire.vocabulary import AccountId, CredentialId, Purpose, RecordId
from tests.closure_house import ClosureHouse, closure_house
from tests.crash.killing import Killing, killing
from tests.promises.acts import keep_call, keep_recording


@dataclass(slots=True)
class Expiring:
    """An account with a day past due (a call and a recording) and one that is not."""

    principal: Principal
    rows: list[StoredRecord]
    young: RecordId
    content: object
    objects: list[str]
    erasures: int = 2
    """One for each class that is past due."""

    @property
    def account(self) -> AccountId:
        return self.principal.in_account()


@dataclass(slots=True)
class WorkerHouse:
    closures: ClosureHouse
    killing: Killing

    @property
    def scratch(self) -> Scratch:
        return self.closures.scratch

    @property
    def data(self) -> Path:
        return self.scratch.settings.data_dir

    async def _account(self) -> Principal:
        """A new account with an agreement, and without a number."""
        account, custody = AccountId.new(), self.scratch.custody
        log = await custody.sequencer.open_log(account)
        await custody.keeper.create_account(account, log_vkey=log.vkey, periods=standard_periods())
        principal = Principal(CredentialId.new(), account, frozenset({Scope.OWNER}), Purpose.SERVICE_OPERATION)
        said = {"sha256": agreements.document_sha256(agreements.standard_document()), "clock": custody.clock}
        async with custody.database.account(account) as connection:
            await accounts.create(
                connection, account, name="Crash", log_origin=log.origin, log_vkey=log.vkey, clock=custody.clock
            )
            await admit(connection, account, standard_periods())
            await agreements.accept_standard(
                connection, account, annex={}, accepted_by=principal.credential, **said
            )  # fmt: skip
        return principal

    async def expiring(self) -> Expiring:
        principal = await self._account()
        scratch = replace(self.scratch, principal=principal)
        call = await keep_call(scratch, "+441632960901", days_ago=10)
        audio = await keep_recording(scratch, "+441632960901", b"\x05\x06" * 4000, days_ago=10)
        young = await keep_call(scratch, "+441632960902")
        rows = await scratch.custody.find(scratch.account, [call.record, audio.record])
        async with scratch.custody.database.account(scratch.account) as connection:
            await change(
                connection, scratch.account, [wanted("call-record", 0, 5), wanted("recording", 0, 5)], instruction=None,
                by=principal.credential, backup_cycle_days=28, clock=scratch.custody.clock,
            )  # fmt: skip
        assert await settle(scratch.custody.database, scratch.custody.keeper, scratch.account)
        (opened,) = await scratch.custody.open(principal, [young.record], purpose=Purpose.SERVICE_OPERATION)
        names = [row.object_name for row in rows if row.object_name is not None]
        return Expiring(principal, rows, young.record, opened.content.reveal(), names)


@asynccontextmanager
async def worker_house() -> AsyncIterator[WorkerHouse]:
    async with closure_house() as closures, killing(closures.scratch.settings.data_dir) as kills:
        yield WorkerHouse(closures, kills)
