"""Runs one leg: what is heard goes through the table at once, what follows is done in order by one task.

Time, sockets and recorders live here and nowhere in the rules. Nothing here decides anything.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from sealwire.communications import prompts
from sealwire.communications.calls import commands as c
from sealwire.communications.calls import events as e
from sealwire.communications.calls.call import Call, IllegalInCall, State, Step
from sealwire.communications.calls.ears import Ears
from sealwire.communications.calls.ports import Recorder, RecordingEnded
from sealwire.communications.control.port import RecordingImpossible, RecordingWish
from sealwire.communications.switches.port import Leg, LegGone, LegListener
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock
from sealwire.vocabulary import CallId, HangupCause, RecordId

Dial = Callable[[LegListener], Awaitable[Leg]]
Seal = Callable[[Recorder, float], Coroutine[None, None, RecordingEnded | None]]


class Line:
    """A leg, its table, its timers. `feed` never waits; `instruct` waits for the outcome of one verb."""

    def __init__(
        self,
        call_id: CallId,
        *,
        clock: Clock,
        begun: Step,
        seal: Seal,
        leg: Leg | None = None,
        dial: Dial | None = None,
    ) -> None:
        self.call_id = call_id
        self.ears = Ears()
        self.answered_at: dt.datetime | None = None
        self.ended_at: dt.datetime | None = None
        self.frames_lost = 0
        self.rings = False
        self.held = False
        self.ended = asyncio.Event()
        self.came_up = asyncio.Event()
        self._clock = clock
        self._leg = leg
        self._dial = dial
        self.seal = seal
        self._waiting: asyncio.Future[c.Outcome] | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._work: asyncio.Queue[c.Command | Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._recorder: Recorder | None = None
        self._opening: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.record: RecordId | None = None
        self.sealed: asyncio.Future[RecordingEnded | None] | None = None
        self._call, commands = begun
        self._working = asyncio.ensure_future(self._do_work())
        self._follow(commands)

    @property
    def call(self) -> Call:
        return self._call

    @property
    def leg(self) -> Leg | None:
        return self._leg

    # --- what is heard -------------------------------------------------------------------------------------

    def heard(self, event: e.LegEvent) -> None:
        """What the engine reports about this leg."""
        match event:
            case e.LegAnswered():
                self.answered_at = self.answered_at or self._clock.now()
                self.came_up.set()
            case e.LegRinging():
                self.rings = True
            case e.DigitHeard(_, held_ms):
                self.ears.digit(held_ms)
            case e.LegHeld(held):
                self.held = held
            case e.LegEnded():
                self.ended_at = self.ended_at or self._clock.now()
                self.frames_lost += event.frames_lost
        self.feed(event)

    def audio(self, spoken: bytes, read_at_s: float, *, played: bytes = b"") -> None:
        """What the far end said and was given to hear."""
        self.ears.hear(spoken, read_at_s, played)

    def silence_heard(self) -> None:
        """A recorder noticed that the far end has been silent for long enough."""
        self.feed(e.SilenceHeard())

    def feed(self, what: c.Instruction | e.CallEvent) -> None:
        """Follow the table. What the engine says at an odd moment is noted; an odd instruction raises."""
        try:
            self._call, commands = self._call.step(what)
        except IllegalInCall:
            if isinstance(what, c.Instruction):
                raise
            diagnostics.event("call.illegal", call=self.call_id, state=self._call.state, what=type(what).__name__)
            return
        self._follow(commands)
        if self._call.state is State.ENDED and not self.ended.is_set():
            self.ended_at = self.ended_at or self._clock.now()
            for name in list(self._timers):
                self._cancel_timer(name)
            self.ended.set()

    async def instruct(self, verb: c.Verb) -> c.Outcome:
        """Give a verb and wait for its outcome; cancelled, it is stopped. IllegalInCall when it does not fit."""
        assert self._waiting is None
        waiting: asyncio.Future[c.Outcome] = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        try:
            self.feed(verb)
            return await waiting
        except asyncio.CancelledError:
            self._waiting = None
            self.feed(c.Stop())
            raise
        finally:
            self._waiting = None

    async def finished(self) -> None:
        """Wait until the leg has ended and everything that follows from it is done."""
        await self.ended.wait()
        self._work.put_nowait(c.CancelTimer("none"))  # wakes the task, so that it sees the end
        await self._working
        if self._tasks:
            await asyncio.wait(self._tasks)

    # --- what follows --------------------------------------------------------------------------------------

    def _follow(self, commands: tuple[c.Command, ...]) -> None:
        for command in commands:
            match command:
                case c.SetTimer(name, seconds):
                    self._set_timer(name, seconds)
                case c.CancelTimer(name):
                    self._cancel_timer(name)
                case c.Tell(outcome):
                    if self._waiting is not None and not self._waiting.done():
                        self._waiting.set_result(outcome)
                case c.OpenRecording(wish):
                    self._opening = self._beside(self._open(wish))
                case c.StartCapture() | c.StopCapture() | c.AbandonRecording():
                    self._work.put_nowait(self._about_recording(command))
                case _:
                    self._work.put_nowait(command)

    def _about_recording(self, command: c.Command) -> Callable[[], Awaitable[None]]:
        """Work on the recording of this moment: when it is done, the next verb may have another."""
        recorder, opening = self._recorder, self._opening
        match command:
            case c.StartCapture():
                return partial(self._start_capture, recorder)
            case c.StopCapture():
                self._recorder = None
                return partial(self._stop_capture, recorder, self.sealed)
        self._recorder = None
        return partial(self._abandon, recorder, opening)

    def _set_timer(self, name: str, seconds: float) -> None:
        self._cancel_timer(name)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, self.feed, e.TimerRang(name))

    def _cancel_timer(self, name: str) -> None:
        if (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _beside(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _do_work(self) -> None:
        while not (self.ended.is_set() and self._work.empty()):
            command = await self._work.get()
            try:
                await (self._obey(command) if isinstance(command, c.Command) else command())
            except LegGone:
                pass  # its LegEnded is heard, or on the way
            except Exception as error:
                diagnostics.failure("call.command-failed", error, call=self.call_id)
                if self._leg is None:
                    self.heard(e.LegEnded(HangupCause.ENGINE_FAILED))
                else:
                    self.feed(c.HangUp(HangupCause.ENGINE_FAILED))

    async def _obey(self, command: c.Command) -> None:
        match command:
            case c.DialLeg() if self._dial is not None:
                self._leg = await self._dial(self)
            case _ if self._leg is not None:
                await self._tell_leg(self._leg, command)

    async def _tell_leg(self, leg: Leg, command: c.Command) -> None:
        match command:
            case c.RingLeg():
                await leg.ring()
            case c.AnswerLeg():
                await leg.answer()
            case c.RefuseLeg(status, sentence):
                await leg.refuse(status=status, sentence=sentence)
            case c.PlaySound(sound, play):
                await leg.play(prompts.sound("tone") if sound is None else sound, play=play)
            case c.StopSound():
                await leg.stop_playing()
            case c.SendDigitsLeg(digits):
                self._beside(self._take_time(leg.send_digits(digits)))
            case c.TransferLeg(to):
                self._beside(self._take_time(leg.transfer(to), then=None))
            case c.HangUpLeg():
                await leg.hang_up()

    async def _take_time(self, work: Awaitable[None], *, then: e.CallEvent | None = e.WorkDone()) -> None:  # noqa: B008
        """What a far end may answer late must not keep the call from hearing anything else."""
        try:
            await work
        except LegGone:
            return
        except Exception as error:
            diagnostics.failure("call.work-failed", error, call=self.call_id)
            self.feed(e.WorkFailed())
            return
        if then is not None:
            self.feed(then)

    # --- the recording verb --------------------------------------------------------------------------------

    def record_with(self, recorder: Recorder) -> None:
        """What the next `Record` is given to."""
        self._recorder, self.record = recorder, None
        self.sealed = asyncio.get_running_loop().create_future()

    async def _open(self, wish: RecordingWish) -> None:
        recorder = self._recorder
        if recorder is None:
            return  # given up already
        try:
            self.record = await recorder.open(wish)
        except RecordingImpossible:
            self.feed(e.RecordingRefused())
        except Exception as error:
            diagnostics.failure("recording.open-failed", error, call=self.call_id)
            self.feed(e.RecordingRefused())
        else:
            self.feed(e.RecordingOpened())

    async def _start_capture(self, recorder: Recorder | None) -> None:
        if recorder is not None and self._leg is not None:
            await self.ears.add(recorder, self._leg)

    async def _stop_capture(
        self, recorder: Recorder | None, sealed: asyncio.Future[RecordingEnded | None] | None
    ) -> None:
        if recorder is not None:
            ended_s = await self.ears.remove(recorder)
            self._beside(self._seal_beside(recorder, ended_s, sealed))

    async def _seal_beside(
        self, recorder: Recorder, ended_s: float, sealed: asyncio.Future[RecordingEnded | None] | None
    ) -> None:
        ended = await self.seal(recorder, ended_s)
        if sealed is not None and not sealed.done():
            sealed.set_result(ended)

    async def _abandon(self, recorder: Recorder | None, opening: asyncio.Task[None] | None) -> None:
        if opening is not None and not opening.done():
            opening.cancel()
            with suppress(asyncio.CancelledError):
                await opening
        if recorder is not None:
            await self.ears.remove(recorder)
            await recorder.abandon()
