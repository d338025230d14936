"""Puts events into the outbox: one row for each endpoint that wants them, and a NOTIFY that carries nothing."""

from __future__ import annotations

import re

import msgspec

from sealwire.communications.webhooks.events import Event
from sealwire.errors import Refused
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId

_queries = load_queries(__package__)
CHANNEL = "sealwire_webhooks"
_REFERENCE = re.compile(r"(?:[a-z]{2,4}_[0-9a-f]{32}|call_[0-9a-f]{32}|[a-z][a-z-]{0,39}(?:\.[a-z][a-z-]{0,39})?)\Z")
_WHOLE_MAX = 1 << 31


class ContentInEvent(Refused):
    """An event carries ids, codes and counts only; what it is about is opened by its id."""


class OutboxAnnouncer:
    """The outbox of this installation, on the service's own database role."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def announce(self, account: AccountId, event: Event, **references: str | int | bool) -> None:
        """Tell whoever wants to know. ContentInEvent for what is no id, code or count; Unavailable without database."""
        told = reference_json(references)
        await self._database.call(_queries.announce, account.value, event.value, told, self._clock.now())


def reference_json(references: dict[str, str | int | bool]) -> str:
    """References as they are stored and sent. The check keeps a text or a number of more than 10 digits from slipping
    through; that a word is a code and no name is up to whoever announces.
    """
    for value in references.values():
        if isinstance(value, str) and not _REFERENCE.match(value):
            raise ContentInEvent
        if isinstance(value, int) and not -_WHOLE_MAX <= value < _WHOLE_MAX:
            raise ContentInEvent
    return msgspec.json.encode(references).decode()
