"""What the API works with: its database role, custody, the clients of keeper and sequencer, the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from sealwire.communications.accounting.spending import AccountSpending
from sealwire.communications.addresses import Reach
from sealwire.communications.calls.remote import SwitchboardClient
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox
from sealwire.communications.webhooks.announcer import OutboxAnnouncer
from sealwire.config import Settings
from sealwire.custody.closure.closer import Rules
from sealwire.custody.lifecycle import Custody, connect_custody
from sealwire.custody.retention.policy import Policy, policy_of
from sealwire.evidence.client import SequencerClient
from sealwire.governance.billing.tariff import load_tariff
from sealwire.governance.principals import Principal
from sealwire.ground.clock import Clock, SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import AccountId

DATABASE_ROLE = "sealwire_service"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a handler may need."""

    settings: Settings
    database: Database
    custody: Custody
    sequencer: SequencerClient
    clock: Clock
    secretbox: SecretBox
    switchboard: SwitchboardClient
    opt_outs: OptOuts
    outbox: MessageOutbox
    retention_policy: Policy
    closing_rules: Rules

    @property
    def reach(self) -> Reach:
        """Where customers' pages, webhooks and trunks may be."""
        return Reach.parse(self.settings.egress_allow)


@dataclass(frozen=True, slots=True)
class Visit:
    """One authenticated request: who asks, and a secret of theirs under which we hash what they sent."""

    parts: Parts
    principal: Principal
    hashing_key: bytes
    source: str | None = None
    """The address the request came from, as the server saw it."""

    @property
    def account(self) -> AccountId:
        """The account of the credential; NotPermitted for the operator's own."""
        return self.principal.in_account()


Here: TypeAlias = NamedDependency[SkipValidation[Visit]]
"""The visit, as handlers ask for it."""
PartsHere: TypeAlias = NamedDependency[SkipValidation[Parts]]
"""The parts, for the operation that needs no credential."""


@asynccontextmanager
async def connected_parts(settings: Settings, *, database_dsn: str | None = None) -> AsyncIterator[Parts]:
    """Connect to the database; keeper and sequencer are found when they are first needed."""
    clock, switchboard = SystemClock(), SwitchboardClient(settings.switchboard_socket)
    custody = await connect_custody(settings, database_dsn or dsn(settings, DATABASE_ROLE), clock, connections_max=12)
    try:
        opt_outs = OptOuts(custody)
        announcer = OutboxAnnouncer(custody.database, clock)
        spending = AccountSpending(custody.database, clock, load_tariff(settings.tariff), announcer=announcer)
        outbox = MessageOutbox(custody, opt_outs=opt_outs, spending=spending, has_centre=bool(settings.smsc))
        yield Parts(
            settings, custody.database, custody, custody.sequencer, clock, SecretBox.open(settings), switchboard,
            opt_outs, outbox, policy_of(settings), Rules.of(settings),
        )  # fmt: skip
    finally:
        await switchboard.close()
        await custody.close()
