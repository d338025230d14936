"""Call records (CDR)."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import ApplicationId, CallId, HangupCause, Party


@record_category(
    code=1,
    name="call-record",
    purpose="proof of service and statistics, on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="ended_at", days_default=90, days_min=28, days_max=180, least=0),
    identified_by="call_id",
)
class CallRecord:
    """Who called whom, when, and how the call ended."""

    call_id: CallId = plain("joins the call record and its recordings")
    direction: str = plain("needed to count calls without opening them")
    started_at: dt.datetime = plain("orders the list without opening it")
    answered_at: dt.datetime | None = plain("needed to bill without opening")
    ended_at: dt.datetime = plain("starts the retention clock")
    hangup_cause: HangupCause = plain("needed for failure statistics")
    caller: Party = sealed(OnErasure.DESTROY, findable=True)
    callee: Party = sealed(OnErasure.DETACH, findable=True)
    digits: str = sealed(OnErasure.DESTROY)
    leg: int | None = plain("0 is the first leg, others were dialled from it", default=None)
    application_id: ApplicationId | None = plain("joins the call and its application", default=None)
