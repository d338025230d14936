"""One channel under an application's control: each verb is one instruction to the table and its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from sealwire.communications.calls import commands as c
from sealwire.communications.calls.call import IllegalInCall, State
from sealwire.communications.calls.line import Line
from sealwire.communications.calls.ports import LiveCallStarted, Recorder, RecordingEnded
from sealwire.communications.calls.turns import Turns
from sealwire.communications.control.port import (
    ChannelEnded,
    ChannelState,
    Collected,
    Played,
    Recorded,
    RecordingImpossible,
    RecordingWish,
    WrongMoment,
)
from sealwire.errors import Refused
from sealwire.vocabulary import CallId, HangupCause, Party

if TYPE_CHECKING:
    from sealwire.communications.control.port import Channel

_REFUSALS = {
    HangupCause.BUSY: (486, "the called party is busy"),
    HangupCause.NUMBER_UNKNOWN: (404, "the called party is not known here"),
    HangupCause.SERVICE_UNAVAILABLE: (480, "the called party cannot take calls at the moment"),
    HangupCause.REJECTED: (603, "the called party does not take this call"),
}


class NotTaken(Refused):
    """The far end did not do what it was asked (take a transfer, take digits); the call goes on as it was."""


class LiveChannel:
    """See control.port.Channel. `before_recording` asks for consent; `on_answered` follows the first answer.

    One that answers itself is answered before the first verb that needs it to be up.
    """

    def __init__(
        self,
        number: int,
        about: LiveCallStarted,
        *,
        on_answered: Callable[[], Awaitable[None]],
        before_recording: Callable[[Channel], Awaitable[None]],
        new_recorder: Callable[[LiveChannel], Recorder],
        count_verb: Callable[[], None],
        hiding: Callable[[], AbstractContextManager[None]],
        before_transfer: Callable[[Party], Awaitable[None]],
        answers_itself: bool,
    ) -> None:
        self.about = about
        self.turns = Turns()
        self.recordings: list[RecordingEnded] = []
        self.line: Line
        self._number = number
        self._on_answered = on_answered
        self._before_recording = before_recording
        self._new_recorder = new_recorder
        self._count_verb = count_verb
        self._hiding = hiding
        self._before_transfer = before_transfer
        self._answers_itself = answers_itself

    # --- what is known -------------------------------------------------------------------------------------

    @property
    def number(self) -> int:
        return self._number

    @property
    def call_id(self) -> CallId:
        return self.about.call_id

    @property
    def direction(self) -> str:
        return self.about.direction

    @property
    def caller(self) -> Party:
        return self.about.caller

    @property
    def callee(self) -> Party:
        return self.about.callee

    @property
    def state(self) -> ChannelState:
        match self.line.call.state:
            case State.CALLING | State.RINGING | State.ANSWERING:
                return ChannelState.RINGING
            case State.ENDING | State.ENDED:
                return ChannelState.ENDED
        return ChannelState.UP

    @property
    def cause(self) -> HangupCause | None:
        return self.line.call.cause

    # --- verbs ---------------------------------------------------------------------------------------------

    async def ring(self) -> None:
        await self._verb(c.Ring())

    async def answer(self) -> None:
        await self._verb(c.Answer())
        await self._on_answered()

    async def reject(self, cause: HangupCause = HangupCause.REJECTED) -> None:
        status, sentence = _REFUSALS.get(cause, _REFUSALS[HangupCause.REJECTED])
        await self.refuse(status, sentence, cause)

    async def refuse(self, status: int, sentence: str, cause: HangupCause) -> None:
        """Turn it away with this SIP status, and wait until it is gone."""
        self._require_alive()
        try:
            self.line.feed(c.Refuse(status, sentence, cause))
        except IllegalInCall:
            raise WrongMoment from None
        await self.line.ended.wait()

    async def play(self, pcm: bytes, *, stop_on: str = "") -> Played:
        outcome = await self._verb(c.Play(pcm, stop_on))
        assert isinstance(outcome, c.Played)
        return Played(outcome.stopped_by, was_stopped=outcome.was_stopped)

    async def collect(
        self,
        *,
        count_max: int,
        end_digits: str = "#",
        first_seconds: float = 8.0,
        between_seconds: float = 4.0,
        sensitive: bool = False,
    ) -> Collected:
        gather = c.Gather(count_max, end_digits, first_seconds, between_seconds, sensitive)
        with self._hiding() if sensitive else nullcontext():
            outcome = await self._verb(gather)
        assert isinstance(outcome, c.Gathered)
        return Collected(outcome.digits, outcome.ended_by)

    async def record(self, wish: RecordingWish) -> Recorded:
        self._require_alive()
        await self._before_recording(self)
        return await self.record_with(self._new_recorder(self), wish)

    async def record_with(self, recorder: Recorder, wish: RecordingWish) -> Recorded:
        """The verb itself, with any recorder; consent was asked before."""
        if self._answers_itself and self.line.call.state is State.RINGING:
            await self.answer()
        async with self.turns.turn():
            self.line.record_with(recorder)
            outcome = await self._instruct(c.Record(wish))
            sealed, record = self.line.sealed, self.line.record
            ended = await sealed if isinstance(outcome, c.Recorded) and sealed is not None else None
        if ended is None or record is None or not isinstance(outcome, c.Recorded):
            raise RecordingImpossible
        return Recorded(record, ended.samples / 8000, outcome.ended_by)

    async def send_digits(self, digits: str) -> None:
        if isinstance(await self._verb(c.SendDigits(digits)), c.Failed):
            raise NotTaken

    async def transfer(self, to: Party) -> None:
        await self._before_transfer(to)
        try:
            outcome = await self._verb(c.Transfer(to))
        except ChannelEnded as ended:
            if ended.cause is HangupCause.NORMAL and self.line.answered_at is not None:
                return
            raise
        if isinstance(outcome, c.Failed):
            raise NotTaken

    async def join(self, stop_on: str) -> Played:
        """Be in a bridge; the caller holds the turn and lets the engine bridge."""
        outcome = await self._instruct(c.Join(stop_on))
        assert isinstance(outcome, c.Played)
        return Played(outcome.stopped_by)

    async def stop(self) -> None:
        self.line.feed(c.Stop())

    async def wait_ended(self) -> HangupCause:
        await self.line.ended.wait()
        return self.cause or HangupCause.NORMAL

    async def hang_up(self, cause: HangupCause = HangupCause.NORMAL) -> None:
        self.line.feed(c.HangUp(cause))
        await self.line.ended.wait()

    # --- how -----------------------------------------------------------------------------------------------

    async def _verb(self, verb: c.Verb) -> c.Outcome:
        if self._answers_itself and self.line.call.state is State.RINGING and not isinstance(verb, c.Ring | c.Answer):
            await self.answer()
        async with self.turns.turn():
            return await self._instruct(verb)

    async def _instruct(self, verb: c.Verb) -> c.Outcome:
        self._count_verb()
        self._require_alive()
        try:
            outcome = await self.line.instruct(verb)
        except IllegalInCall:
            raise WrongMoment from None
        if isinstance(outcome, c.Over):
            raise ChannelEnded(cause=outcome.cause)
        return outcome

    def _require_alive(self) -> None:
        if self.state is ChannelState.ENDED:
            raise ChannelEnded(cause=self.cause or HangupCause.NORMAL)


async def until_ended(channels: list[LiveChannel]) -> None:
    """Wait until each of these has ended."""
    await asyncio.gather(*(channel.line.ended.wait() for channel in channels))
