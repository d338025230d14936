"""Every verb as an action, on a call in memory."""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from typing import Any

import msgspec
import pytest
from tests.unit.control.calls import MemoryCall, MemoryChannel, MemorySounds, NoFileInMemory

from sealwire.communications.control import actions
from sealwire.communications.control.actions import Action
from sealwire.communications.control.perform import (
    _VERBS,
    MessagesUnavailable,
    NotAParty,
    PromptEmpty,
    perform,
    verb_of,
)
from sealwire.communications.control.port import ChannelEnded, ChannelState, RecordingImpossible, WrongMoment
from sealwire.errors import Malformed
from sealwire.vocabulary import AccountId, HangupCause, MessageId, Party


class Messages:
    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def send(self, account: AccountId, *, sender: Party | None, recipient: Party, text: str) -> MessageId:
        self.sent.append((sender and sender.text, recipient.text, text))
        return MessageId.new()


def up(keys: str = "", **more: Any) -> MemoryCall:
    return MemoryCall(MemoryChannel(state=ChannelState.UP, keys=deque(keys)), **more)


async def do(call: MemoryCall, action: dict[str, Any], *, messages: Messages | None = None, **files: bytes) -> Any:
    wanted = msgspec.convert(action, Action)
    result = await perform(call, call.primary, wanted, sounds=MemorySounds(files=files), messages=messages)
    assert json.loads(json.dumps(result)) == result
    assert (result.pop("action"), result.pop("id")) == (verb_of(wanted), wanted.id)
    return result


async def test_every_verb_has_something_that_carries_it_out():
    assert set(_VERBS) == set(Action.__args__)


async def test_answering_twice_and_ringing_late_change_nothing():
    call = MemoryCall()
    assert await do(call, {"action": "ring"}) == {}
    assert await do(call, {"action": "answer", "id": "a"}) == {}
    assert await do(call, {"action": "answer"}) == {}
    assert await do(call, {"action": "ring"}) == {}
    assert call.primary.verbs == ["ring", "answer"]


@pytest.mark.parametrize(("name", "cause"), [
    ("busy", HangupCause.BUSY), ("rejected", HangupCause.REJECTED),
    ("unavailable", HangupCause.SERVICE_UNAVAILABLE), ("not-found", HangupCause.NUMBER_UNKNOWN),
])  # fmt: skip
async def test_a_call_is_turned_away_with_the_cause_that_was_named(name: str, cause: HangupCause):
    call = MemoryCall()
    assert await do(call, {"action": "reject", "cause": name}) == {}
    assert call.primary.cause is cause


async def test_what_is_said_is_counted_for_its_cost_and_a_key_stops_it():
    call = up("5")
    assert await do(call, {"action": "say", "text": "x" * 3000, "stop_on": "any"}) == {"stopped_by": "5"}
    assert call.spoken_s == 0.375


@pytest.mark.parametrize(("secret", "handed_over"), [
    ({}, None), ({"age_identity": "AGE-SECRET-KEY-1"}, {"age_identity": "AGE-SECRET-KEY-1"}),
    ({"cipher": {"key": "aa", "iv": "bb"}}, {"key": "aa", "iv": "bb"}),
])  # fmt: skip
async def test_a_file_is_played_with_the_secret_given_for_it(secret: dict[str, Any], handed_over: Any):
    call, sounds = up(), MemorySounds(files={"menu.wav": b"pcm"})
    action = msgspec.convert({"action": "play", "file": "menu.wav", **secret}, Action)
    assert "AGE" not in repr(action)
    result = await perform(call, call.primary, action, sounds=sounds, messages=None)
    assert (result["stopped_by"], sounds.secrets) == (None, [handed_over])
    assert call.primary.did == [("play", b"pcm")]


async def test_a_file_that_is_not_there_is_missing():
    with pytest.raises(NoFileInMemory):
        await do(up(), {"action": "play", "file": "no.wav"})


async def test_digits_come_back_and_sensitive_ones_are_asked_for_as_such():
    call = up("1234#")
    action = {"action": "get_digits", "count_max": 8, "sensitive": True, "prompt": {"text": "card"}}
    assert await do(call, action) == {"digits": "1234", "ended_by": "end-digit"}
    assert call.primary.did[-1] == ("collect", 8, "#", True)


@pytest.mark.parametrize("prompt", [{}, {"text": "a", "file": "b"}])
async def test_a_prompt_is_a_text_or_a_file(prompt: dict[str, str]):
    with pytest.raises(PromptEmpty):
        await do(up(), {"action": "get_digits", "prompt": prompt})


MENU = {
    "action": "run_menu", "prompt": {"text": "one or two"}, "help": {"text": "press one or two"}, "tries": 3,
    "options": [{"digit": "1"}, {"digit": "2"}],
}  # fmt: skip


async def test_a_menu_asks_again_with_help_until_a_key_fits():
    call = up("9-2")
    assert await do(call, MENU) == {"digit": "2", "tries": 3}
    said = [each[1][: len(each[1]) // 2].decode() for each in call.primary.did if each[0] == "play"]
    assert said == ["one or two", "press one or two", "one or two", "press one or two", "one or two"]


async def test_a_menu_gives_up_after_its_tries():
    assert await do(up("---"), MENU) == {"digit": None, "tries": 3}


async def test_a_recording_is_told_by_its_record():
    result = await do(up(), {"action": "record", "seconds_max": 5, "cipher": {"key": "aa", "iv": "bb"}})
    assert re.fullmatch(r"rec_[0-9a-f]{32}", result["record"])
    assert (result["seconds"], result["ended_by"]) == (1.5, "silence")


async def test_the_whole_call_is_recorded_paused_and_resumed():
    call = up()
    assert (await do(call, {"action": "start_recording", "channels": 2}))["record"].startswith("rec_")
    for verb in ("pause_recording", "resume_recording", "stop_recording"):
        assert await do(call, {"action": verb}) == {}
    assert [each[0] for each in call.did] == [
        "start_recording", "pause_recording", "resume_recording", "stop_recording"
    ]  # fmt: skip
    assert call.did[0][1].channels == 2


async def test_a_recording_that_may_not_be_is_refused():
    with pytest.raises(RecordingImpossible):
        await do(up(may_record=False), {"action": "start_recording"})


CONNECT = {"action": "connect", "to": "+441632960199", "caller": "+441632960100", "seconds": 20}


async def test_connecting_dials_bridges_and_hangs_the_other_leg_up_after_it():
    call = up()
    result = await do(call, CONNECT)
    (other,) = call.others
    assert result == {"connected": True, "stopped_by": None, "call_id": str(other.call_id)}
    assert call.did[0] == ("dial", "+441632960199", "+441632960100", 20)
    assert call.primary.state is ChannelState.UP
    assert other.state is ChannelState.ENDED


async def test_a_key_ends_a_bridge_and_the_other_leg_with_it():
    call = up("*")
    assert (await do(call, CONNECT | {"stop_on": "*"}))["stopped_by"] == "*"
    assert call.others[0].state is ChannelState.ENDED
    assert call.primary.state is ChannelState.UP


@pytest.mark.parametrize(("cause", "named"), [(HangupCause.BUSY, "busy"), (HangupCause.NO_ANSWER, "no-answer")])
async def test_a_party_that_is_not_reached_is_a_result(cause: HangupCause, named: str):
    assert await do(up(not_reached=cause), CONNECT) == {"connected": False, "cause": named}


async def test_the_caller_hears_a_sound_while_it_rings_elsewhere_and_no_longer():
    call = up(dial_s=0.5)
    await do(call, CONNECT | {"ringing": {"text": "one moment"}})
    assert call.primary.verbs.count("play") in (2, 3)
    assert call.primary.verbs[-1] == "stop"


@pytest.mark.parametrize("ringing", [None, {"text": "one moment"}])
async def test_a_caller_who_hangs_up_while_it_rings_ends_the_dialling(ringing: Any):
    call = up(dial_s=10)
    connecting = asyncio.ensure_future(do(call, CONNECT | ({"ringing": ringing} if ringing else {})))
    await asyncio.sleep(0.05)
    call.primary.end()
    with pytest.raises(ChannelEnded):
        await connecting
    assert call.was_dial_given_up


async def test_whoever_cancels_a_connect_leaves_no_leg_behind():
    call = up(dial_s=0.02)
    call.bridge_s = 10
    connecting = asyncio.ensure_future(do(call, CONNECT))
    await asyncio.sleep(0.1)
    connecting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert call.others[0].state is ChannelState.ENDED


@pytest.mark.parametrize("to", ["+12", "not a number", "a@b"])
async def test_what_cannot_be_called_is_malformed(to: str):
    with pytest.raises((NotAParty, Malformed)):
        await do(up(), CONNECT | {"to": to})


async def test_a_message_goes_out_while_the_call_goes_on():
    messages = Messages()
    action = {"action": "send_message", "to": "+441632960199", "text": "hello", "sender": "+441632960100"}
    assert (await do(up(), action, messages=messages))["message"].startswith("msg_")
    assert messages.sent == [("+441632960100", "+441632960199", "hello")]


async def test_without_a_message_centre_a_message_is_refused():
    with pytest.raises(MessagesUnavailable):
        await do(up(), {"action": "send_message", "to": "+441632960199", "text": "hello"})


async def test_a_pause_ends_when_its_time_is_over_or_the_caller_is_gone():
    call = up()
    assert await do(call, {"action": "pause", "seconds": 0.01}) == {}
    pausing = asyncio.ensure_future(do(call, {"action": "pause", "seconds": 30}))
    await asyncio.sleep(0.01)
    call.primary.end(HangupCause.BUSY)
    with pytest.raises(ChannelEnded) as ended:
        await pausing
    assert ended.value.cause is HangupCause.BUSY


async def test_a_redirect_is_for_pages_only():
    with pytest.raises(WrongMoment):
        await do(up(), {"action": "redirect", "page": "https://example.org/"})


async def test_digits_are_sent_and_calls_transferred_and_ended():
    call = up()
    assert await do(call, {"action": "send_digits", "digits": "12#"}) == {}
    assert await do(call, {"action": "transfer", "to": "+441632960199"}) == {"transferred": True}
    assert call.primary.did == [("send_digits", "12#"), ("transfer", "+441632960199")]
    another = up()
    assert await do(another, {"action": "hang_up"}) == {}
    assert another.primary.state is ChannelState.ENDED


@pytest.mark.parametrize("verb", ["say", "get_digits", "record", "send_digits"])
async def test_nothing_is_done_on_a_channel_that_has_ended(verb: str):
    call = up()
    call.primary.end()
    fields = {"say": {"text": "a"}, "send_digits": {"digits": "1"}}.get(verb, {})
    with pytest.raises(ChannelEnded):
        await do(call, {"action": verb, **fields})


def test_secrets_and_numbers_do_not_show_in_the_repr_of_an_action():
    shown = [
        actions.Connect(to="+441632960199"), actions.Transfer(to="+441632960199"), actions.SendDigits(digits="4111"),
        actions.SendMessage(to="+441632960199", text="4111"), actions.Say(text="+441632960199"),
        actions.Play(file="a", age_identity="4111"),
    ]  # fmt: skip
    assert not [each for each in map(repr, shown) if "4416" in each or "4111" in each]
