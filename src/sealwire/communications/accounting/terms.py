"""At which prices one leg or message was admitted: kept with its reservation, so that it is settled at these."""

from __future__ import annotations

import math
from uuid import UUID

import msgspec

from sealwire.communications.accounting.port import Charge
from sealwire.governance.billing.rating import Increments, Price
from sealwire.governance.billing.tariff import Tariff


class Term(msgspec.Struct, frozen=True, array_like=True):
    """One item of a leg or message, with its price."""

    item: str
    millicents: int
    first_s: int = 1
    step_s: int = 1

    @classmethod
    def of(cls, item: str, price: Price) -> Term:
        return cls(item, price.millicents, price.increments.first_s, price.increments.step_s)

    @property
    def price(self) -> Price:
        return Price(self.millicents, Increments(self.first_s, self.step_s))


class Terms(msgspec.Struct, frozen=True):
    """All items of one leg (by the second) or message (by the segment), and the tariff they are from."""

    tariff: str
    timed: tuple[Term, ...] = ()
    counted: tuple[Term, ...] = ()

    def of_seconds(self, seconds: float) -> int:
        """What the leg costs when it lasts so long from its answer."""
        return sum(term.price.of_seconds(seconds) for term in self.timed)

    def within(self, seconds: float, amount: int) -> float:
        """These seconds, or as many whole ones as this amount pays for when it pays for fewer."""
        fewest, most = 0, math.ceil(max(0.0, seconds))
        if self.of_seconds(seconds) <= amount:
            return seconds
        while fewest < most:
            middle = (fewest + most + 1) // 2
            fewest, most = (middle, most) if self.of_seconds(middle) <= amount else (fewest, middle - 1)
        return float(fewest)

    def of_segments(self, segments: int) -> int:
        """What the message costs."""
        return sum(term.price.of_units(segments) for term in self.counted)

    def charges(self, reservation: UUID, *, seconds: float = 0.0, segments: int = 0) -> list[Charge]:
        """One charge for each item that was used; `units` are billed seconds, or segments."""
        timed = [(term, term.price.increments.billed_s(seconds), term.price.of_seconds(seconds)) for term in self.timed]
        counted = [(term, segments, term.price.of_units(segments)) for term in self.counted]
        return [
            Charge(term.item, units, amount, self.tariff, reservation)
            for term, units, amount in timed + counted
            if units > 0
        ]


def leg_terms(tariff: Tariff, *, item: str, price: Price, is_extra: bool) -> Terms:
    """A leg pays for what carries it, for the platform, and when it is one more of the same call, for that."""
    timed = [Term.of(item, price), Term.of("platform-minute", tariff.platform)]
    if is_extra:
        timed.append(Term.of("extra-leg-minute", tariff.extra_leg))
    return Terms(tariff.version, timed=tuple(timed))
