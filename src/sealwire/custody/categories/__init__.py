"""The catalogue: every kind of record the service keeps, one declaration each.

Storage, search index, erasure plan, permission, inventory and the promise tests derive from a declaration.
To add a category, write one file here: every module of this folder is read. docs/howto/add-a-category.md says how.
"""

from importlib import import_module
from pkgutil import iter_modules

from sealwire.custody.categories.application_record import ApplicationRecord
from sealwire.custody.categories.billing_record import BillingRecord
from sealwire.custody.categories.call_record import CallRecord
from sealwire.custody.categories.declaration import Category, OnErasure, Retention, Role, category_of, declared
from sealwire.custody.categories.live_call import LiveCall
from sealwire.custody.categories.media_file import MediaFile
from sealwire.custody.categories.message_content import MessageContent
from sealwire.custody.categories.message_record import MessageRecord
from sealwire.custody.categories.opt_out import OptOut
from sealwire.custody.categories.recording import Recording
from sealwire.custody.categories.report import Report
from sealwire.custody.categories.subject_request import SubjectRequest
from sealwire.custody.categories.webhook_delivery import WebhookDelivery

AUDIT_CODE = 4
"""The tree's category for payloads of the evidence log; they are kept by `evidence`, not as records."""

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

CATALOGUE: tuple[Category, ...] = declared()
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
    "ApplicationRecord",
    "BillingRecord",
    "CallRecord",
    "Category",
    "LiveCall",
    "MediaFile",
    "MessageContent",
    "MessageRecord",
    "OnErasure",
    "OptOut",
    "Recording",
    "Report",
    "Retention",
    "Role",
    "SubjectRequest",
    "WebhookDelivery",
    "category_of",
    "standard_periods",
]
