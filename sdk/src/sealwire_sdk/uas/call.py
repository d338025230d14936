"""A call as your application sees it. Each verb waits for its end and returns what came of it.

When the far end has hung up, verbs raise ChannelEnded. You may let it pass: an application whose caller has hung up
and that does not catch this ends with code 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from sealwire_sdk.errors import CallOver


class Digits(str):
    """The digits that were typed, without the one that ended them. `ended_by`: count, end-digit or time."""

    __slots__ = ("ended_by",)
    ended_by: str

    def __new__(cls, digits: str, *, ended_by: str = "count") -> Self:
        made = super().__new__(cls, digits)
        made.ended_by = ended_by
        return made


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that was kept. `ended_by`: digit, silence, length, stop or hangup."""

    record: str
    seconds: float
    ended_by: str


@dataclass(frozen=True, slots=True)
class Connected:
    """How `connect` went. Not connected: `cause` says why. A digit ended it: `stopped_by`."""

    connected: bool
    cause: str | None = None
    stopped_by: str | None = None
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Interruption:
    """Somebody outside (the API) wants the application to do something else."""

    kind: str
    body: Mapping[str, Any] = field(repr=False)


class Commands(Protocol):
    """Where commands go: the connection."""

    async def command(self, call: str, channel: int, action: dict[str, Any]) -> dict[str, Any]: ...


class Channel:
    """One leg of a call."""

    def __init__(
        self, commands: Commands, *, call: str, number: int, call_id: str, caller: str, callee: str, direction: str
    ) -> None:
        self.number = number
        """0 is the primary leg, more are added by `Call.dial`."""
        self.call_id = call_id
        """Names this leg in call records."""
        self.caller, self.callee, self.direction = caller, callee, direction
        self.cause: str | None = None
        """Why it ended, once it has."""
        self._call, self._commands = call, commands

    def __repr__(self) -> str:
        return f"{type(self).__name__}(number={self.number}, call_id={self.call_id!r})"

    @property
    def is_ended(self) -> bool:
        return self.cause is not None

    async def ring(self) -> None:
        """Say that it rings; inbound, before `answer`."""
        await self._do("ring")

    async def answer(self) -> None:
        """Take the call; nothing happens when it is up already."""
        await self._do("answer")

    async def reject(self, cause: str = "rejected") -> None:
        """Turn the call away before it is answered: busy, rejected, unavailable or not-found."""
        await self._do("reject", cause=cause)

    async def play(
        self,
        file: str,
        *,
        stop_on: str = "",
        age_identity: str | None = None,
        cipher: Mapping[str, str] | None = None,
    ) -> str | None:
        """Play a media file; the digit that stopped it. For one you encrypted: its age identity, or key and iv."""
        secret: dict[str, Any] = {"age_identity": age_identity, "cipher": dict(cipher) if cipher else None}
        return _digit(await self._do("play", file=file, stop_on=stop_on, **_given(secret)))

    async def say(self, text: str, *, voice: str = "", stop_on: str = "") -> str | None:
        """Speak a text; the digit that stopped it."""
        return _digit(await self._do("say", text=text, voice=voice, stop_on=stop_on))

    async def get_digits(
        self,
        *,
        say: str | None = None,
        play: str | None = None,
        count_max: int = 1,
        end_digits: str = "#",
        seconds: float = 8,
        between_seconds: float = 4,
        sensitive: bool = False,
    ) -> Digits:
        """Prompt, then collect digits. Sensitive ones are in no record, only in this answer."""
        found = await self._do(
            "get_digits", count_max=count_max, end_digits=end_digits, seconds=seconds, between_seconds=between_seconds,
            sensitive=sensitive, **_prompt("prompt", say, play),
        )  # fmt: skip
        return Digits(found["digits"], ended_by=found["ended_by"])

    async def run_menu(
        self,
        options: str | Sequence[str],
        *,
        say: str | None = None,
        play: str | None = None,
        tries: int = 3,
        seconds: float = 5,
    ) -> str | None:
        """Prompt until one of these keys is pressed, up to `tries` times; the key, or None."""
        keys = [{"digit": digit} for digit in options]
        found = await self._do("run_menu", options=keys, tries=tries, seconds=seconds, **_prompt("prompt", say, play))
        digit: str | None = found["digit"]
        return digit

    async def record(
        self,
        *,
        seconds_max: float = 60,
        silence_seconds: float = 3,
        end_digits: str = "#",
        beep: bool = True,
        eliminate_dtmf: bool = True,
        cipher: Mapping[str, str] | None = None,
    ) -> Recording:
        """Record this channel's party until an end digit, silence, the limit, `stop` or hangup."""
        found = await self._do(
            "record", seconds_max=seconds_max, silence_seconds=silence_seconds, end_digits=end_digits, beep=beep,
            eliminate_dtmf=eliminate_dtmf, **_given({"cipher": dict(cipher) if cipher else None}),
        )  # fmt: skip
        return Recording(found["record"], found["seconds"], found["ended_by"])

    async def send_digits(self, digits: str) -> None:
        """Send DTMF digits to the far end."""
        await self._do("send_digits", digits=digits)

    async def pause(self, seconds: float) -> None:
        """Wait this long; ChannelEnded as soon as the channel ends."""
        await self._do("pause", seconds=seconds)

    async def bridge(self, other: Channel, *, stop_on: str = "") -> str | None:
        """Let both hear each other until one ends (ChannelEnded), `unbridge`, or a digit, which is returned."""
        return _digit(await self._do("bridge", other=other.number, stop_on=stop_on))

    async def unbridge(self) -> None:
        """End the bridge this channel is in."""
        await self._do("unbridge")

    async def connect(
        self,
        to: str,
        *,
        caller: str | None = None,
        seconds: float = 60,
        stop_on: str = "",
        say: str | None = None,
        play: str | None = None,
    ) -> Connected:
        """Dial another party, bridge it with this channel, and hang it up at the end. Prompts are heard meanwhile."""
        found = await self._do(
            "connect", to=to, seconds=seconds, stop_on=stop_on, **_given({"caller": caller}),
            **_prompt("ringing", say, play),
        )  # fmt: skip
        return Connected(found["connected"], found.get("cause"), found.get("stopped_by"), found.get("call_id"))

    async def transfer(self, to: str) -> bool:
        """Hand the call over to another number and leave it; whether the far end took it."""
        return bool((await self._do("transfer", to=to)).get("transferred", True))

    async def stop(self) -> None:
        """End the verb that is under way on this channel as if it had come to its end."""
        await self._do("stop")

    async def wait_ended(self) -> str:
        """Wait until the channel has ended; its cause."""
        return str((await self._do("wait_ended"))["cause"])

    async def hang_up(self) -> None:
        """End this channel; nothing happens when it has ended already."""
        await self._do("hang_up")

    async def _do(self, verb: str, **fields: Any) -> dict[str, Any]:
        return await self._commands.command(self._call, self.number, {"action": verb, **fields})


class Call(Channel):
    """One call: its primary channel, and what concerns the whole of it."""

    def __init__(self, commands: Commands, **facts: Any) -> None:
        super().__init__(commands, call=facts["call"], number=0, call_id=facts["call_id"], caller=facts["caller"],
                         callee=facts["callee"], direction=facts["direction"])  # fmt: skip
        self.id: str = facts["call"]
        """Names this run of the application in its application record."""
        self.application: str = facts["application"]
        self.service: str | None = facts["service"]
        self.arguments: str = facts["arguments"]
        """What the starter of an outbound call passed."""
        self.channels: dict[int, Channel] = {0: self}
        self._interruptions: asyncio.Queue[Interruption | None] = asyncio.Queue()
        self._is_over = False

    async def dial(self, to: str, *, caller: str | None = None, seconds: float = 60) -> Channel:
        """Add a leg, up to three; returns when it is answered. NotReached with its cause otherwise."""
        found = await self._do("dial", to=to, seconds=seconds, **_given({"caller": caller}))
        added = Channel(
            self._commands, call=self.id, number=found["channel"], call_id=found["call_id"], caller=caller or "",
            callee=found["callee"], direction="outbound",
        )  # fmt: skip
        return self.channels.setdefault(added.number, added)

    async def start_recording(
        self,
        *,
        channels: int = 1,
        seconds_max: float = 3600,
        silence_seconds: float = 0,
        beep: bool = False,
        eliminate_dtmf: bool = True,
        cipher: Mapping[str, str] | None = None,
    ) -> str:
        """Record the whole call from now on, mixed (1) or one channel per party (2); the id of its record."""
        found = await self._do(
            "start_recording", channels=channels, seconds_max=seconds_max, silence_seconds=silence_seconds, beep=beep,
            eliminate_dtmf=eliminate_dtmf, **_given({"cipher": dict(cipher) if cipher else None}),
        )  # fmt: skip
        return str(found["record"])

    async def pause_recording(self, *, silence: bool = True) -> None:
        """Leave out what is said from now on; with `silence` the timeline stays true."""
        await self._do("pause_recording", silence=silence)

    async def resume_recording(self) -> None:
        """Record on."""
        await self._do("resume_recording")

    async def stop_recording(self) -> None:
        """End the recording of the whole call."""
        await self._do("stop_recording")

    async def send_message(self, to: str, text: str, *, sender: str | None = None) -> str:
        """Send a message while the call goes on; its id."""
        return str((await self._do("send_message", to=to, text=text, **_given({"sender": sender})))["message"])

    async def set_parameters(self, parameters: str) -> None:
        """What you want to find in the application record; it is sealed there."""
        await self._do("set_parameters", parameters=parameters)

    async def next_interruption(self) -> Interruption:
        """Wait until somebody outside wants something of this call; CallOver when it has ended."""
        wanted = None if self._is_over else await self._interruptions.get()
        if wanted is None:
            raise CallOver
        return wanted

    def note_ended(self, channel: int, cause: str) -> None:
        """The connection was told that a channel has ended."""
        if channel in self.channels:
            self.channels[channel].cause = cause

    def note_interruption(self, interruption: Interruption | None) -> None:
        """The connection was told that somebody wants something, or (None) that the call is over."""
        self._is_over = self._is_over or interruption is None
        self._interruptions.put_nowait(interruption)


def _digit(found: dict[str, Any]) -> str | None:
    digit: str | None = found["stopped_by"]
    return digit


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _prompt(name: str, say: str | None, play: str | None) -> dict[str, Any]:
    if say is not None and play is not None:
        raise ValueError("a prompt is a text (say) or a file (play), not both")
    prompt = _given({"text": say, "file": play})
    return {name: prompt} if prompt else {}
