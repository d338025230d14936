"""What the API works with: its database role, custody, the clients of keeper and sequencer, the clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from sealwire.config import Settings
from sealwire.custody.lifecycle import Custody, keeper_client
from sealwire.evidence.client import SequencerClient
from sealwire.governance.principals import Principal
from sealwire.ground.clock import Clock, SystemClock
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
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


@dataclass(frozen=True, slots=True)
class Visit:
    """One authenticated request: who asks, and a secret of theirs under which we hash what they sent."""

    parts: Parts
    principal: Principal
    hashing_key: bytes

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
    clock = SystemClock()
    database = await Database.connect(database_dsn or dsn(settings, DATABASE_ROLE), size_max=12)
    try:
        sequencer = SequencerClient(settings.sequencer_socket)
        custody = Custody(
            database=database,
            keeper=keeper_client(settings),
            sequencer=sequencer,
            objects=Objects.open(settings.objects_dir),
            clock=clock,
        )
        yield Parts(settings, database, custody, sequencer, clock)
    finally:
        await database.close()
