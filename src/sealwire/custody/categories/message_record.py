"""Message records: who wrote to whom, when, and what became of it; never what was written."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import MessageId, Party


@record_category(
    code=8,
    name="message-record",
    purpose="proof of service and statistics, on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="accepted_at", days_default=90, days_min=28, days_max=180),
    identified_by="message_id",
)
class MessageRecord:
    """Who wrote to whom and when; the content is a record of its own."""

    message_id: MessageId = plain("joins the message record and its content")
    direction: str = plain("needed to count messages without opening them")
    accepted_at: dt.datetime = plain("starts the retention clock")
    encoding: str = plain("needed to count segments without opening them")
    segments: int = plain("counted for what it costs")
    redaction: str = plain("says what goes after delivery")
    sender: Party = sealed(OnErasure.DESTROY, findable=True)
    recipient: Party = sealed(OnErasure.DESTROY, findable=True)
