"""Runs one live call: events in, table, commands out; and whatever happens, one CallEnded at the end."""

from __future__ import annotations

import asyncio
import datetime as dt
from contextlib import suppress

from sealwire.communications import prompts
from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.communications.calls.call import IllegalInCall, State, ring
from sealwire.communications.calls.ports import CallEnded, LiveCallStarted, RecordKeeper, Service
from sealwire.communications.recordings.desk import RecordingDesk
from sealwire.communications.switches.port import Leg, LegGone
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.vocabulary import HangupCause


class LiveCall:
    """The runner of one call. It only queues what it hears; `run` does the work, in one task."""

    def __init__(
        self,
        about: LiveCallStarted,
        leg: Leg,
        *,
        service: Service,
        keeper: RecordKeeper,
        clock: Clock,
        seconds_max: float,
    ) -> None:
        self._about = about
        self._leg = leg
        self._service = service
        self._clock = clock
        self._call, self._first = ring(seconds_max=seconds_max)
        self._inputs: asyncio.Queue[c.Instruction | e.CallEvent] = asyncio.Queue()
        self._desk = RecordingDesk(about, leg, keeper=keeper, clock=clock, report=self._inputs.put_nowait)
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._answered_at: dt.datetime | None = None
        self._ended_at: dt.datetime | None = None
        self._frames_lost = 0

    def heard(self, event: e.LegEvent) -> None:
        """What the engine reports about this call's leg."""
        self._inputs.put_nowait(event)

    def audio(self, pcm: bytes, read_at_s: float) -> None:
        """What the far end said; goes to the recording that runs, or nowhere."""
        self._desk.take(pcm, read_at_s)

    def hang_up(self, cause: HangupCause) -> None:
        """End the call from outside: the switchboard stops, or an operator says so."""
        self._inputs.put_nowait(c.HangUp(cause))

    async def run(self) -> CallEnded:
        """Live the call to its end. Does not raise: a call that breaks is hung up and still leaves its record."""
        try:
            await self._do(self._first)
            while self._call.state is not State.ENDED:
                await self._take(await self._inputs.get())
        except Exception as error:
            diagnostics.failure("call.failed", error, call=self._about.call_id)
            await self._give_up()
        return await self._close()

    async def _take(self, what: c.Instruction | e.CallEvent) -> None:
        if isinstance(what, e.LegAnswered) and self._answered_at is None:
            self._answered_at = self._clock.now()
        if isinstance(what, e.LegEnded):
            self._frames_lost += what.frames_lost
        try:
            self._call, commands = self._call.step(what)
        except IllegalInCall:
            self._refuse_illegal(what)
            return
        if self._call.state is State.ENDED and self._ended_at is None:
            self._ended_at = self._clock.now()
        await self._do(commands)

    def _refuse_illegal(self, what: c.Instruction | e.CallEvent) -> None:
        """A service that asks for what cannot be is at fault, and its call is ended; an engine's oddity is noted."""
        if self._call.state in (State.ENDING, State.ENDED):
            return
        diagnostics.event("call.illegal", call=self._about.call_id, state=self._call.state, what=type(what).__name__)
        if isinstance(what, c.Instruction):
            self.hang_up(HangupCause.SERVICE_UNAVAILABLE)

    async def _do(self, commands: tuple[c.Command, ...]) -> None:
        for command in commands:
            with suppress(LegGone):  # its LegEnded is in the queue, or on the way
                await self._obey(command)

    async def _obey(self, command: c.Command) -> None:
        match command:
            case c.SetTimer(name, seconds):
                self._set_timer(name, seconds)
            case c.CancelTimer(name):
                self._cancel_timer(name)
            case c.Tell(outcome):
                self._ask(outcome)
            case c.OpenRecording():
                self._desk.open()
            case c.StartCapture(silence_seconds):
                await self._desk.start(silence_seconds)
            case c.StopCapture():
                await self._desk.stop()
            case c.AbandonRecording():
                await self._desk.abandon()
            case _:
                await self._tell_leg(command)

    async def _tell_leg(self, command: c.Command) -> None:
        match command:
            case c.AnswerLeg():
                await self._leg.answer()
            case c.RefuseLeg(status, sentence):
                await self._leg.refuse(status=status, sentence=sentence)
            case c.PlaySound(sound, play):
                await self._leg.play(prompts.sound(sound), play=play)
            case c.StopSound():
                await self._leg.stop_playing()
            case c.HangUpLeg():
                await self._leg.hang_up()

    def _set_timer(self, name: str, seconds: float) -> None:
        self._cancel_timer(name)
        loop = asyncio.get_running_loop()
        self._timers[name] = loop.call_later(seconds, self._inputs.put_nowait, e.TimerRang(name))

    def _cancel_timer(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _ask(self, outcome: c.Outcome) -> None:
        task = asyncio.ensure_future(self._hear_service(outcome))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _hear_service(self, outcome: c.Outcome) -> None:
        """The service may take its time; the call goes on hearing events meanwhile."""
        try:
            instruction = await self._service.after(outcome)
        except Exception as error:
            diagnostics.failure("call.service-failed", error, call=self._about.call_id)
            instruction = c.HangUp(HangupCause.SERVICE_UNAVAILABLE)
        if instruction is not None:
            self._inputs.put_nowait(instruction)

    async def _give_up(self) -> None:
        with suppress(Exception):
            await self._leg.hang_up()

    async def _close(self) -> CallEnded:
        for name in list(self._timers):
            self._cancel_timer(name)
        for task in self._asking:
            task.cancel()
        ended_at = self._ended_at or self._clock.now()
        recordings = await self._desk.finished()
        about, call = self._about, self._call
        return CallEnded(
            call_id=about.call_id,
            account=about.account,
            caller=about.caller,
            callee=about.callee,
            direction=about.direction,
            started_at=about.started_at,
            answered_at=self._answered_at,
            ended_at=ended_at,
            cause=call.cause or HangupCause.SERVICE_UNAVAILABLE,
            digits=call.digits,
            recordings=recordings,
            frames_lost=self._frames_lost + sum(recording.frames_lost for recording in recordings),
        )
