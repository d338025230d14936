"""From use to money, in integers: pure, monotone, rounded up once per charge."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Increments:
    """How time is counted, in seconds: the first step whole, then each further one (60/60, 1/1, 30/6)."""

    first_s: int = 1
    step_s: int = 1

    def billed_s(self, answered_s: float) -> int:
        """Whole seconds that are billed; a call that was not answered costs nothing."""
        used_s = math.ceil(round(answered_s, 3))
        if used_s <= 0:
            return 0
        further_s = max(0, used_s - self.first_s)
        return self.first_s + math.ceil(further_s / self.step_s) * self.step_s


@dataclass(frozen=True, slots=True)
class Price:
    """Millicents per minute, or per segment."""

    millicents: int
    increments: Increments = Increments()

    def of_seconds(self, answered_s: float) -> int:
        """What this long a time costs, rounded up to a millicent."""
        return -(-self.increments.billed_s(answered_s) * self.millicents // MINUTE_S)

    def of_units(self, units: int) -> int:
        """What so many pieces cost."""
        return max(0, units) * self.millicents


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices by prefix; the longest one that fits counts."""

    by_prefix: dict[str, Price] = field(repr=False)

    def of(self, number: str) -> Price | None:
        """The price for a number, or None: what has no price is not sold."""
        for end in range(len(number), 0, -1):
            if (price := self.by_prefix.get(number[:end])) is not None:
                return price
        return None
