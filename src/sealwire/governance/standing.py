"""Where an account stands: open, closing (the grace), closed; and what is answered to whoever comes too late."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sealwire.errors import Gone, Refused
from sealwire.ground.clock import rfc3339
from sealwire.vocabulary import ClosureId


class AccountIsClosing(Refused):
    """This account is being closed: what it has can be read, nothing new begins. Its owner can still cancel that."""


class AccountIsClosed(Gone):
    """This account is closed and its records are unreadable; the certificate of its closure says when and how."""

    @classmethod
    def since(cls, closed_at: dt.datetime, closure: ClosureId) -> AccountIsClosed:
        """Saying when, and where the certificate is read."""
        return cls(
            f"this account was closed on {rfc3339(closed_at)}: its keys are destroyed, so nothing of it can be read, "
            f"in backups neither. GET /v1/closures/{closure} with the retrieval token given at closing says more",
            certificate=str(closure),
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands."""

    state: str
    closure: ClosureId | None
    closes_at: dt.datetime | None
    closed_at: dt.datetime | None
    country: str | None

    def require_open(self, now: dt.datetime) -> None:
        """AccountIsClosing during the grace, AccountIsClosed from its end on."""
        if self.closure is None or self.closes_at is None:
            return
        if self.closed_at is not None or self.closes_at <= now:
            raise AccountIsClosed.since(self.closed_at or self.closes_at, self.closure)
        raise AccountIsClosing
