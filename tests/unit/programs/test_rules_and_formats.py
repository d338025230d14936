"""The rules and the bytes of the program protocol are those of its pages."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from sealwire.communications.control.programs import frames
from sealwire.communications.control.programs.rules import return_code
from sealwire.communications.control.programs.verbs import ProgramAction, read_action
from sealwire.vocabulary import ReturnCode
from sealwire_sdk.uas import frames as sdk_frames
from sealwire_sdk.uas.call import Call, Channel

ROOT = Path(__file__).parents[3]
ANSWERS: dict[str, object] = {
    "stopped_by": None, "digits": "", "ended_by": "time", "digit": None, "record": "rec_1", "seconds": 1, "channel": 1,
    "connected": True, "call_id": "call_1", "callee": "x", "message": "msg_1", "cause": "normal",
}  # fmt: skip
PAGE = (ROOT / "docs/formats/program-protocol.md").read_text()


@pytest.mark.parametrize("code", [0, 1, 2**31 - 1, -100, -(2**31)])
def test_a_code_of_the_applications_own_stays_as_it_is(code: int) -> None:
    assert return_code(code, failed=False) == code


@pytest.mark.parametrize("code", [-1, -9, -10, -99])
def test_a_code_that_is_the_services_is_not_the_applications_to_give(code: int) -> None:
    assert return_code(code, failed=False) == ReturnCode.RESERVED_CODE_RETURNED


@pytest.mark.parametrize("code", [None, "0", 1.0, True, [], 2**31, -(2**31) - 1, 2**63])
def test_what_is_not_an_integer_of_32_bits_is_said_to_be_none(code: object) -> None:
    assert return_code(code, failed=False) == ReturnCode.NOT_AN_INTEGER
    assert return_code(code, failed=True) == ReturnCode.APPLICATION_FAILED


async def test_the_bytes_on_the_page_are_those_of_both_ends() -> None:
    shown = re.search(r"^```\n([0-9a-f\n]+)```$", PAGE, re.MULTILINE)
    assert shown is not None
    data = bytes.fromhex(shown[1].replace("\n", ""))
    hello = sdk_frames.Hello(version=1, applications=["menu"], calls_max=400, sdk="x")
    assert sdk_frames.encode(hello) == data
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    assert msgspec.structs.asdict(await frames.read_frame(reader)) == msgspec.structs.asdict(hello)


def test_every_kind_of_frame_is_on_the_page_and_known_to_both_ends() -> None:
    for ours, theirs in ((frames.FromProgram, sdk_frames.FromProgram), (frames.ToProgram, sdk_frames.ToProgram)):
        tags = {kind.__struct_config__.tag for kind in ours.__args__}
        assert tags == {kind.__struct_config__.tag for kind in theirs.__args__}
        for kind in ours.__args__:
            assert re.search(rf"^\| `{kind.__struct_config__.tag}` \|", PAGE, re.MULTILINE), kind
            fields = set(kind.__struct_fields__)
            (other,) = (each for each in theirs.__args__ if each.__struct_config__.tag == kind.__struct_config__.tag)
            assert set(other.__struct_fields__) == fields


async def test_everything_the_sdk_can_ask_for_is_a_verb_the_service_takes() -> None:
    """Each method of a call is tried, and what it sends is read as the service would."""
    sent: list[str] = []

    class Reads:
        async def command(self, call: str, channel: int, action: dict[str, object]) -> dict[str, object]:
            read = read_action(msgspec.msgpack.encode(action))
            sent.append(str(type(read).__struct_config__.tag))
            return ANSWERS

    call = Call(Reads(), call="app_1", application="a", call_id="call_0", direction="inbound", caller="x", callee="y",
                service=None, arguments="")  # fmt: skip
    leg: Channel = await call.dial("+441632960200", caller="+441632960100")
    cipher = {"key": "00" * 32, "iv": "00" * 16}
    for doing in (
        call.ring(), call.answer(), call.reject("busy"), call.play("a.wav", cipher=cipher), call.say("x"),
        call.play("a.wav", age_identity="AGE-SECRET-KEY-1"), call.get_digits(say="x", sensitive=True),
        call.run_menu("12", play="a.wav"), call.record(cipher=cipher), call.send_digits("1#"), call.pause(1),
        call.bridge(leg, stop_on="any"), leg.unbridge(), call.connect("desk", say="x"), call.transfer("desk"),
        call.stop(), call.wait_ended(), call.start_recording(channels=2), call.pause_recording(),
        call.resume_recording(), call.stop_recording(), call.send_message("+441632960123", "x"),
        call.set_parameters("x"), call.hang_up(),
    ):  # fmt: skip
        await doing
    tags = {kind.__struct_config__.tag for kind in ProgramAction.__args__}  # type: ignore[attr-defined]
    assert set(sent) == tags - {"redirect"}
