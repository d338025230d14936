"""Billing records: what the law demands be kept, and nothing more."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import CallId, MessageId, Party


@record_category(
    code=3,
    name="billing-record",
    purpose="invoices and their statutory retention",
    role=Role.CONTROLLER,
    retention=Retention(
        starts="ended_at", days_default=3650, days_min=2190, days_max=4015, at_year_end=True, least=2190, most=4015
    ),
    survives_closure=True,
)
class BillingRecord:
    """What was charged for a call: the least that an invoice must be able to show."""

    call_id: CallId | None = plain("ties the charge to its call")
    ended_at: dt.datetime = plain("starts the statutory period")
    seconds_charged: int = plain("sums invoices without opening them")
    amount_millicents: int = plain("sums invoices without opening them")
    destination: Party = sealed(OnErasure.DETACH, findable=True)
    item: str | None = plain("says what was charged for, in the tariff's words", default=None)
    units: int | None = plain("how much of it was used", default=None)
    tariff: str | None = plain("which tariff gave the price", default=None)
    message_id: MessageId | None = plain("ties the charge to its message", default=None)
