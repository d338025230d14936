"""What can be wrong with a hold that somebody wants to place, extend or release."""

from __future__ import annotations

from sealwire.errors import Malformed, Missing, Refused


class HoldEndsTooSoon(Malformed):
    """A hold has a last day, today or later, and is never cut short by extending it; release it instead."""


class ReasonOfOtherKind(Malformed):
    """This reason does not fit the kind: a legal hold is for litigation, authority-order or evidence-preservation,
    a restriction for accuracy-contested, processing-unlawful, subject-needs-it or objection-pending."""


class NothingToHold(Missing):
    """Nothing living matches, so there is nothing to hold; calls that are still up are held when they have ended."""


class TooMuchHeld(Malformed):
    """One hold takes at most 10,000 records or 4,000 days of categories and classes; place several."""


class HoldReleased(Refused):
    """This hold was released, and what was due may be destroyed already; place a new one on what is left."""
