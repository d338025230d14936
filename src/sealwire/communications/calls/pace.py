"""Not more than so many set-ups a second: a short queue, and a clear word when it is full."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from sealwire.errors import Unavailable
from sealwire.vocabulary import AccountId

SET_UPS_A_SECOND = 20.0
WAITING_SECONDS_MAX = 2.0


class TooFast(Unavailable):
    """More calls are being placed than this switchboard sets up at once; nothing was started, try again in a second."""


class Pace:
    """Gives out moments that are evenly spaced, after a burst of at most a fifth of a second's worth.

    One account has at most half of the queue, so that who is in a hurry does not keep the others from calling.
    """

    def __init__(self, *, a_second: float = SET_UPS_A_SECOND, waiting_seconds_max: float = WAITING_SECONDS_MAX) -> None:
        self._interval = 1 / a_second
        self._burst = 0.2
        self._waiting_seconds_max = waiting_seconds_max
        self._share = max(1, int(a_second * waiting_seconds_max / 2))
        self._waiting: Counter[AccountId] = Counter()
        self._next = 0.0

    async def turn(self, account: AccountId) -> None:
        """Wait for the next moment; TooFast when it is too far away, or others come before."""
        now = time.monotonic()
        moment = max(self._next, now - self._burst)
        if moment - now > self._waiting_seconds_max or self._waiting.get(account, 0) >= self._share:
            raise TooFast
        self._next = moment + self._interval
        if moment <= now:
            return
        self._waiting[account] += 1
        try:
            await asyncio.sleep(moment - now)
        finally:
            self._waiting[account] -= 1
            if not self._waiting[account]:
                del self._waiting[account]
