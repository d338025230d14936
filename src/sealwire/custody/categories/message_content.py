"""Message contents, apart from their records so that they can go first."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import MessageId, Party


@record_category(
    code=9,
    name="message-content",
    purpose="what was written, kept on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="accepted_at", days_default=28, days_min=28, days_max=180),
)
class MessageContent:
    """The text of one message."""

    message_id: MessageId = plain("joins the message record and its content")
    accepted_at: dt.datetime = plain("starts the retention clock")
    sender: Party = sealed(OnErasure.DESTROY, findable=True)
    recipient: Party = sealed(OnErasure.DESTROY, findable=True)
    text: str = sealed(OnErasure.DESTROY)
