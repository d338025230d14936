"""After a restore: who was locked out since stays out, a closed account stays closed, a leaf is there once."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from sealwire.config import Settings, load_settings
from sealwire.custody.backups.putback import put_back
from sealwire.custody.backups.take import TakenBackup
from sealwire.custody.closure import book
from sealwire.custody.closure.allowed import KEPT_CODES
from sealwire.custody.lifecycle import keeper_client
from sealwire.doors.bench.scratch import scratch_cloud
from sealwire.doors.supervisor import KEEPER, Cloud
from sealwire.evidence.journal import Entries, _frame, read_journal
from sealwire.governance import credentials
from sealwire.governance.credentials import IssuedCredential, NotAuthenticated, authenticate
from sealwire.governance.principals import Scope
from sealwire.governance.standing import AccountIsClosed
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import ClosureId, CredentialId, ErasureId, RecordId

from .backup_house import CLOCK, House
from .chain_house import command, taken
from .test_restore_gate import PARTS, rows, serving, without_database

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Since:
    """What happened since the backup; the cloud is stopped."""

    house: House
    backup: TakenBackup
    good: IssuedCredential
    revoked: IssuedCredential
    rotated: IssuedCredential
    waited: list[RecordId]

    async def put_back(self, name: str) -> Settings:
        settings = without_database(self.house.settings, name)
        await put_back(str(self.backup.folder), settings, clock=CLOCK)
        return settings


async def issued(house: House) -> IssuedCredential:
    async with house.custody.database.account(house.account) as connection:
        return await credentials.issue(
            connection, house.account, label="x", scopes=[Scope.READ], default_purpose=None,
            issued_by=CredentialId.new(), clock=CLOCK,
        )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def since() -> AsyncIterator[Since]:
    async with scratch_cloud(PARTS) as scratch:
        copies = scratch.settings.data_dir.parent / "copies"
        copies.mkdir(mode=0o711)
        house = House(scratch.settings, scratch.custody, scratch.account, copies, scratch.cloud)
        good, revoked, rotated = [await issued(house) for _ in range(3)]
        sequencer = scratch.cloud.child("sequencer").pid
        os.kill(sequencer, signal.SIGSTOP)  # what is kept now waits for its leaf when the backup is made
        call = await house.keep_call("+441632960123", seed=1)
        backup = await taken(house)
        os.kill(sequencer, signal.SIGCONT)
        by = CredentialId.new()
        async with house.custody.database.account(house.account) as connection:
            assert await credentials.revoke(connection, house.account, revoked.credential, by=by, clock=CLOCK)
            await credentials.rotate(
                connection, house.account, rotated.credential, overlap=dt.timedelta(0), by=by, clock=CLOCK
            )
        await scratch.custody.sequencer.nudge()
        await asyncio.sleep(1.5)
        await scratch.custody.close()
        await scratch.cloud.stop()
        yield Since(house, backup, good, revoked, rotated, call.records)


async def who(settings: Settings, secret: str) -> str:
    """Whom the restored cloud takes the bearer of this secret for; nobody, or an account that is closed."""
    database = await Database.connect(dsn(settings, "sealwire_service"), size_max=1)
    try:
        return str((await authenticate(database, secret, source=None, now=CLOCK.now())).credential)
    except NotAuthenticated:
        return "nobody"
    except AccountIsClosed:
        return "closed"
    finally:
        await database.close()


async def test_credentials_that_were_revoked_or_rotated_since_the_backup_stay_ended(since: Since) -> None:
    settings = await since.put_back("revoked")
    async with serving(settings):
        assert await who(settings, since.revoked.secret) == "nobody"
        assert await who(settings, since.rotated.secret) == "nobody"
        assert await who(settings, since.good.secret) == str(since.good.credential)


async def test_where_the_journal_does_not_name_who_was_revoked_every_credential_of_the_account_ends(
    since: Since,
) -> None:
    settings = await since.put_back("unnamed")
    _without_names(settings.evidence_dir)
    async with serving(settings):
        for one in (since.good, since.revoked, since.rotated):
            assert await who(settings, one.secret) == "nobody"


async def test_what_waited_for_its_leaf_at_the_backup_has_exactly_one(since: Since) -> None:
    settings = await since.put_back("once")
    async with serving(settings) as custody:
        await custody.sequencer.nudge()
        await asyncio.sleep(1.5)
        assert not await rows(settings, "SELECT FROM evidence.kept_outbox")
        for record in since.waited:
            batches = await rows(
                settings, "SELECT idx FROM evidence.kept_batch WHERE $1 = ANY(record_ids)", record.value
            )
            assert len(batches) == 1


async def test_a_gate_that_was_cut_off_after_the_logs_still_ends_them(since: Since) -> None:
    settings = await since.put_back("cut")
    done = await asyncio.to_thread(
        command, "up", "--data", settings.data_dir, "--api-listen", "127.0.0.1:0", crash_at="gate-logs"
    )
    assert done.returncode == 137, done.stderr[-500:]
    async with serving(settings):
        assert await who(settings, since.revoked.secret) == "nobody"
        assert await who(settings, since.good.secret) == str(since.good.credential)


async def test_an_account_that_was_closed_since_the_backup_stays_closed_and_has_its_closure(since: Since) -> None:
    settings, account = await since.put_back("closed"), since.house.account
    closure = ClosureId.new()
    async with Cloud(load_settings(since.house.settings.data_dir, backup_every_hours=0), parts=((KEEPER,),)) as living:
        keeper = keeper_client(living.settings)
        await keeper.erase(
            account, erasure=str(ErasureId(closure.value)), leaves=[], close_keeping=KEPT_CODES, confirmed=True
        )
        await keeper.close()
    shutil.rmtree(settings.keeper_dir)
    shutil.copytree(since.house.settings.keeper_dir, settings.keeper_dir)
    async with serving(settings) as custody:
        assert await who(settings, since.good.secret) == "closed"
        async with custody.database.account(account) as connection:
            found = await book.find(connection, account, closure)
        assert found.state == "hidden"
        assert found.hidden_at is not None


def _without_names(evidence: Path) -> None:
    """The journal as it was before it named credentials."""
    for file in (evidence / "leaves").iterdir():
        frames = [replace_names(each) for each in read_journal(evidence)]
        file.write_bytes(b"".join(map(_frame, frames)))


def replace_names(entries: Entries) -> Entries:
    return msgspec.structs.replace(entries, revoked=[], changed=[])
