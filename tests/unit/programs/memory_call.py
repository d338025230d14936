"""A call without telephones: its channels remember what was done, and the test plays the people at both ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from sealwire.communications.control.port import (
    ChannelEnded,
    ChannelState,
    Collected,
    Interruption,
    NotReached,
    Played,
    Recorded,
    RecordingWish,
    WrongMoment,
)
from sealwire.errors import Missing
from sealwire.vocabulary import AccountId, ApplicationId, CallId, HangupCause, Party, RecordId, ServiceId

BUSY = "+441632960486"


class MemoryChannel:
    """One leg; `typed` are the digits waiting to be collected."""

    def __init__(self, number: int, *, caller: str, callee: str, direction: str, state: ChannelState) -> None:
        self.number, self.call_id, self.direction, self.state = number, CallId.new(), direction, state
        self.caller, self.callee = Party(caller), Party(callee)
        self.cause: HangupCause | None = None
        self.done: list[str] = []
        self.typed = ""
        self.play_s = 0.0
        self._ended = asyncio.Event()
        self._stopped = asyncio.Event()

    def _note(self, what: str) -> None:
        if self.state is ChannelState.ENDED:
            raise ChannelEnded(cause=self.cause or HangupCause.NORMAL)
        self.done.append(what)

    async def _for(self, seconds: float) -> bool:
        """Wait; whether `stop` ended it. ChannelEnded when the channel ends meanwhile."""
        self._stopped.clear()
        stopped, ended = asyncio.ensure_future(self._stopped.wait()), asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({stopped, ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
            ended.cancel()
        if self.state is ChannelState.ENDED:
            raise ChannelEnded(cause=self.cause or HangupCause.NORMAL)
        return self._stopped.is_set()

    async def ring(self) -> None:
        self._note("ring")

    async def answer(self) -> None:
        self._note("answer")
        if self.state is not ChannelState.RINGING:
            raise WrongMoment
        self.state = ChannelState.UP

    async def reject(self, cause: HangupCause = HangupCause.REJECTED) -> None:
        self._note(f"reject {cause.name}")
        self.end(cause)

    async def play(self, pcm: bytes, *, stop_on: str = "") -> Played:
        self._note(f"play {len(pcm)} {stop_on}".rstrip())
        await self._for(self.play_s)
        return Played()

    async def collect(
        self,
        *,
        count_max: int,
        end_digits: str = "#",
        first_seconds: float = 8.0,
        between_seconds: float = 4.0,
        sensitive: bool = False,
    ) -> Collected:
        self._note(f"collect {count_max}")
        digits, self.typed = self.typed[:count_max], self.typed[count_max:]
        if not digits:
            await self._for(first_seconds)
        return Collected(digits, "count" if digits else "time")

    async def record(self, wish: RecordingWish) -> Recorded:
        self._note("record")
        stopped = await self._for(wish.seconds_max)
        return Recorded(RecordId.new(), wish.seconds_max, "stop" if stopped else "length")

    async def send_digits(self, digits: str) -> None:
        self._note("send_digits")

    async def transfer(self, to: Party) -> None:
        self._note("transfer")
        self.end(HangupCause.NORMAL)

    async def stop(self) -> None:
        self._stopped.set()

    async def wait_ended(self) -> HangupCause:
        await self._ended.wait()
        return self.cause or HangupCause.NORMAL

    async def hang_up(self, cause: HangupCause = HangupCause.NORMAL) -> None:
        if self.state is not ChannelState.ENDED:
            self.done.append("hang_up")
            self.end(cause)

    def end(self, cause: HangupCause = HangupCause.NORMAL) -> None:
        """The leg is gone."""
        if self.state is not ChannelState.ENDED:
            self.state, self.cause = ChannelState.ENDED, cause
            self._ended.set()


class MemoryCall:
    """An inbound call that rings, unless told otherwise."""

    def __init__(self, account: AccountId, *, arguments: str = "", state: ChannelState = ChannelState.RINGING) -> None:
        self.account, self.arguments = account, arguments
        self.application_id, self.service = ApplicationId.new(), ServiceId.new()
        self.primary = MemoryChannel(
            0, caller="+441632960123", callee="+441632960100", direction="inbound", state=state
        )
        self.channels: dict[int, MemoryChannel] = {0: self.primary}
        self.parameters = ""
        self.speech_s = 0.0
        self.recording: list[str] = []
        self.interruptions: asyncio.Queue[Interruption] = asyncio.Queue()
        self._unbridged = asyncio.Event()

    async def dial(self, to: Party, *, caller: Party | None = None, seconds: float = 60.0) -> MemoryChannel:
        if to.text == BUSY:
            raise NotReached(cause=HangupCause.BUSY)
        number = len(self.channels)
        if number > 3:
            raise WrongMoment("a call has at most three extra channels")
        self.channels[number] = MemoryChannel(
            number, caller=str(caller), callee=to.text, direction="outbound", state=ChannelState.UP
        )
        return self.channels[number]

    async def bridge(self, one: MemoryChannel, other: MemoryChannel, *, stop_on: str = "") -> Played:
        self._unbridged.clear()
        waits = [asyncio.ensure_future(each) for each in (one.wait_ended(), other.wait_ended(), self._unbridged.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        if not self._unbridged.is_set():
            raise ChannelEnded
        return Played()

    async def unbridge(self, channel: MemoryChannel) -> None:
        self._unbridged.set()

    async def start_recording(self, wish: RecordingWish) -> RecordId:
        self.recording.append(f"start {wish.channels}")
        return RecordId.new()

    async def pause_recording(self, *, silence: bool = True) -> None:
        self.recording.append("pause")

    async def resume_recording(self) -> None:
        self.recording.append("resume")

    async def stop_recording(self) -> None:
        self.recording.append("stop")

    def note_parameters(self, parameters: str) -> None:
        self.parameters = parameters

    def count_speech(self, seconds: float) -> None:
        self.speech_s += seconds

    async def next_interruption(self) -> Interruption:
        return await self.interruptions.get()


@dataclass
class MemorySounds:
    """Speech is silence of ten bytes a letter; files are what is in `files`."""

    files: dict[str, bytes] = field(default_factory=dict)
    secrets: list[Mapping[str, str] | None] = field(default_factory=list)

    async def say(self, text: str, *, voice: str = "") -> bytes:
        return bytes(len(text) * 10)

    async def file(self, account: AccountId, name: str, *, secret: Mapping[str, str] | None = None) -> bytes:
        self.secrets.append(secret)
        if name not in self.files:
            raise Missing
        return self.files[name]
