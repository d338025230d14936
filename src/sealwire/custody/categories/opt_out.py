"""Opt-outs: people who said that they want no more messages."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import Party


@record_category(
    code=14,
    name="opt-out",
    purpose="not writing to people who objected (GDPR Art. 21), on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="said_at", days_default=1825, days_min=365, days_max=3650),
)
class OptOut:
    """One person's wish to get no more messages from one sender, or to get them again."""

    said_at: dt.datetime = plain("starts the retention clock")
    wanted: bool = plain("tells opt-in from opt-out")
    sender: Party = sealed(OnErasure.DETACH, findable=True)
    recipient: Party = sealed(OnErasure.DESTROY, findable=True)
