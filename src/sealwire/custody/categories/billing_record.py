"""Billing records: what the law demands be kept, and nothing more."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import CallId, Party


@record_category(
    code=3,
    name="billing-record",
    purpose="invoices and their statutory retention",
    role=Role.CONTROLLER,
    retention=Retention(starts="ended_at", days_default=3650, days_min=2190, days_max=4015),
    survives_closure=True,
)
class BillingRecord:
    """What was charged for a call: the least that an invoice must be able to show."""

    call_id: CallId = plain("ties the charge to its call")
    ended_at: dt.datetime = plain("starts the statutory period")
    seconds_charged: int = plain("sums invoices without opening them")
    amount_millicents: int = plain("sums invoices without opening them")
    destination: Party = sealed(OnErasure.DETACH)
