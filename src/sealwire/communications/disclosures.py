"""To whom an account's personal data go (GDPR Art. 15(1)(c), 19), category by category, as it is configured now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sealwire.communications.carriers.book import trunks_for
from sealwire.communications.reports import book as reports
from sealwire.communications.webhooks.endpoints import ENDPOINTS_MAX, list_endpoints
from sealwire.governance.programs import book as programs
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import AccountId, EndpointId, OpaqueId

LISTED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who receives data of some categories: what they are here, and by which id they are found."""

    kind: str
    id: OpaqueId | None = None
    endpoint: EndpointId | None = None
    """Where they are told by us: an endpoint that is active. Others are the controller's to tell."""

    @property
    def text(self) -> str:
        return self.kind.replace("-", " ") if self.id is None else f"{self.kind.replace('-', ' ')} {self.id}"

    @property
    def value(self) -> UUID:
        return self.id.value if self.id is not None else UUID(int=0)


async def recipients_of(
    connection: Connection, account: AccountId, *, has_centre: bool
) -> Mapping[str, list[Recipient]]:
    """By the name of a category: trunks, the message centre, webhook endpoints, programs, and reports with content."""
    trunks = [Recipient("trunk", trunk.trunk) for trunk in await trunks_for(connection, account)]
    endpoints = [
        Recipient("webhook-endpoint", each.endpoint, each.endpoint if each.state == "active" else None)
        for each in await list_endpoints(connection, account, before=None, limit=ENDPOINTS_MAX)
    ]
    uas = [
        Recipient("program", each.program)
        for each in await programs.programs(connection, account, before=None, limit=LISTED_MAX)
        if each.revoked_at is None
    ]
    centre = [Recipient("the-message-centre")] if has_centre else []
    found = {
        "call-record": trunks + endpoints + uas,
        "recording": endpoints,
        "application-record": endpoints + uas,
        "message-record": centre + endpoints,
        "message-content": list(centre),
        "webhook-delivery": list(endpoints),
    }
    for report in await reports.page(connection, account, before=None, limit=LISTED_MAX):
        if report.with_content and report.state == "ready":
            found.setdefault(reports.OF[report.of], []).append(Recipient("export", report.report))
    return found
