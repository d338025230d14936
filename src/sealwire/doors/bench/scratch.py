"""A cloud of its own for each benchmark: made in a temporary folder, removed afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sealwire.config import Settings, load_settings
from sealwire.custody.categories import standard_periods
from sealwire.custody.lifecycle import Custody, connect_custody
from sealwire.custody.retention.periods import admit
from sealwire.doors.supervisor import Cloud, Part
from sealwire.governance import accounts, agreements, spending
from sealwire.governance.destinations import Destination
from sealwire.governance.principals import Principal, Scope
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import E164, AccountId, CredentialId, Purpose

CALLED = E164("+441632960100")


@dataclass(frozen=True, slots=True)
class Scratch:
    """A running cloud with one account that has an agreement and a number."""

    settings: Settings
    cloud: Cloud
    custody: Custody
    principal: Principal

    @property
    def account(self) -> AccountId:
        return self.principal.in_account()


@asynccontextmanager
async def scratch_cloud(
    parts: tuple[tuple[Part, ...], ...], *, connections_max: int = 8, **settings: object
) -> AsyncIterator[Scratch]:
    """Start the wanted processes on a new data folder; everything is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sealwire-bench-"))
    folder.chmod(0o755)  # noqa: ASYNC240 - the database's own user must reach what is below
    try:
        chosen = load_settings(folder / "data", **settings)
        async with Cloud(chosen, parts=parts) as cloud:
            custody = await connect_custody(
                chosen, dsn(chosen, "sealwire_service"), SystemClock(), connections_max=connections_max
            )
            try:
                yield Scratch(chosen, cloud, custody, await open_account(custody))
            finally:
                await custody.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def open_account(custody: Custody) -> Principal:
    """A new account with an agreement and a number."""
    account = AccountId.new()
    log = await custody.sequencer.open_log(account)
    await custody.keeper.create_account(account, log_vkey=log.vkey, periods=standard_periods())
    principal = Principal(CredentialId.new(), account, frozenset({Scope.OWNER}), Purpose.SERVICE_OPERATION)
    sha256 = agreements.document_sha256(agreements.standard_document())
    clock = custody.clock
    async with custody.database.account(account) as connection:
        await accounts.create(connection, account, name="Bench", log_origin=log.origin, log_vkey=log.vkey, clock=clock)
        await admit(connection, account, standard_periods())
        await agreements.accept_standard(
            connection, account, sha256=sha256, annex={}, accepted_by=principal.credential, clock=clock
        )
        await accounts.assign_number(connection, account, CALLED, service="greeting", clock=clock)
    return principal


async def lift_limits(scratch: Scratch) -> None:
    """Let the account have as many calls as are to be measured, to British numbers, and spend what that costs."""
    clock, no_limit = scratch.custody.clock, 1 << 30
    async with scratch.custody.database.account(scratch.account) as connection:
        now = await spending.spending_now(connection, scratch.account, clock)
        limits = replace(
            now.operator, day_cap=1 << 50, month_cap=1 << 50, calls=no_limit, setups_per_second=no_limit,
            short_per_minute=no_limit,
        )  # fmt: skip
        await spending.set_operator_limits(connection, scratch.account, limits, clock)
        await spending.allow_destinations(connection, scratch.account, [Destination.parse("+44")], clock)
