"""Recordings of calls."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import CallId, Party


@record_category(
    code=2,
    name="recording",
    purpose="what was said, kept on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="started_at", days_default=28, days_min=28, days_max=180, least=0),
    has_media=True,
)
class Recording:
    """The audio of a call: 8 kHz, 16 bit, sealed as it is spoken."""

    call_id: CallId = plain("joins the call record and its recordings")
    started_at: dt.datetime = plain("starts the retention clock")
    duration_ms: int = plain("needed to account for storage")
    caller: Party = sealed(OnErasure.DESTROY, findable=True)
    callee: Party = sealed(OnErasure.DESTROY, findable=True)
    audio_sha256: bytes = sealed()
    channels: int | None = plain("tells mixed recordings from one channel per party", default=None)
    encryption: str | None = plain("says who can open it", default=None)
    key_id: str | None = plain("says which of the customer's keys opens it", default=None)
    sealed_bytes: int | None = plain("the size of a recording sealed to the customer", default=None)
