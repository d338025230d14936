"""Which account answers at a number, and whether a call for it may be taken."""

from __future__ import annotations

from sealwire.communications.calls.ports import UNKNOWN_CALLEE, Refusal, Route
from sealwire.custody.lifecycle import Custody
from sealwire.governance.accounts import route_of
from sealwire.vocabulary import AccountId, HangupCause, Party

NO_AGREEMENT = Refusal(403, "the called account has no data processing agreement in force", HangupCause.REJECTED)


class NumberRouter:
    """Routes by the numbers of governance. Unavailable when what a call leaves could not be kept."""

    def __init__(self, custody: Custody) -> None:
        self._custody = custody

    async def route(self, callee: Party) -> Route | Refusal:
        """The service behind a number; a call whose records could not be kept or erased is not taken."""
        found = await route_of(self._custody.database, callee)
        if found is None:
            return UNKNOWN_CALLEE
        if not found.agreed:
            return NO_AGREEMENT
        await self._custody.require_keeper()
        return Route(AccountId(found.account.value), found.service)
