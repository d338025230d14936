"""What customers can be told of. An event carries references (opaque ids, codes, counts), never contents."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from sealwire.vocabulary import AccountId


class Event(StrEnum):
    """The kinds of event; names are stable."""

    CALL_ENDED = "call.ended"
    APPLICATION_ENDED = "application.ended"
    RECORDING_KEPT = "recording.kept"
    RECORDING_REFUSED = "recording.refused"
    MESSAGE_SENT = "message.sent"
    MESSAGE_DELIVERED = "message.delivered"
    MESSAGE_FAILED = "message.failed"
    MESSAGE_RECEIVED = "message.received"
    REPORT_READY = "report.ready"
    SPEND_CAP_REACHED = "spend.cap-reached"
    OUTBOUND_SUSPENDED = "outbound.suspended"
    ENDPOINT_DISABLED = "webhook.endpoint-disabled"
    SUBJECT_ERASED = "subject.erased"
    SUBJECT_RECTIFIED = "subject.rectified"
    SUBJECT_RESTRICTED = "subject.restricted"
    TEST = "webhook.test"


class Announcer(Protocol):
    """Puts an event into the outbox of webhooks; it is delivered by another process, also after a crash."""

    async def announce(self, account: AccountId, event: Event, **references: str | int | bool) -> None:
        """Never raises for a customer's endpoint; nothing happens when no endpoint wants this event."""
