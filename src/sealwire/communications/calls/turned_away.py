"""What an inbound call leaves that the account's own limits did not let in: both records, as every other call.

Whoever calls cannot fill the books with it: beyond so many a minute a refusal is counted in the diagnostics only.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from sealwire.communications.accounting.port import SpendCapReached, TooManyCalls
from sealwire.communications.calls.exchange import Exchange
from sealwire.communications.calls.ports import ApplicationEnded, CallEnded, LiveCallStarted, Refusal
from sealwire.communications.webhooks.events import Event
from sealwire.errors import Refused
from sealwire.governance.services import Service, kind_of
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, HangupCause, ReturnCode

A_MINUTE = 60
ACCOUNTS_MAX = 1000
_SENTENCE = "the called account takes no more calls at the moment"


def not_admitted(refused: Refused) -> Refusal:
    """How a call is refused that a rule of money does not let in."""
    cause, code = HangupCause.NOT_ALLOWED, ReturnCode.DESTINATION_NOT_ALLOWED
    if isinstance(refused, SpendCapReached):
        cause, code = HangupCause.SPEND_CAP, ReturnCode.SPEND_CAP_REACHED
    elif isinstance(refused, TooManyCalls):
        code = ReturnCode.TOO_MANY_CALLS
    return Refusal(480, _SENTENCE, cause, code)


class TurnedAway:
    """Keeps the records of such calls."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._seen: OrderedDict[AccountId, tuple[float, int]] = OrderedDict()

    async def note(self, about: LiveCallStarted, service: Service, refusal: Refusal) -> None:
        """Of one call; its live record is kept already, and is gone after this."""
        exchange, call, code = self._exchange, about.call_id, refusal.code
        if code is None or about.application_id is None or not self._is_room(about.account):
            diagnostics.event("call.refused-unrecorded", call=call)
            await exchange.keeper.let_go(about)
            return
        now, application = exchange.clock.now(), about.application_id
        ended = CallEnded(
            call, about.account, about.caller, about.callee, about.direction, about.started_at, None, now,
            refusal.cause, "", [], application_id=application, retention_class=about.retention_class,
        )  # fmt: skip
        run = ApplicationEnded(
            application, about.account, call, service.service, kind_of(service), about.direction, about.started_at,
            now, int(code), retention_class=about.retention_class,
        )  # fmt: skip
        await exchange.keep("call", lambda: exchange.keeper.keep_call(ended), of=call)
        await exchange.keep("application", lambda: exchange.keeper.keep_application(run), of=application)
        names = {"call": str(call), "application": str(application)}
        await exchange.announce(about.account, Event.CALL_ENDED, cause=int(refusal.cause), leg=0, **names)
        await exchange.announce(about.account, Event.APPLICATION_ENDED, return_code=int(code), **names)

    def _is_room(self, account: AccountId) -> bool:
        now_s = time.monotonic()
        began_s, count = self._seen.pop(account, (now_s, 0))
        if now_s - began_s >= A_MINUTE:
            began_s, count = now_s, 0
        self._seen[account] = began_s, count + 1
        if len(self._seen) > ACCOUNTS_MAX:
            self._seen.popitem(last=False)
        return count < A_MINUTE
