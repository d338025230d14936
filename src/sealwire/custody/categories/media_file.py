"""Media files: what a customer uploaded to be played."""

import datetime as dt

from sealwire.custody.categories.declaration import Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import MediaId


@record_category(
    code=10,
    name="media-file",
    purpose="sounds that a customer's applications play, kept on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="uploaded_at", days_default=180, days_min=1, days_max=180),
    has_media=True,
    identified_by="media_id",
)
class MediaFile:
    """One uploaded file; its name may name somebody, so it is sealed."""

    media_id: MediaId = plain("names the file in every answer")
    uploaded_at: dt.datetime = plain("starts the retention clock")
    encryption: str = plain("says whether it must be opened before it is played")
    duration_ms: int | None = plain("unknown for what was encrypted before upload")
    name: str = sealed()
    sha256: bytes = sealed()
