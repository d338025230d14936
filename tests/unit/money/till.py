"""One account's money on a real database, as tests of spending use it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from sealwire.communications.accounting.spending import AccountAdmission, AccountSpending
from sealwire.communications.webhooks.events import Event
from sealwire.governance import spending as rules
from sealwire.governance.billing.tariff import load_tariff
from sealwire.governance.destinations import Destination
from sealwire.governance.spending import OperatorLimits
from sealwire.ground.clock import TestClock
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import AccountId, Party

LONDON, BERLIN, PREMIUM = Party("+441632960123"), Party("+4930123456"), Party("+449098790000")
MINUTE = 1000 + 100
"""What a minute to +44 costs by the tariff that comes with Sealwire, platform included."""


@dataclass
class Told:
    """An announcer that remembers."""

    events: list[Event] = field(default_factory=list)

    async def announce(self, account: AccountId, event: Event, **references: str | int | bool) -> None:
        self.events.append(event)


@dataclass
class Till:
    """One account with its spending, in a database with others."""

    spending: AccountSpending
    account: AccountId
    clock: TestClock
    told: Told

    async def allow(self, *texts: str, premium: bool = False) -> None:
        async with self.spending.database.account(self.account) as connection:
            wanted = [Destination.parse(text, premium=premium) for text in texts]
            await rules.allow_destinations(connection, self.account, wanted, self.clock)

    async def limit(self, **given: int) -> None:
        standard = {
            "day_cap": 5_000_000, "month_cap": 50_000_000, "calls": 250, "setups_per_second": 1000,
            "refused_per_minute": 30, "premium_per_minute": 10, "short_per_minute": 60,
        }  # fmt: skip
        async with self.spending.database.account(self.account) as connection:
            limits = OperatorLimits(**(standard | given))
            await rules.set_operator_limits(connection, self.account, limits, self.clock)

    async def now(self) -> rules.SpendingNow:
        async with self.spending.database.account(self.account) as connection:
            return await rules.spending_now(connection, self.account, self.clock)

    async def call(self, callee: Party = LONDON, direction: str = "outbound") -> AccountAdmission:
        return await self.spending.admit_call(self.account, direction=direction, callee=callee)

    async def message(self, segments: int = 1) -> AccountAdmission:
        return await self.spending.admit_message(self.account, recipient=LONDON, segments=segments)


async def new_till(database: Database) -> Till:
    account, clock, told = AccountId.new(), TestClock(dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)), Told()
    async with database.account(account) as connection:
        await connection.execute(
            "INSERT INTO governance.account (account_id, name, object_prefix, log_origin, log_vkey, created_at) "
            "VALUES ($1, 'x', 'x', 'x', 'x', $2)", account.value, clock.now(),
        )  # fmt: skip
    return Till(AccountSpending(database, clock, load_tariff(), announcer=told), account, clock, told)
