"""A process that erases a person and takes the eraser's steps; SEALWIRE_CRASH_AT tells it to die on the way."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from sealwire.config import load_settings
from sealwire.custody.eraser import Eraser
from sealwire.custody.lifecycle import connect_custody
from sealwire.custody.requests import acting, workflow
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, CredentialId, Purpose, SubjectRequestId


async def main(data: str, account: str, request: str) -> None:
    settings, clock = load_settings(Path(data)), SystemClock()
    custody = await connect_custody(settings, dsn(settings, "sealwire_service"), clock)
    whose = AccountId.parse(account)
    principal = Principal(CredentialId.new(), whose, frozenset({Scope.OWNER}), Purpose.SUBJECT_REQUEST)
    async with custody.database.account(whose) as connection:
        found = await workflow.find(connection, whose, SubjectRequestId.parse(request))
    if found.closed_at is None:
        await acting.erase_person(custody, principal, found, backup_cycle_days=28)
    database = await Database.connect(dsn(settings, "sealwire_worker"), size_max=4)
    eraser = Eraser(
        database=database, keeper=custody.keeper, sequencer=custody.sequencer, objects=custody.objects, clock=clock
    )
    while await eraser.make_pending_unreadable():
        pass
    await eraser.remove_pending()
    await database.close()
    await custody.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
