"""The catalogue: every kind of record the service keeps, one declaration each.

Storage, search index, erasure plan, permission, inventory and the promise tests derive from a declaration.
To add a category, write one file here and name it below.
"""

from sealwire.custody.categories.billing_record import BillingRecord
from sealwire.custody.categories.call_record import CallRecord
from sealwire.custody.categories.declaration import Category, OnErasure, Retention, Role, category_of
from sealwire.custody.categories.live_call import LiveCall
from sealwire.custody.categories.recording import Recording

AUDIT_CODE = 4
"""The tree's category for payloads of the evidence log; they are kept by `evidence`, not as records."""

CATALOGUE: tuple[Category, ...] = tuple(map(category_of, (CallRecord, Recording, BillingRecord, LiveCall)))
BY_CODE = {category.code: category for category in CATALOGUE}
BY_NAME = {category.name: category for category in CATALOGUE}


def standard_periods() -> dict[str, int]:
    """Retention periods in days for a new account, keyed `category/class`, as the keeper enforces them."""
    periods = {f"{category.code}/0": category.retention.days_default for category in CATALOGUE}
    return periods | {f"{AUDIT_CODE}/0": 1095}


__all__ = [
    "AUDIT_CODE",
    "BY_CODE",
    "BY_NAME",
    "CATALOGUE",
    "BillingRecord",
    "CallRecord",
    "Category",
    "LiveCall",
    "OnErasure",
    "Recording",
    "Retention",
    "Role",
    "category_of",
    "standard_periods",
]
