"""What may still be kept while an account closes. Nothing is imported here, so that storage can ask."""

from __future__ import annotations

ENDS_WHAT_BEGAN = frozenset(
    {"call-record", "recording", "application-record", "webhook-delivery", "report", "subject-request"}
)
"""Records that come of what was under way when the grace began, or that the owner asks for before the end."""


def refused_states(name: str, *, survives_closure: bool) -> tuple[str, ...]:
    """In which states of its account a record of this category is not kept any more; a charge always is."""
    if survives_closure:
        return ()
    return ("closed",) if name in ENDS_WHAT_BEGAN else ("closing", "closed")
