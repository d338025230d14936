"""What a program may ask for on a call: every action, and the verbs for several channels at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from sealwire.communications.control import actions
from sealwire.communications.control.actions import Action, Number, Seconds, StopOn
from sealwire.communications.control.perform import MessageSender, cause_name, party_of, perform
from sealwire.communications.control.port import CallControl, Channel, Sounds
from sealwire.errors import Malformed, Missing

ChannelNumber = Annotated[int, Meta(ge=0, le=1000)]


class ActionWrong(Malformed):
    """The verb or one of its fields is unknown or has a value it cannot have; nothing was done."""


class ChannelMissing(Missing):
    """This call has no channel with that number."""


class _Verb(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"):
    id: Annotated[str, Meta(max_length=64)] = ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Dial(_Verb, frozen=True, kw_only=True, tag="dial"):
    """Add a leg; the answer names its channel once it is up."""

    to: Number
    caller: Number | None = None
    seconds: Seconds = 60


class Bridge(_Verb, frozen=True, kw_only=True, tag="bridge"):
    """Let this channel and another hear each other until one ends, `unbridge`, or a digit."""

    other: ChannelNumber
    stop_on: StopOn = ""


class Unbridge(_Verb, frozen=True, kw_only=True, tag="unbridge"):
    """End the bridge this channel is in."""


class Stop(_Verb, frozen=True, kw_only=True, tag="stop"):
    """End the verb under way on this channel as if it had come to its end."""


class WaitEnded(_Verb, frozen=True, kw_only=True, tag="wait_ended"):
    """Wait until this channel has ended."""


class SetParameters(_Verb, frozen=True, kw_only=True, tag="set_parameters"):
    """What the application wants in its application record."""

    parameters: Annotated[str, Meta(max_length=4000)]


ProgramAction = Action | Dial | Bridge | Unbridge | Stop | WaitEnded | SetParameters

# These do not wait for the verb that is under way on their channel: some of them end it, the others are not about it.
AT_ONCE = (
    Dial, Unbridge, Stop, WaitEnded, SetParameters, actions.HangUp, actions.SendMessage, actions.StartRecording,
    actions.PauseRecording, actions.ResumeRecording, actions.StopRecording,
)  # fmt: skip

_decoder: msgspec.msgpack.Decoder[ProgramAction] = msgspec.msgpack.Decoder(ProgramAction)


@dataclass(frozen=True, slots=True)
class Desk:
    """What every program's call works with."""

    sounds: Sounds
    messages: MessageSender | None


def read_action(raw: bytes) -> ProgramAction:
    """The verb of a command; ActionWrong for anything else."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ActionWrong from None


def channel_of(call: CallControl, number: int) -> Channel:
    """One channel of the call by its number; ChannelMissing for any other."""
    channel = call.primary if number == call.primary.number else call.channels.get(number)
    if channel is None:
        raise ChannelMissing
    return channel


async def carry_out(call: CallControl, channel: Channel, action: ProgramAction, *, desk: Desk) -> dict[str, Any]:
    """Do what the program wants and tell what came of it."""
    own = _OWN.get(type(action))
    if own is not None:
        return {"action": str(type(action).__struct_config__.tag), **await own(call, channel, action)}
    return dict(await perform(call, channel, action, sounds=desk.sounds, messages=desk.messages))  # type: ignore[arg-type]


async def _dial(call: CallControl, _: Channel, action: Dial) -> dict[str, Any]:
    caller = party_of(action.caller) if action.caller is not None else None
    added = await call.dial(party_of(action.to), caller=caller, seconds=action.seconds)
    return {"channel": added.number, "call_id": str(added.call_id), "callee": str(added.callee)}


async def _bridge(call: CallControl, channel: Channel, action: Bridge) -> dict[str, Any]:
    played = await call.bridge(channel, channel_of(call, action.other), stop_on=action.stop_on)
    return {"stopped_by": played.stopped_by}


async def _unbridge(call: CallControl, channel: Channel, _: Unbridge) -> dict[str, Any]:
    await call.unbridge(channel)
    return {}


async def _stop(_: CallControl, channel: Channel, __: Stop) -> dict[str, Any]:
    await channel.stop()
    return {}


async def _wait_ended(_: CallControl, channel: Channel, __: WaitEnded) -> dict[str, Any]:
    return {"cause": cause_name(await channel.wait_ended())}


async def _set_parameters(call: CallControl, _: Channel, action: SetParameters) -> dict[str, Any]:
    call.note_parameters(action.parameters)
    return {}


_OWN: dict[type, Callable[[CallControl, Channel, Any], Awaitable[dict[str, Any]]]] = {
    Dial: _dial,
    Bridge: _bridge,
    Unbridge: _unbridge,
    Stop: _stop,
    WaitEnded: _wait_ended,
    SetParameters: _set_parameters,
}
