"""Reports: extracts a customer asked for, which go after some days by themselves."""

import datetime as dt

from sealwire.custody.categories.declaration import Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import ReportId


@record_category(
    code=12,
    name="report",
    purpose="an extract of records for the controller to fetch, on its instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="made_at", days_default=7, days_min=1, days_max=28),
    has_media=True,
    identified_by="report_id",
)
class Report:
    """One extract, CSV or JSON; it may hold numbers, so it is sealed like what it was made from."""

    report_id: ReportId = plain("names the report in every answer")
    made_at: dt.datetime = plain("starts the retention clock")
    of: str = plain("says which category was extracted")
    format: str = plain("needed to serve it rightly")
    rows: int = plain("shown before it is fetched")
    sha256: bytes = sealed()
    with_content: bool | None = plain("goes with every erasure when it holds what was sealed", default=None)
