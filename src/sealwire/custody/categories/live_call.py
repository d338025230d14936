"""Calls that are up: kept so that a crash of the switchboard still leaves a call record."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import ApplicationId, CallId, Party, ServiceId


@record_category(
    code=6,
    name="live-call",
    purpose="a call record even when the switchboard dies in mid-call",
    role=Role.PROCESSOR,
    retention=Retention(starts="started_at", days_default=2, days_min=1, days_max=2, most=2),
    passing=True,
)
class LiveCall:
    """A call that has started and not yet ended."""

    call_id: CallId = plain("joins the call record to come")
    started_at: dt.datetime = plain("starts the retention clock")
    seen_at: dt.datetime = plain("bounds the end of a call that a crash cut off")
    caller: Party = sealed(OnErasure.DESTROY, findable=True)
    callee: Party = sealed(OnErasure.DETACH, findable=True)
    direction: str | None = plain("the same in the call record to come", default=None)
    application_id: ApplicationId | None = plain("joins the application record to come", default=None)
    service_id: ServiceId | None = plain("counts runs by service without opening them", default=None)
    leg: int | None = plain("the same in the call record to come", default=None)
