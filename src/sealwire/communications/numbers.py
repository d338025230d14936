"""Which service answers at a number, and whether a call for it may be taken."""

from __future__ import annotations

import asyncio
from typing import Protocol

from sealwire.communications.calls.ports import UNKNOWN_CALLEE, Refusal, Route
from sealwire.communications.switches.port import Leg
from sealwire.custody.lifecycle import Custody
from sealwire.governance.service_book import route_of_call, service_of_call
from sealwire.governance.services import Service
from sealwire.vocabulary import AccountId, HangupCause, ServiceId

NO_AGREEMENT = Refusal(403, "the called account has no data processing agreement in force", HangupCause.REJECTED)
NOT_FROM_THERE = Refusal(403, "calls for this number come in by its own trunks only", HangupCause.REJECTED)


class Gate(Protocol):
    """Whether a call from there may come in."""

    async def admits(self, account: AccountId, leg_source: str) -> bool: ...


class NumberRouter:
    """Routes by the numbers of governance. Unavailable when what a call leaves could not be kept."""

    def __init__(self, custody: Custody, *, gate: Gate | None = None) -> None:
        self._custody = custody
        self._gate = gate

    async def route(self, leg: Leg) -> Route | Refusal:
        """The service behind a number; a call whose records could not be kept or erased is not taken."""
        found, _ = await asyncio.gather(
            route_of_call(self._custody.database, leg.callee), self._custody.require_keeper()
        )
        if found is None or found.service is None:
            return UNKNOWN_CALLEE
        if not found.agreed:
            return NO_AGREEMENT
        service, admitted = await asyncio.gather(
            self.service(found.account, found.service), self._admits(found.account, leg.source)
        )
        return Route(found.account, service) if admitted else NOT_FROM_THERE

    async def service(self, account: AccountId, service: ServiceId) -> Service:
        """A service of this account; ServiceMissing for any other."""
        return await service_of_call(self._custody.database, account, service)

    async def _admits(self, account: AccountId, source: str) -> bool:
        return self._gate is None or await self._gate.admits(account, source)
