"""What must be true before an outbound leg is placed: its pace, its money, its trunk, and a record that it is there."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from sealwire.communications.accounting.port import (
    Admission,
    DestinationNotAllowed,
    OutboundSuspended,
    SpendCapReached,
    TooManyCalls,
)
from sealwire.communications.calls.exchange import Exchange
from sealwire.communications.calls.ports import LiveCallStarted
from sealwire.communications.control.port import NotReached
from sealwire.communications.switches.port import DialTarget
from sealwire.errors import Refused
from sealwire.vocabulary import AccountId, ApplicationId, CallId, CredentialId, HangupCause, Party, ServiceId

_CAUSES: tuple[tuple[type[Refused], HangupCause], ...] = (
    (SpendCapReached, HangupCause.SPEND_CAP),
    (DestinationNotAllowed, HangupCause.NOT_ALLOWED),
    (OutboundSuspended, HangupCause.NOT_ALLOWED),
    (TooManyCalls, HangupCause.NOT_ALLOWED),
)


@dataclass(frozen=True, slots=True)
class Ready:
    """A leg that may be placed: its cost is reserved, and it must be kept as live before it is."""

    exchange: Exchange
    account: AccountId
    to: Party
    target: DialTarget = field(repr=False)
    admission: Admission
    call: CallId

    def about(
        self, application: ApplicationId, *, leg: int, service: ServiceId | None, retention_class: int
    ) -> LiveCallStarted:
        """What is known of it now."""
        return LiveCallStarted(
            call_id=self.call,
            account=self.account,
            caller=self.target.caller,
            callee=self.to,
            direction="outbound",
            started_at=self._now(),
            leg=leg,
            application_id=application,
            service_id=service,
            retention_class=retention_class,
        )

    async def keep(self, about: LiveCallStarted) -> None:
        """Keep it as live; when that cannot be, nothing is placed and nothing stays reserved."""
        try:
            await self.exchange.keeper.call_started(about)
        except BaseException:
            await self.admission.settle()
            raise

    async def give_back(self, about: LiveCallStarted) -> None:
        """It is not placed after all."""
        await self.admission.settle()
        await self.exchange.keeper.let_go(about)

    def _now(self) -> dt.datetime:
        return self.exchange.clock.now()


async def ready_to_dial(
    exchange: Exchange,
    account: AccountId,
    to: Party,
    *,
    caller: Party | None,
    credential: CredentialId | None,
    is_extra: bool = False,
) -> Ready:
    """Money first, then the trunk, then the pace. A rule that says no is raised; for an extra leg, as NotReached."""
    call = CallId.new()
    try:
        admission = await exchange.spending.admit_call(
            account, direction="outbound", callee=to, credential=credential, is_extra=is_extra, call=call
        )
        try:
            target = await exchange.trunks.target(account, callee=to, caller=caller)
            await exchange.pace.turn(account)  # last, so that calls that are refused use up nobody's pace
        except BaseException:
            await admission.settle()
            raise
    except Refused as refusal:
        if not is_extra:
            raise
        cause = next((cause for kind, cause in _CAUSES if isinstance(refusal, kind)), HangupCause.SERVICE_UNAVAILABLE)
        raise NotReached(str(refusal), cause=cause) from None
    return Ready(exchange, account, to, target, admission, call)
