"""Legal holds and restrictions (GDPR Art. 18): what is held stays until its hold ends, whatever else destroys."""

from sealwire.custody.holds.book import (
    Hold,
    HoldMissing,
    Kind,
    Reason,
    RecordsHeld,
    held_among,
    left_of_gone_days,
    require_none_placing,
    require_not_held,
)
from sealwire.custody.keys.refusals import Restricted

__all__ = [
    "Hold",
    "HoldMissing",
    "Kind",
    "Reason",
    "RecordsHeld",
    "Restricted",
    "held_among",
    "left_of_gone_days",
    "require_none_placing",
    "require_not_held",
]
