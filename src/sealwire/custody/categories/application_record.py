"""Application records (ADR)."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import ApplicationId, CallId, ServiceId


@record_category(
    code=7,
    name="application-record",
    purpose="how an application ran and what it cost, on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="ended_at", days_default=90, days_min=28, days_max=180, least=0),
    identified_by="application_id",
)
class ApplicationRecord:
    """One run of an application over one call: its return code, its length and its costs."""

    application_id: ApplicationId = plain("names the run in every answer")
    call_id: CallId = plain("joins the run and its call")
    service_id: ServiceId | None = plain("counts runs by service without opening them")
    kind: str = plain("tells pages, programs and built-ins apart")
    direction: str = plain("needed to count runs without opening them")
    started_at: dt.datetime = plain("orders the list without opening it")
    ended_at: dt.datetime = plain("starts the retention clock")
    return_code: int = plain("needed to notice failing applications")
    extra_legs: int = plain("counted for what it costs")
    speech_seconds: int = plain("counted for what it costs")
    cost_millicents: int = plain("sums costs without opening them")
    arguments: str = sealed(OnErasure.DESTROY)
    parameters: str = sealed(OnErasure.DESTROY)
