"""A call in memory: every verb of the port, with a caller whose keys and patience the test decides."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sealwire.communications.control.port import (
    Channel,
    ChannelEnded,
    ChannelState,
    Collected,
    Interruption,
    NotReached,
    Played,
    Recorded,
    RecordingImpossible,
    RecordingWish,
    WrongMoment,
)
from sealwire.errors import Missing
from sealwire.vocabulary import AccountId, ApplicationId, CallId, HangupCause, Party, RecordId, ServiceId


class NoFileInMemory(Missing):
    """There is no file of this name."""


@dataclass
class MemoryChannel:
    """One leg. `keys` are what the caller will type; a sound takes `sound_s` to play."""

    number: int = 0
    direction: str = "inbound"
    state: ChannelState = ChannelState.RINGING
    keys: deque[str] = field(default_factory=deque)
    sound_s: float = 0.0
    call_id: CallId = field(default_factory=CallId.new)
    caller: Party = field(default_factory=lambda: Party("+441632960101"))
    callee: Party = field(default_factory=lambda: Party("+441632960100"))
    cause: HangupCause | None = None
    did: list[Any] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def _note(self, *verb: Any) -> None:
        if self.state is ChannelState.ENDED:
            raise ChannelEnded(cause=self.cause or HangupCause.NORMAL)
        self.did.append(verb)
        self.at_s.append(asyncio.get_running_loop().time())

    async def ring(self) -> None:
        self._note("ring")

    async def answer(self) -> None:
        self._note("answer")
        if self.state is ChannelState.UP:
            raise WrongMoment
        self.state = ChannelState.UP

    async def reject(self, cause: HangupCause = HangupCause.REJECTED) -> None:
        self._note("reject", cause)
        if self.state is ChannelState.UP:
            raise WrongMoment
        self.end(cause)

    async def play(self, pcm: bytes, *, stop_on: str = "") -> Played:
        self._note("play", pcm)
        if stop_on and self.keys and (stop_on == "any" or self.keys[0] in stop_on):
            return Played(self.keys[0])
        await self._wait(self.sound_s)
        return Played()

    async def collect(
        self, *, count_max: int, end_digits: str = "#", first_seconds: float = 8.0, between_seconds: float = 4.0,
        sensitive: bool = False,
    ) -> Collected:  # fmt: skip
        self._note("collect", count_max, end_digits, sensitive)
        digits = ""
        while self.keys and len(digits) < count_max:
            key = self.keys.popleft()
            if key == "-":  # a pause that is too long
                return Collected(digits, "time")
            if key in end_digits:
                return Collected(digits, "end-digit")
            digits += key
        return Collected(digits, "count" if len(digits) == count_max else "time")

    async def record(self, wish: RecordingWish) -> Recorded:
        self._note("record", wish)
        return Recorded(RecordId.new(), 1.5, "silence")

    async def send_digits(self, digits: str) -> None:
        self._note("send_digits", digits)

    async def transfer(self, to: Party) -> None:
        self._note("transfer", to.text)
        self.end(HangupCause.NORMAL)

    async def stop(self) -> None:
        self._note("stop")
        self._stopped.set()

    async def wait_ended(self) -> HangupCause:
        await self._ended.wait()
        assert self.cause is not None
        return self.cause

    async def hang_up(self, cause: HangupCause = HangupCause.NORMAL) -> None:
        if self.state is not ChannelState.ENDED:
            self._note("hang_up")
            self.end(cause)

    def end(self, cause: HangupCause = HangupCause.NORMAL) -> None:
        """The far end hangs up."""
        self.state, self.cause = ChannelState.ENDED, cause
        self._ended.set()

    async def _wait(self, seconds: float) -> None:
        self._stopped.clear()
        waiting = [asyncio.ensure_future(each.wait()) for each in (self._ended, self._stopped)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        if self.state is ChannelState.ENDED:
            raise ChannelEnded(cause=self.cause or HangupCause.NORMAL)

    @property
    def verbs(self) -> list[str]:
        return [each[0] for each in self.did]


@dataclass
class MemoryCall:
    """One application's call."""

    primary: MemoryChannel = field(default_factory=MemoryChannel)
    arguments: str = ""
    not_reached: HangupCause | None = None
    dial_s: float = 0.0
    bridge_s: float = 0.0
    may_record: bool = True
    account: AccountId = field(default_factory=AccountId.new)
    application_id: ApplicationId = field(default_factory=ApplicationId.new)
    service: ServiceId | None = field(default_factory=ServiceId.new)
    others: list[MemoryChannel] = field(default_factory=list)
    did: list[Any] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    spoken_s: float = 0.0
    interruptions: asyncio.Queue[Interruption] = field(default_factory=asyncio.Queue)
    was_dial_given_up: bool = False

    @property
    def channels(self) -> Mapping[int, Channel]:
        return {each.number: each for each in (self.primary, *self.others)}

    async def dial(self, to: Party, *, caller: Party | None = None, seconds: float = 60.0) -> Channel:
        self.did.append(("dial", to.text, caller and caller.text, seconds))
        try:
            await asyncio.sleep(self.dial_s)
        except asyncio.CancelledError:
            self.was_dial_given_up = True
            raise
        if self.not_reached is not None:
            raise NotReached(cause=self.not_reached)
        other = MemoryChannel(len(self.others) + 1, "outbound", ChannelState.UP, callee=to)
        self.others.append(other)
        return other

    async def bridge(self, one: Channel, other: Channel, *, stop_on: str = "") -> Played:
        self.did.append(("bridge", one.number, other.number, stop_on))
        assert isinstance(one, MemoryChannel)
        if stop_on and one.keys and one.keys[0] in stop_on:
            return Played(one.keys.popleft())
        await one._wait(self.bridge_s)
        assert isinstance(other, MemoryChannel)
        other.end()
        raise ChannelEnded(cause=HangupCause.NORMAL)

    async def unbridge(self, channel: Channel) -> None:
        self.did.append(("unbridge", channel.number))

    async def start_recording(self, wish: RecordingWish) -> RecordId:
        if not self.may_record:
            raise RecordingImpossible
        self.did.append(("start_recording", wish))
        return RecordId.new()

    async def pause_recording(self, *, silence: bool = True) -> None:
        self.did.append(("pause_recording", silence))

    async def resume_recording(self) -> None:
        self.did.append(("resume_recording",))

    async def stop_recording(self) -> None:
        self.did.append(("stop_recording",))

    def note_parameters(self, parameters: str) -> None:
        self.parameters.append(parameters)

    def count_speech(self, seconds: float) -> None:
        self.spoken_s += seconds

    async def next_interruption(self) -> Interruption:
        return await self.interruptions.get()


@dataclass
class MemorySounds:
    """Speech is the text itself as bytes, two bytes a sample; files are those that were put in."""

    files: dict[str, bytes] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    secrets: list[Any] = field(default_factory=list)

    async def say(self, text: str, *, voice: str = "") -> bytes:
        self.said.append(text)
        return text.encode() * 2

    async def file(self, account: AccountId, name: str, *, secret: Mapping[str, str] | None = None) -> bytes:
        self.secrets.append(secret)
        if name not in self.files:
            raise NoFileInMemory
        return self.files[name]
