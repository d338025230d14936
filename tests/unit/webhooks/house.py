"""One account's endpoints, a site that is told, and a deliverer whose clock is moved."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from tests.sites import Site

from sealwire.communications.addresses import Reach
from sealwire.communications.egress import Egress
from sealwire.communications.webhooks import endpoints
from sealwire.communications.webhooks.announcer import OutboxAnnouncer
from sealwire.communications.webhooks.deliverer import (
    Deliverer,
)
from sealwire.communications.webhooks.events import Event
from sealwire.custody.categories import WebhookDelivery
from sealwire.custody.lifecycle import Custody
from sealwire.ground.clock import TestClock
from sealwire.ground.postgres.database import Database
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import AccountId, CredentialId, EndpointId


@dataclass
class KeptInList:
    """As much of custody as a deliverer uses."""

    database: Database
    kept: list[WebhookDelivery] = field(default_factory=list)
    refuses: Exception | None = None

    async def keep(self, _account: AccountId, record: WebhookDelivery) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.kept.append(record)


@dataclass
class House:
    """One account's endpoints, a site, and the deliverer."""

    site: Site
    service: Database
    worker: Database
    custody: KeptInList
    box: SecretBox
    clock: TestClock
    account: AccountId = field(default_factory=AccountId.new)
    room: asyncio.Event = field(default_factory=asyncio.Event)
    secrets: dict[EndpointId, str] = field(default_factory=dict)

    def deliverer(self) -> Deliverer:
        return Deliverer(
            database=self.worker, custody=cast("Custody", self.custody), box=self.box, clock=self.clock,
            egress=Egress(Reach.parse("127.0.0.1/32"), trusted=self.site.ca), on_room=self.room.set,
        )  # fmt: skip

    async def endpoint(self, address: str, *events: Event, account: AccountId | None = None) -> EndpointId:
        account = account or self.account
        async with self.service.account(account) as connection:
            made, secret = await endpoints.create_endpoint(
                connection, account, address=address, label="", events=list(events) or [Event.CALL_ENDED],
                by=CredentialId.new(), box=self.box, clock=self.clock,
            )  # fmt: skip
        self.secrets[made.endpoint] = secret
        return made.endpoint

    async def announce(self, event: Event = Event.CALL_ENDED, **references: Any) -> None:
        await OutboxAnnouncer(self.service, self.clock).announce(self.account, event, **references)

    async def round(self, deliverer: Deliverer) -> None:
        """Let everything that is due come to its end."""
        await deliverer.deliver_due()
        while deliverer._under_way:
            await asyncio.gather(*deliverer._under_way, return_exceptions=True)
            await asyncio.sleep(0)

    async def rows(self) -> list[Any]:
        async with self.worker.system() as connection:
            return list(await connection.fetch("SELECT * FROM communications.webhook_outbox ORDER BY due_at"))

    async def state(self, endpoint: EndpointId) -> endpoints.Endpoint:
        async with self.service.account(self.account) as connection:
            return await endpoints.find_endpoint(connection, self.account, endpoint)
