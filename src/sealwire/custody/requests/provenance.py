"""What must be told beside the data (GDPR Art. 15(1)): where they come from, who received them, on what ground."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sealwire.custody.categories import Category, Role
from sealwire.custody.erasure import BACKUP_MARGIN_DAYS
from sealwire.vocabulary import Day

SOURCES = {
    "call-record": "the signalling of the call, and keys pressed in it",
    "recording": "what was said in the call",
    "billing-record": "the call or message that was charged, and the tariff",
    "live-call": "the signalling of the call that is up",
    "application-record": "the application that drove the call",
    "message-record": "the message as it was handed over, and receipts of its delivery",
    "message-content": "the message as it was handed over",
    "media-file": "an upload by the controller",
    "webhook-delivery": "the events of the service, and the answers of the controller's endpoint",
    "report": "an extract of other records, asked for by the controller",
    "opt-out": "the person's own word, or the controller's entry",
    "subject-request": "the person's own request, entered by the controller",
}
GROUNDS = {
    Role.PROCESSOR: "the controller's own ground (GDPR Art. 6(1)); here on its instruction (Art. 28(3)(a))",
    Role.CONTROLLER: "a legal obligation of the operator (GDPR Art. 6(1)(c))",
}
_BELONGS = {("call-record", "digits"): "caller"}
"""Sealed fields without a name in them that are about one party only."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What this installation knows beside the records; recipients by the name of a category."""

    backup_cycle_days: int
    recipients: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def of(self, category: Category, due: Day) -> dict[str, object]:
        """Purpose, source, recipients, ground, how long it is kept, and until when a backup may hold its ciphertext."""
        in_backups = due.date + dt.timedelta(days=self.backup_cycle_days + BACKUP_MARGIN_DAYS)
        return {
            "purpose": category.purpose,
            "role": category.role.value,
            "ground": GROUNDS[category.role],
            "source": SOURCES.get(category.name, "the controller"),
            "recipients": list(self.recipients.get(category.name, ())),
            "due_on": due.date.isoformat(),
            "in_backups_until": in_backups.isoformat(),
        }


def is_of(category: Category, name: str, roles: Sequence[str]) -> bool:
    """Whether a sealed field that names nobody may be shown to a party with these roles."""
    owner = _BELONGS.get((category.name, name))
    return owner is None or owner in roles
