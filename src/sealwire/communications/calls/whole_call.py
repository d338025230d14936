"""Records a whole call beside every other verb: what its first channel says and is given to hear."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sealwire.communications import prompts
from sealwire.communications.calls import taping as t
from sealwire.communications.calls.channel import LiveChannel
from sealwire.communications.calls.ports import Recorder
from sealwire.communications.control.port import ChannelEnded, RecordingImpossible, RecordingWish, WrongMoment
from sealwire.communications.switches.port import LegGone
from sealwire.ground import diagnostics
from sealwire.vocabulary import RecordId


class WholeCall:
    """Does what `taping` says. One start, stop or opening at a time; pause and resume act at once."""

    def __init__(
        self,
        channel: LiveChannel,
        *,
        consent: Callable[[], Awaitable[None]],
        new_recorder: Callable[[Callable[[str], None]], Recorder],
        refused: Callable[[], Awaitable[None]],
    ) -> None:
        self._channel = channel
        self._consent = consent
        self._new_recorder = new_recorder
        self._refused = refused
        self._taping = t.Taping()
        self._recorder: Recorder | None = None
        self._keeps_tones = False
        """What is recorded holds the tones of digits, because somebody wished so."""
        self._hidden = 0
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def state(self) -> t.State:
        return self._taping.state

    @property
    def is_wanted(self) -> bool:
        """It is recorded, or is about to be: who joins must have been asked."""
        return self._taping.state is not t.State.OFF

    async def start(self, wish: RecordingWish) -> RecordId:
        """Ask, open, record. RecordingImpossible when it may not or cannot be; WrongMoment when it runs already."""
        async with self._one_at_a_time:
            self._step(t.Start())
            try:
                await self._consent()
            except BaseException:
                self._step(t.Declined())
                raise
            self._step(t.Agreed())
            try:
                if wish.beep and not self._channel.turns.taken:
                    await self._channel.play(prompts.sound("tone"))
                return await self._open(wish)
            except BaseException:  # whoever asked for it may have been stopped half way
                self._step(t.NotOpened())
                recorder, self._recorder = self._recorder, None
                if recorder is not None:
                    await recorder.abandon()
                raise

    async def _open(self, wish: RecordingWish) -> RecordId:
        self._keeps_tones = not wish.eliminate_dtmf
        recorder = self._recorder = self._new_recorder(self._ended_by_itself)
        leg = self._channel.line.leg
        try:
            record = await recorder.open(wish)
            if leg is None or self._channel.line.ended.is_set():
                raise LegGone
            await self._channel.line.ears.add(recorder, leg)
        except LegGone:
            raise ChannelEnded from None
        except RecordingImpossible:
            raise
        except Exception as error:
            diagnostics.failure("recording.open-failed", error, call=self._channel.call_id)
            raise RecordingImpossible from error
        self._step(t.Opened())
        if self._is_hiding:
            recorder.pause(silence=True)
        return record

    def pause(self, *, silence: bool) -> None:
        self._step(t.Pause(silence))
        assert self._recorder is not None
        self._recorder.pause(silence)

    def resume(self) -> None:
        was = self._taping.state
        self._step(t.Resume())
        if was is t.State.PAUSED and self._recorder is not None and not self._is_hiding:
            self._recorder.resume()

    @contextmanager
    def hiding(self) -> Iterator[None]:
        """A recording that keeps tones takes nothing meanwhile, whoever pauses, resumes or starts it."""
        self._hidden += 1
        if self._is_hiding and self._recorder is not None and self.state is t.State.ON:
            self._recorder.pause(silence=True)
        try:
            yield
        finally:
            was_hiding = self._is_hiding
            self._hidden -= 1
            if was_hiding and not self._hidden and self._recorder is not None and self.state is t.State.ON:
                self._recorder.resume()

    @property
    def _is_hiding(self) -> bool:
        return self._keeps_tones and self._hidden > 0

    async def stop(self) -> None:
        """End it and wait until it is sealed and kept, which goes on without whoever asked; nothing when none runs."""
        async with self._one_at_a_time:
            commands = self._step(t.End())
            recorder, self._recorder = self._recorder, None
            if t.Command.CLOSE in commands and recorder is not None:
                self._begin(self._closing, self._close(recorder))
            if self._closing:
                await asyncio.wait(set(self._closing))

    async def _close(self, recorder: Recorder) -> None:
        ended_s = await self._channel.line.ears.remove(recorder)
        await self._channel.line.seal(recorder, ended_s)

    def _ended_by_itself(self, why: str) -> None:
        """From the path of audio: silence, its length, or a sink that failed."""
        self._begin(self._tasks, self._fail() if why == "failed" else self.stop())

    def _begin(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _fail(self) -> None:
        async with self._one_at_a_time:
            with suppress(WrongMoment):
                self._step(t.Fail())
            recorder, self._recorder = self._recorder, None
            if recorder is not None:
                await self._channel.line.ears.remove(recorder)
                await recorder.abandon()
                await self._refused()
                if not self._channel.turns.taken:
                    with suppress(ChannelEnded, WrongMoment):
                        await self._channel.play(prompts.sound("unrecorded"))

    def _step(self, what: t.Input) -> tuple[t.Command, ...]:
        try:
            self._taping, commands = self._taping.step(what)
        except t.NotRecording:
            raise WrongMoment from None
        return commands
