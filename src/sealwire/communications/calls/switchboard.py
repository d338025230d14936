"""The switchboard: every call that arrives or is asked for is lived to its end and leaves its records.

One call cannot hurt another: each runs in its own task, and nothing it raises leaves that task.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from sealwire.communications.accounting.port import Admission
from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.communications.calls.call import call_out, ring
from sealwire.communications.calls.conductor import conduct, takes
from sealwire.communications.calls.exchange import Exchange
from sealwire.communications.calls.line import Line
from sealwire.communications.calls.live import RING_SECONDS_MAX, LiveCall
from sealwire.communications.calls.ports import LiveCallStarted, Refusal, Route
from sealwire.communications.calls.setting_up import ready_to_dial
from sealwire.communications.calls.turned_away import TurnedAway, not_admitted
from sealwire.communications.switches.port import Leg, LegGone
from sealwire.errors import Missing, Refused, SealwireError, Unavailable
from sealwire.ground import diagnostics
from sealwire.vocabulary import AccountId, ApplicationId, CallId, CredentialId, HangupCause, Party, ServiceId

NOT_NOW = Refusal(503, "calls cannot be taken at the moment", HangupCause.SERVICE_UNAVAILABLE)
STOP_SECONDS_MAX = 10.0


class CallMissing(Missing):
    """No call is up under this id."""


class WrongDirection(Refused):
    """This service takes inbound calls only; choose one for outbound calls."""


class ApplicationNotThere(Unavailable):
    """No program that runs this service's application is connected, so no call was placed; start it and try again."""


class Stopping(Unavailable):
    """The switchboard is being stopped, so no call was placed; try again."""


class Switchboard:
    """Takes and places calls, and knows those that are up."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._turned_away = TurnedAway(exchange)
        self._calls: dict[CallId, LiveCall] = {}
        self._tasks: dict[asyncio.Task[None], _Reception | None] = {}
        self._stopping = False
        self.frames_lost = 0
        """20 ms frames lost in this process or its engine, in all calls since the start."""

    @property
    def live_calls(self) -> int:
        """How many calls are being received, lived or kept now."""
        return len(self._tasks)

    def calls_of(self, account: AccountId) -> list[LiveCall]:
        """This account's calls that are up."""
        return [call for call in self._calls.values() if call.account == account]

    def call(self, account: AccountId, call: CallId) -> LiveCall:
        """One of this account's calls that is up; CallMissing for any other, and for one that has ended."""
        found = self._calls.get(call)
        if found is None or found.account != account:
            raise CallMissing
        return found

    async def start(self) -> None:
        """Listen; raises Unavailable (SipAddressTaken, EngineDidNotStart) when the engine cannot."""
        await self._exchange.engine.start(self._arrived)

    async def stop(self) -> None:
        """Take no more calls, end those that live, keep their records, stop the engine."""
        self._stopping = True
        for call in self._calls.values():
            for channel in call.live_channels():
                channel.line.feed(c.HangUp(HangupCause.SERVICE_RESTARTED))
        for reception in self._tasks.values():
            if reception is not None:
                reception.hang_up(HangupCause.SERVICE_RESTARTED)
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=STOP_SECONDS_MAX)
        await self._exchange.engine.stop()
        if self._tasks:  # what is left could only be waiting for the keeper of records
            diagnostics.event("switchboard.stopped-with-calls", calls=len(self._tasks))
            for task in list(self._tasks):
                task.cancel()

    # --- outbound ------------------------------------------------------------------------------------------

    async def start_call(
        self,
        account: AccountId,
        service: ServiceId,
        to: Party,
        *,
        caller: Party | None = None,
        arguments: str = "",
        credential: CredentialId | None = None,
    ) -> LiveCall:
        """Place a call that this service's application drives; returns when it is on its way, not when it is answered.

        Refused (a rule of money, no route, WrongDirection), Missing (no such service) or Unavailable otherwise.
        """
        if self._stopping:
            raise Stopping
        found = await self._exchange.router.service(account, service)
        if not takes(found, "outbound"):
            raise WrongDirection
        if self._exchange.applications.application(found) is None:
            raise ApplicationNotThere
        ready = await ready_to_dial(self._exchange, account, to, caller=caller, credential=credential)
        about = ready.about(ApplicationId.new(), leg=0, service=service, retention_class=found.retention_class)
        await ready.keep(about)
        call = LiveCall(self._exchange, about, found, arguments=arguments, credential=credential)
        begun = call_out(ring_seconds=RING_SECONDS_MAX, seconds_max=call.seconds_left)
        call.take_leg(call.first, begun, ready.admission, dial=partial(self._exchange.engine.dial, ready.target))
        self._calls[about.call_id] = call
        self._in_task(self._live(call), None)
        return call

    # --- inbound -------------------------------------------------------------------------------------------

    def _arrived(self, leg: Leg) -> _Reception:
        reception = _Reception()
        self._in_task(self._receive(leg, reception), reception)
        return reception

    def _in_task(self, work: object, reception: _Reception | None) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks[task] = reception
        task.add_done_callback(self._tasks.pop)

    async def _receive(self, leg: Leg, reception: _Reception) -> None:
        try:
            route = await self._route(leg)
            if isinstance(route, Refusal):
                await self._refuse(leg, route)
                return
            about = self._about(leg, route)
            admission = await self._admitted(about)
            if isinstance(admission, Refusal):
                await self._refuse(leg, admission)
                if admission.code is not None:
                    await self._turned_away.note(about, route.service, admission)
                return
            call = LiveCall(self._exchange, about, route.service)
            call.take_leg(call.first, ring(seconds_max=call.seconds_left), admission, leg=leg)
            reception.hand_over(call.first.line)
            await self._live(call)
        except Exception as error:
            diagnostics.failure("switchboard.call-failed", error)
            with suppress(Exception):
                await leg.hang_up()

    def _about(self, leg: Leg, route: Route) -> LiveCallStarted:
        return LiveCallStarted(
            call_id=CallId.new(),
            account=route.account,
            caller=leg.caller,
            callee=leg.callee,
            direction="inbound",
            started_at=self._exchange.clock.now(),
            application_id=ApplicationId.new(),
            service_id=route.service.service,
            retention_class=route.service.retention_class,
        )

    async def _route(self, leg: Leg) -> Route | Refusal:
        if self._stopping:
            return NOT_NOW
        try:
            return await self._exchange.router.route(leg)
        except SealwireError as error:
            diagnostics.event("call.not-routed", reason=error.code())
            return NOT_NOW

    async def _admitted(self, about: LiveCallStarted) -> Admission | Refusal:
        """Its cost is reserved while its live record is kept; without both the call is not taken.

        A call whose live record cannot be kept (no keeper, disk full) would leave nothing. One that a rule of money
        does not let in leaves its records: its live record stays until they are kept.
        """
        keeping = asyncio.ensure_future(self._exchange.keeper.call_started(about))
        admitting = asyncio.ensure_future(
            self._exchange.spending.admit_call(
                about.account, direction="inbound", callee=about.callee, call=about.call_id
            )
        )
        await asyncio.wait((keeping, admitting))
        kept, admitted = keeping.exception(), admitting.exception()
        if kept is None and admitted is None:
            return admitting.result()
        if admitted is None:
            await admitting.result().settle()
        if kept is None and not isinstance(admitted, Refused):
            await self._exchange.keeper.let_go(about)
        for error in (kept, admitted):
            if isinstance(error, SealwireError):
                diagnostics.event("call.not-admitted", call=about.call_id, reason=error.code())
            elif error is not None:
                diagnostics.failure("call.not-admitted", error, call=about.call_id)
        return not_admitted(admitted) if kept is None and isinstance(admitted, Refused) else NOT_NOW

    async def _refuse(self, leg: Leg, refusal: Refusal) -> None:
        diagnostics.event("call.refused", status=refusal.status)
        with suppress(LegGone):
            await leg.refuse(status=refusal.status, sentence=refusal.sentence)

    async def _live(self, call: LiveCall) -> None:
        self._calls[call.first.call_id] = call
        diagnostics.event("call.started", call=call.first.call_id, direction=call.about.direction)
        try:
            await conduct(call)
        finally:
            del self._calls[call.first.call_id]
            self.frames_lost += call.frames_lost


class _Reception:
    """Listens to a leg from its first moment and holds what it hears until the call is there to hear it."""

    def __init__(self) -> None:
        self._line: Line | None = None
        self._early: list[e.LegEvent] = []
        self._hang_up: HangupCause | None = None

    def heard(self, event: e.LegEvent) -> None:
        if self._line is None:
            self._early.append(event)
        else:
            self._line.heard(event)

    def audio(self, spoken: bytes, read_at_s: float, *, played: bytes = b"") -> None:
        if self._line is not None:
            self._line.audio(spoken, read_at_s, played=played)

    def hang_up(self, cause: HangupCause) -> None:
        self._hang_up = cause
        if self._line is not None:
            self._line.feed(c.HangUp(cause))

    def hand_over(self, line: Line) -> None:
        self._line = line
        for event in self._early:
            line.heard(event)
        if self._hang_up is not None:
            line.feed(c.HangUp(self._hang_up))
