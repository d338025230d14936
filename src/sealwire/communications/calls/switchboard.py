"""The switchboard: every call that arrives is routed, lived to its end and handed to the keeper of records.

One call cannot hurt another: each runs in its own task, and nothing it raises leaves that task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from sealwire.communications.calls import events as e
from sealwire.communications.calls.greeting import Greeting
from sealwire.communications.calls.live import LiveCall
from sealwire.communications.calls.ports import (
    CallEnded,
    LiveCallStarted,
    OnLive,
    RecordKeeper,
    Refusal,
    Route,
    Router,
    ServiceMaker,
)
from sealwire.communications.switches.port import Engine, Leg, LegGone
from sealwire.errors import SealwireError
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.vocabulary import CallId, HangupCause

NOT_NOW = Refusal(503, "calls cannot be taken at the moment", HangupCause.SERVICE_UNAVAILABLE)
KEEP_AGAIN_SECONDS = (0.5, 1, 2, 5, 10, 20, 30)
"""A call record that cannot be kept is tried again after these; it waits in memory only."""
STOP_SECONDS_MAX = 10.0


async def _no_hook(_: LiveCallStarted) -> None:
    return None


class Switchboard:
    """Wires an engine to services and records. `services` makes one service for one call, by name."""

    def __init__(
        self,
        engine: Engine,
        *,
        router: Router,
        keeper: RecordKeeper,
        clock: Clock,
        call_seconds_max: float,
        services: Mapping[str, ServiceMaker] | None = None,
        on_live: OnLive = _no_hook,
    ) -> None:
        self._engine = engine
        self._router = router
        self._keeper = keeper
        self._clock = clock
        self._call_seconds_max = call_seconds_max
        self._services = services if services is not None else {"greeting": lambda _: Greeting()}
        self._on_live = on_live
        self._desks: dict[asyncio.Task[None], _Reception] = {}
        self._stopping = False
        self.frames_lost = 0
        """20 ms frames lost in this process or its engine, in all calls since the start."""

    @property
    def live_calls(self) -> int:
        """How many calls are being received, lived or kept now."""
        return len(self._desks)

    async def start(self) -> None:
        """Listen; raises Unavailable (SipAddressTaken, EngineDidNotStart) when the engine cannot."""
        await self._engine.start(self._arrived)

    async def stop(self) -> None:
        """Take no more calls, end those that live, keep their records, stop the engine."""
        self._stopping = True
        for reception in self._desks.values():
            reception.hang_up(HangupCause.SERVICE_RESTARTED)
        if self._desks:
            await asyncio.wait(list(self._desks), timeout=STOP_SECONDS_MAX)
        await self._engine.stop()
        if self._desks:  # what is left could only be waiting for the keeper of records
            diagnostics.event("switchboard.stopped-with-calls", calls=len(self._desks))
            for task in list(self._desks):
                task.cancel()

    def _arrived(self, leg: Leg) -> _Reception:
        reception = _Reception()
        task = asyncio.ensure_future(self._receive(leg, reception))
        self._desks[task] = reception
        task.add_done_callback(self._desks.pop)
        return reception

    async def _receive(self, leg: Leg, reception: _Reception) -> None:
        try:
            route = await self._route(leg)
            if isinstance(route, Refusal):
                await self._refuse(leg, route)
                return
            about = LiveCallStarted(CallId.new(), route.account, leg.caller, leg.callee, "inbound", self._clock.now())
            if not await self._can_be_kept(about):
                await self._refuse(leg, NOT_NOW)
                return
            ended = await self._live(leg, route, about, reception)
            self.frames_lost += ended.frames_lost
            diagnostics.event("call.ended", call=ended.call_id, cause=int(ended.cause), frames_lost=ended.frames_lost)
            await self._keep(ended)
        except Exception as error:
            diagnostics.failure("switchboard.call-failed", error)
            with suppress(Exception):
                await leg.hang_up()

    async def _route(self, leg: Leg) -> Route | Refusal:
        if self._stopping:
            return NOT_NOW
        try:
            route = await self._router.route(leg.callee)
        except SealwireError as error:
            diagnostics.event("call.not-routed", reason=error.code())
            return NOT_NOW
        if isinstance(route, Route) and route.service not in self._services:
            diagnostics.event("call.not-routed", reason="service-unknown")
            return NOT_NOW
        return route

    async def _refuse(self, leg: Leg, refusal: Refusal) -> None:
        diagnostics.event("call.refused", status=refusal.status)
        with suppress(LegGone):
            await leg.refuse(status=refusal.status, sentence=refusal.sentence)

    async def _can_be_kept(self, about: LiveCallStarted) -> bool:
        """A call whose live record cannot be kept (no keeper, disk full) would leave nothing: it is not taken."""
        try:
            await self._on_live(about)
        except Exception as error:
            diagnostics.failure("call.live-record-not-kept", error, call=about.call_id)
            return False
        return True

    async def _live(self, leg: Leg, route: Route, about: LiveCallStarted, reception: _Reception) -> CallEnded:
        call = LiveCall(
            about,
            leg,
            service=self._services[route.service](route),
            keeper=self._keeper,
            clock=self._clock,
            seconds_max=self._call_seconds_max,
        )
        reception.hand_over(call)
        diagnostics.event("call.started", call=about.call_id)
        return await call.run()

    async def _keep(self, ended: CallEnded) -> None:
        for seconds in (*KEEP_AGAIN_SECONDS, None):
            try:
                await self._keeper.keep_call(ended)
            except Exception as error:
                diagnostics.failure("call.not-kept", error, call=ended.call_id, again=seconds is not None)
                if seconds is not None:
                    await asyncio.sleep(seconds)
            else:
                return


class _Reception:
    """Listens to a leg from its first moment and holds what it hears until the call is there to hear it."""

    def __init__(self) -> None:
        self._call: LiveCall | None = None
        self._early: list[e.LegEvent] = []
        self._hang_up: HangupCause | None = None

    def heard(self, event: e.LegEvent) -> None:
        if self._call is None:
            self._early.append(event)
        else:
            self._call.heard(event)

    def audio(self, pcm: bytes, read_at_s: float) -> None:
        if self._call is not None:
            self._call.audio(pcm, read_at_s)

    def hang_up(self, cause: HangupCause) -> None:
        if self._call is None:
            self._hang_up = cause
        else:
            self._call.hang_up(cause)

    def hand_over(self, call: LiveCall) -> None:
        self._call = call
        for event in self._early:
            call.heard(event)
        if self._hang_up is not None:
            call.hang_up(self._hang_up)
