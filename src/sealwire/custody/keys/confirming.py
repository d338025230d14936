"""Much at once is destroyed at the second asking: a whole account, or more records than a person asks for by hand.

The API asks for less already and never sends more in one erasure; whoever comes by another way meets this. The first
asking registers it; after a short grace, in which it can still be thought over, the same asking again is
the confirmation. What is due by the calendar, or was confirmed before it came here, is not asked about.
"""

from __future__ import annotations

from collections import OrderedDict

from sealwire.custody.keys.requests import Erasing
from sealwire.errors import Refused
from sealwire.ground.clock import Clock

UNCONFIRMED_LEAVES_MAX = 10_000
GRACE_S = 60.0
_REGISTERED_MAX = 1_000


class ConfirmationNeeded(Refused):
    """This destroys a whole account or very many records; it is registered: confirm by asking again in a minute."""


class Confirmations:
    """What was asked for once, by account, erasure and paths. A restart forgets it, and it is asked for anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._registered: OrderedDict[str, float] = OrderedDict()

    def require(self, name: str, request: Erasing) -> None:
        """Pass, or ConfirmationNeeded until the grace after the first asking is over."""
        if request.close_keeping is None and len(request.leaves) <= UNCONFIRMED_LEAVES_MAX:
            return
        now_s = self._clock.monotonic_s()
        since_s = self._registered.setdefault(name, now_s)
        while len(self._registered) > _REGISTERED_MAX:
            self._registered.popitem(last=False)
        if now_s - since_s < GRACE_S:
            raise ConfirmationNeeded
        self._registered.pop(name, None)
