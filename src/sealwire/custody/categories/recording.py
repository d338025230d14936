"""Recordings of calls."""

import datetime as dt

from sealwire.custody.categories.declaration import OnErasure, Retention, Role, plain, record_category, sealed
from sealwire.vocabulary import CallId, Party


@record_category(
    code=2,
    name="recording",
    purpose="what was said, kept on the controller's instruction",
    role=Role.PROCESSOR,
    retention=Retention(starts="started_at", days_default=28, days_min=1, days_max=180),
    has_media=True,
)
class Recording:
    """The audio of a call: 8 kHz, 16 bit, one channel, sealed as it is spoken."""

    call_id: CallId = plain("joins the call record and its recordings")
    started_at: dt.datetime = plain("starts the retention clock")
    duration_ms: int = plain("needed to account for storage")
    caller: Party = sealed(OnErasure.DESTROY, findable=True)
    callee: Party = sealed(OnErasure.DESTROY, findable=True)
    audio_sha256: bytes = sealed()
