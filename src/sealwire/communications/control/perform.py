"""One action carried out on one channel of a call: the same for pages, programs and the API.

What came of it is a small dict that can be written as JSON: `action`, `id`, and what the verb found. That nobody
answered a dialled leg is a result; that a verb is not allowed is an error. ChannelEnded passes through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sealwire.communications.control import actions
from sealwire.communications.control.actions import Action, Prompt
from sealwire.communications.control.port import (
    CallControl,
    Channel,
    ChannelEnded,
    ChannelState,
    NotReached,
    RecordingWish,
    Sounds,
    WrongMoment,
)
from sealwire.errors import Malformed, Unavailable
from sealwire.vocabulary import E164, AccountId, HangupCause, MessageId, Party

BYTES_A_SECOND = 16_000
RINGING_GAP_S = 0.2
Result = dict[str, object]
A = TypeVar("A", bound=Action)

_REJECTIONS = {
    "busy": HangupCause.BUSY,
    "rejected": HangupCause.REJECTED,
    "unavailable": HangupCause.SERVICE_UNAVAILABLE,
    "not-found": HangupCause.NUMBER_UNKNOWN,
}


class NotAParty(Malformed):
    """This cannot be called: write a number in E.164, as +441632960123, or the name of a SIP user."""


class PromptEmpty(Malformed):
    """A prompt is a text or a file, and one of them only."""


class MessagesUnavailable(Unavailable):
    """Messages are not sent by this installation: the operator has not configured a message centre."""


class MessageSender(Protocol):
    """Where messages go out."""

    async def send(self, account: AccountId, *, sender: Party | None, recipient: Party, text: str) -> MessageId: ...


@dataclass(frozen=True, slots=True)
class _Stage:
    """What an action works with."""

    call: CallControl
    channel: Channel
    sounds: Sounds
    messages: MessageSender | None

    async def sound(self, prompt: Prompt) -> bytes:
        """The prompt as PCM."""
        if (prompt.text is None) == (prompt.file is None):
            raise PromptEmpty
        if prompt.text is not None:
            return await self.speech(prompt.text, voice=prompt.voice)
        return await self.sounds.file(self.call.account, prompt.file or "")

    async def speech(self, text: str, *, voice: str) -> bytes:
        """The text spoken, and counted for its cost."""
        pcm = await self.sounds.say(text, voice=voice)
        self.call.count_speech(len(pcm) / BYTES_A_SECOND)
        return pcm


async def perform(
    call: CallControl, channel: Channel, action: Action, *, sounds: Sounds, messages: MessageSender | None
) -> Result:
    """Carry out one action and tell what came of it; Refused when it may not be, Malformed when it cannot be."""
    found = await _VERBS[type(action)](_Stage(call, channel, sounds, messages), action)
    return {"action": verb_of(action), "id": action.id, **found}


def verb_of(action: Action) -> str:
    """The name of the verb, as it is written in `action`."""
    return str(type(action).__struct_config__.tag)


def party_of(text: str) -> Party:
    """Whom a page or program means: a number in E.164, or the name of a SIP user."""
    if text.startswith("+"):
        return Party(E164.parse(text).text)
    party = Party.from_sip_user(text)
    if party.text == "anonymous":
        raise NotAParty
    return party


def cause_name(cause: HangupCause | None) -> str:
    """A cause as results and events have it: `no-answer`."""
    return (cause or HangupCause.NORMAL).name.lower().replace("_", "-")


async def _answer(stage: _Stage, _: actions.Answer) -> Result:
    if stage.channel.state is not ChannelState.UP:  # it may have been answered before the first action
        await stage.channel.answer()
    return {}


async def _ring(stage: _Stage, _: actions.Ring) -> Result:
    if stage.channel.state is not ChannelState.UP:
        await stage.channel.ring()
    return {}


async def _reject(stage: _Stage, action: actions.Reject) -> Result:
    await stage.channel.reject(_REJECTIONS[action.cause])
    return {}


async def _play(stage: _Stage, action: actions.Play) -> Result:
    secret: Mapping[str, str] | None = None
    if action.age_identity is not None:
        secret = {"age_identity": action.age_identity}
    elif action.cipher is not None:
        secret = _cipher(action.cipher)
    pcm = await stage.sounds.file(stage.call.account, action.file, secret=secret)
    return {"stopped_by": (await stage.channel.play(pcm, stop_on=action.stop_on)).stopped_by}


async def _say(stage: _Stage, action: actions.Say) -> Result:
    pcm = await stage.speech(action.text, voice=action.voice)
    return {"stopped_by": (await stage.channel.play(pcm, stop_on=action.stop_on)).stopped_by}


async def _record(stage: _Stage, action: actions.Record) -> Result:
    wish = RecordingWish(
        seconds_max=action.seconds_max, silence_seconds=action.silence_seconds, end_digits=action.end_digits,
        beep=action.beep, eliminate_dtmf=action.eliminate_dtmf, cipher=_cipher(action.cipher),
    )  # fmt: skip
    recorded = await stage.channel.record(wish)
    return {"record": str(recorded.record), "seconds": round(recorded.seconds, 3), "ended_by": recorded.ended_by}


async def _get_digits(stage: _Stage, action: actions.GetDigits) -> Result:
    if action.prompt is not None:
        await stage.channel.play(await stage.sound(action.prompt), stop_on="any")
    collected = await stage.channel.collect(
        count_max=action.count_max, end_digits=action.end_digits, first_seconds=action.seconds,
        between_seconds=action.between_seconds, sensitive=action.sensitive,
    )  # fmt: skip
    return {"digits": collected.digits, "ended_by": collected.ended_by}


async def _run_menu(stage: _Stage, action: actions.RunMenu) -> Result:
    prompt = await stage.sound(action.prompt)
    help_sound = await stage.sound(action.help) if action.help is not None and action.tries > 1 else None
    keys = {option.digit for option in action.options}
    for attempt in range(1, action.tries + 1):
        if attempt > 1 and help_sound is not None:
            await stage.channel.play(help_sound, stop_on="any")
        await stage.channel.play(prompt, stop_on="any")
        collected = await stage.channel.collect(count_max=1, end_digits="", first_seconds=action.seconds)
        if collected.digits in keys:
            return {"digit": collected.digits, "tries": attempt}
    return {"digit": None, "tries": action.tries}


async def _connect(stage: _Stage, action: actions.Connect) -> Result:
    to, caller = party_of(action.to), party_of(action.caller) if action.caller is not None else None
    ringing = await stage.sound(action.ringing) if action.ringing is not None else None
    dialling = stage.call.dial(to, caller=caller, seconds=action.seconds)
    try:
        other = await _while_waiting(stage.channel, dialling, sound=ringing)
    except NotReached as error:
        return {"connected": False, "cause": cause_name(error.cause)}
    try:
        ended = await stage.call.bridge(stage.channel, other, stop_on=action.stop_on)
        stopped_by = ended.stopped_by
    except ChannelEnded:
        if stage.channel.state is ChannelState.ENDED:
            raise
        stopped_by = None  # the other end hung up, which is how most such calls end
    finally:
        await other.hang_up()
    return {"connected": True, "stopped_by": stopped_by, "call_id": str(other.call_id)}


async def _while_waiting(channel: Channel, dialling: Awaitable[Channel], *, sound: bytes | None) -> Channel:
    """Wait for the dialled leg and let the caller hear a sound; when the caller hangs up, stop dialling."""
    dialled = asyncio.ensure_future(dialling)
    waiting, other = asyncio.ensure_future(_keep_company(channel, sound)), None
    try:
        await asyncio.wait({dialled, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():  # only ever by the end of the caller's channel, or by an error
            waiting.result()
        other = await dialled
        return other
    finally:
        await _let_go(waiting)
        if sound is not None and channel.state is ChannelState.UP:
            await channel.stop()
        if other is None:
            await _let_go(dialled)
            if not dialled.cancelled() and dialled.exception() is None:
                await dialled.result().hang_up()


async def _keep_company(channel: Channel, sound: bytes | None) -> None:
    """Until cancelled; ChannelEnded when the caller hangs up."""
    while sound:
        await channel.play(sound)
        await asyncio.sleep(RINGING_GAP_S)
    raise ChannelEnded(cause=await channel.wait_ended())


async def _let_go(task: asyncio.Future[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await task


async def _send_message(stage: _Stage, action: actions.SendMessage) -> Result:
    if stage.messages is None:
        raise MessagesUnavailable
    sender = party_of(action.sender) if action.sender is not None else None
    recipient = Party(E164.parse(action.to).text)
    sent = await stage.messages.send(stage.call.account, sender=sender, recipient=recipient, text=action.text)
    return {"message": str(sent)}


async def _redirect(_: _Stage, __: actions.Redirect) -> Result:
    raise WrongMoment("only pages are redirected to another page; nothing was changed")


async def _pause(stage: _Stage, action: actions.Pause) -> Result:
    try:
        cause = await asyncio.wait_for(stage.channel.wait_ended(), action.seconds)
    except TimeoutError:
        return {}
    raise ChannelEnded(cause=cause)


async def _start_recording(stage: _Stage, action: actions.StartRecording) -> Result:
    wish = RecordingWish(
        seconds_max=action.seconds_max, silence_seconds=action.silence_seconds, beep=action.beep,
        channels=action.channels, eliminate_dtmf=action.eliminate_dtmf, cipher=_cipher(action.cipher),
    )  # fmt: skip
    return {"record": str(await stage.call.start_recording(wish))}


async def _pause_recording(stage: _Stage, action: actions.PauseRecording) -> Result:
    await stage.call.pause_recording(silence=action.silence)
    return {}


async def _resume_recording(stage: _Stage, _: actions.ResumeRecording) -> Result:
    await stage.call.resume_recording()
    return {}


async def _stop_recording(stage: _Stage, _: actions.StopRecording) -> Result:
    await stage.call.stop_recording()
    return {}


async def _send_digits(stage: _Stage, action: actions.SendDigits) -> Result:
    await stage.channel.send_digits(action.digits)
    return {}


async def _transfer(stage: _Stage, action: actions.Transfer) -> Result:
    try:
        await stage.channel.transfer(party_of(action.to))
    except NotReached as error:
        return {"transferred": False, "cause": cause_name(error.cause)}
    return {"transferred": True}


async def _hang_up(stage: _Stage, _: actions.HangUp) -> Result:
    await stage.channel.hang_up()
    return {}


def _cipher(cipher: actions.Cipher | None) -> dict[str, str] | None:
    return {"key": cipher.key, "iv": cipher.iv} if cipher is not None else None


_VERBS: dict[type[Action], Callable[[_Stage, Any], Awaitable[Result]]] = {
    actions.Answer: _answer,
    actions.Ring: _ring,
    actions.Reject: _reject,
    actions.Play: _play,
    actions.Say: _say,
    actions.Record: _record,
    actions.GetDigits: _get_digits,
    actions.RunMenu: _run_menu,
    actions.Connect: _connect,
    actions.SendMessage: _send_message,
    actions.Redirect: _redirect,
    actions.Pause: _pause,
    actions.StartRecording: _start_recording,
    actions.PauseRecording: _pause_recording,
    actions.ResumeRecording: _resume_recording,
    actions.StopRecording: _stop_recording,
    actions.SendDigits: _send_digits,
    actions.Transfer: _transfer,
    actions.HangUp: _hang_up,
}
