"""Requests of data subjects (GDPR Art. 15 to 22): who asked for what."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import Party, SubjectRequestId


@record_category(
    code=13,
    name="subject-request",
    purpose="showing that data subjects were answered in time, on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="received_at", days_default=1095, days_min=365, days_max=3650),
    identified_by="request_id",
)
class SubjectRequest:
    """One request of one person; its state and its dates stay when the person is erased."""

    request_id: SubjectRequestId = plain("names the request in every answer")
    received_at: dt.datetime = plain("starts the retention clock")
    kind: str = plain("tells access, erasure and the others apart")
    subject: Party = sealed(OnErasure.DETACH, findable=True)
    details: str = sealed(OnErasure.DETACH)
