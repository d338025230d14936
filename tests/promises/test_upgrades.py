"""An account of an older version goes on after an upgrade: new categories are admitted, its own periods stay."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from sealwire.config import load_settings
from sealwire.custody.categories import ApplicationRecord, standard_periods
from sealwire.custody.lifecycle import Custody, connect_custody
from sealwire.doors.supervisor import KEEPER, SEQUENCER, Cloud
from sealwire.errors import Refused
from sealwire.governance import accounts, agreements
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import AccountId, ApplicationId, CallId, CredentialId, ReturnCode

PARTS = ((KEEPER,), (SEQUENCER,))
OF_THE_FIRST_VERSION = {"1/0": 90, "2/0": 28, "3/0": 3650, "4/0": 1095, "6/0": 2}


async def test_an_account_of_the_first_version_gets_the_new_categories_at_the_next_start(reachable_dir: Path) -> None:
    settings = load_settings(reachable_dir / "data")
    async with Cloud(settings, parts=PARTS):
        custody = await connect_custody(settings, dsn(settings, "sealwire_service"), SystemClock())
        account = await _old_account(custody)
        with pytest.raises(Refused):
            await custody.keep(account, _application_record())
        await custody.close()
    (settings.data_dir / "admitted-categories").write_text("the catalogue of the first version\n")

    async with Cloud(settings, parts=PARTS):
        custody = await connect_custody(settings, dsn(settings, "sealwire_service"), SystemClock())
        kept = await custody.keep(account, _application_record())
        assert (await custody.find(account, [kept.record]))[0].plain["return_code"] == 0
        assert await custody.keeper.admit_categories(account, standard_periods() | {"1/0": 91}) == []
        await custody.close()


async def _old_account(custody: Custody) -> AccountId:
    account, clock = AccountId.new(), custody.clock
    log = await custody.sequencer.open_log(account)
    await custody.keeper.create_account(account, log_vkey=log.vkey, periods=OF_THE_FIRST_VERSION)
    sha256 = agreements.document_sha256(agreements.standard_document())
    async with custody.database.account(account) as connection:
        await accounts.create(connection, account, name="Old", log_origin=log.origin, log_vkey=log.vkey, clock=clock)
        await agreements.accept_standard(
            connection, account, sha256=sha256, annex={}, accepted_by=CredentialId.new(), clock=clock
        )
    return account


def _application_record() -> ApplicationRecord:
    now = dt.datetime.now(dt.UTC)
    return ApplicationRecord(
        application_id=ApplicationId.new(), call_id=CallId.new(), service_id=None, kind="built-in",
        direction="inbound", started_at=now, ended_at=now, return_code=int(ReturnCode.DONE), extra_legs=0,
        speech_seconds=0, cost_millicents=0, arguments="", parameters="",
    )  # fmt: skip
