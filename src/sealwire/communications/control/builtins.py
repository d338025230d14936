"""The built-in services: a greeting that records, voicemail, an echo, and a number that is not in service."""

from __future__ import annotations

from dataclasses import dataclass

from sealwire.communications import prompts
from sealwire.communications.calls.channel import LiveChannel
from sealwire.communications.control.echo import EchoRecorder
from sealwire.communications.control.port import (
    CallControl,
    Channel,
    ChannelState,
    RecordingImpossible,
    RecordingWish,
)
from sealwire.vocabulary import HangupCause, ReturnCode

ECHOES_MAX = 100


async def _come_up(channel: Channel) -> None:
    if channel.state is ChannelState.RINGING:
        await channel.answer()


@dataclass(frozen=True, slots=True)
class Greeting:
    """Welcomes, takes one digit, records until `#`, silence or the limit, says goodbye, hangs up."""

    digit_seconds: float = 8.0
    record_seconds_max: float = 120.0
    silence_seconds: float = 3.0
    goodbye: str = "goodbye"

    async def run(self, call: CallControl) -> int:
        channel = call.primary
        await _come_up(channel)
        await channel.play(prompts.sound("welcome"), stop_on="any")
        typed = await channel.collect(count_max=1, end_digits="", first_seconds=self.digit_seconds)
        code = ReturnCode.DONE
        if typed.digits:
            code = await _record(channel, seconds_max=self.record_seconds_max, silence_seconds=self.silence_seconds)
        await channel.play(prompts.sound(self.goodbye if code is ReturnCode.DONE else "not-recorded"))
        await channel.hang_up()
        return code


@dataclass(frozen=True, slots=True)
class Voicemail:
    """Asks for a message, records it, says goodbye."""

    async def run(self, call: CallControl) -> int:
        channel = call.primary
        await _come_up(channel)
        await channel.play(prompts.sound("leave-message"), stop_on="#")
        await channel.collect(count_max=1, end_digits="#", first_seconds=0.0)  # a # that stopped the prompt
        code = await _record(channel, seconds_max=180.0, silence_seconds=5.0)
        await channel.play(prompts.sound("goodbye" if code is ReturnCode.DONE else "not-recorded"))
        await channel.hang_up()
        return code


@dataclass(frozen=True, slots=True)
class Echo:
    """Gives back what was said, from memory and never kept, until `*`."""

    async def run(self, call: CallControl) -> int:
        channel = call.primary
        assert isinstance(channel, LiveChannel)
        await _come_up(channel)
        await channel.play(prompts.sound("echo"), stop_on="any")
        for _ in range(ECHOES_MAX):
            said = EchoRecorder(on_silence=channel.line.silence_heard)
            heard = await channel.record_with(said, RecordingWish(seconds_max=10.0, end_digits="*#", beep=True))
            if heard.ended_by == "digit" and not said.pcm:
                break
            played = await channel.play(bytes(said.pcm), stop_on="*")
            if played.stopped_by:
                break
        await channel.hang_up()
        return ReturnCode.DONE


@dataclass(frozen=True, slots=True)
class NotInService:
    """Turns the call away without answering it."""

    async def run(self, call: CallControl) -> int:
        if call.primary.state is ChannelState.RINGING:
            await call.primary.reject(HangupCause.NUMBER_UNKNOWN)
        else:
            await call.primary.hang_up()
        return ReturnCode.DONE


async def _record(channel: Channel, *, seconds_max: float, silence_seconds: float) -> ReturnCode:
    """Record the caller; a caller who hangs up has said enough."""
    wish = RecordingWish(seconds_max=seconds_max, silence_seconds=silence_seconds, end_digits="#", beep=True)
    try:
        await channel.record(wish)
    except RecordingImpossible:
        return ReturnCode.RECORDING_REFUSED
    return ReturnCode.DONE


BUILT_INS: dict[str, Greeting | Voicemail | Echo | NotInService] = {
    "greeting": Greeting(),
    "voicemail": Voicemail(),
    "echo": Echo(),
    "not-in-service": NotInService(),
}
