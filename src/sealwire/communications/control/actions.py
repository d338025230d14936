"""The verbs as data: one list of actions for pages, programs and the API alike.

Each action is a JSON object with its verb under `action`. Unknown verbs and unknown fields are refused: a typing
error must not pass for silence.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0, le=14_400)]
Digits = Annotated[str, Meta(pattern=r"^[0-9A-D*#]*\Z", max_length=64)]
StopOn = Annotated[str, Meta(pattern=r"^(any|[0-9A-D*#]*)\Z", max_length=16)]
Number = Annotated[str, Meta(min_length=1, max_length=80, examples=["+441632960123"])]
Text = Annotated[str, Meta(min_length=1, max_length=3000)]
Page = Annotated[str, Meta(min_length=1, max_length=2000, examples=["https://example.org/next"])]
Hex = Annotated[str, Meta(pattern=r"^[0-9a-fA-F]*\Z", max_length=64)]


class Cipher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """AES-CBC for one file and one call, as the reference product has it: key 16, 24 or 32 bytes, iv 16 bytes."""

    key: Hex
    iv: Hex

    def __repr__(self) -> str:
        return "Cipher(...)"


class _Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"):
    id: Annotated[str, Meta(max_length=64)] = ""
    """The page's own name for this action, given back with its result."""


class Answer(_Action, frozen=True, kw_only=True, tag="answer"):
    """Take the call."""


class Ring(_Action, frozen=True, kw_only=True, tag="ring"):
    """Tell the caller that it rings."""


class Reject(_Action, frozen=True, kw_only=True, tag="reject"):
    """Turn the call away; only before it is answered."""

    cause: Annotated[str, Meta(pattern=r"^(busy|rejected|unavailable|not-found)\Z")] = "rejected"


class Play(_Action, frozen=True, kw_only=True, tag="play"):
    """Play a media file of the account. For one encrypted before upload: its age identity or its cipher."""

    file: Annotated[str, Meta(min_length=1, max_length=200)]
    stop_on: StopOn = ""
    age_identity: Annotated[str, Meta(max_length=200)] | None = None
    cipher: Cipher | None = None

    def __repr__(self) -> str:
        return "Play(...)"


class Say(_Action, frozen=True, kw_only=True, tag="say"):
    """Speak a text."""

    text: Text
    voice: Annotated[str, Meta(max_length=40)] = ""
    stop_on: StopOn = ""

    def __repr__(self) -> str:
        return "Say(...)"


class Record(_Action, frozen=True, kw_only=True, tag="record"):
    """Record the caller until an end digit, silence or the limit."""

    seconds_max: Seconds = 60
    silence_seconds: Seconds = 3
    end_digits: Digits = "#"
    beep: bool = True
    eliminate_dtmf: bool = True
    cipher: Cipher | None = None


class Prompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said or played before digits are taken: a text or a file."""

    text: Text | None = None
    file: Annotated[str, Meta(max_length=200)] | None = None
    voice: Annotated[str, Meta(max_length=40)] = ""


class GetDigits(_Action, frozen=True, kw_only=True, tag="get_digits"):
    """Prompt, then collect digits; `sensitive` ones come to the page and are in no record."""

    prompt: Prompt | None = None
    count_max: Annotated[int, Meta(ge=1, le=64)] = 1
    end_digits: Digits = "#"
    seconds: Seconds = 8
    between_seconds: Seconds = 4
    sensitive: bool = False
    next_page: Page | None = None


class MenuOption(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one key leads to."""

    digit: Annotated[str, Meta(pattern=r"^[0-9A-D*#]\Z")]
    next_page: Page | None = None


class RunMenu(_Action, frozen=True, kw_only=True, tag="run_menu"):
    """Prompt, take one of the keys, ask again up to `tries`, and go to its page."""

    prompt: Prompt
    options: Annotated[list[MenuOption], Meta(min_length=1, max_length=16)]
    tries: Annotated[int, Meta(ge=1, le=10)] = 3
    seconds: Seconds = 5
    help: Prompt | None = None


class Connect(_Action, frozen=True, kw_only=True, tag="connect"):
    """Dial another leg and bridge it with this one until either hangs up or a key in `stop_on` is pressed."""

    to: Number
    caller: Number | None = None
    seconds: Seconds = 60
    stop_on: StopOn = ""
    ringing: Prompt | None = None

    def __repr__(self) -> str:
        return "Connect(...)"


class SendMessage(_Action, frozen=True, kw_only=True, tag="send_message"):
    """Send a message while the call goes on."""

    to: Number
    text: Text
    sender: Number | None = None

    def __repr__(self) -> str:
        return "SendMessage(...)"


class Redirect(_Action, frozen=True, kw_only=True, tag="redirect"):
    """Ask another page what to do."""

    page: Page


class Pause(_Action, frozen=True, kw_only=True, tag="pause"):
    """Wait this long."""

    seconds: Seconds


class StartRecording(_Action, frozen=True, kw_only=True, tag="start_recording"):
    """Record the whole call from now on: `channels` 1 mixed, 2 one per party."""

    channels: Annotated[int, Meta(ge=1, le=2)] = 1
    seconds_max: Seconds = 3600
    silence_seconds: Seconds = 0
    beep: bool = False
    eliminate_dtmf: bool = True
    cipher: Cipher | None = None


class PauseRecording(_Action, frozen=True, kw_only=True, tag="pause_recording"):
    """Leave out what is said from now on; with `silence` the timeline stays true."""

    silence: bool = True


class ResumeRecording(_Action, frozen=True, kw_only=True, tag="resume_recording"):
    """Record on."""


class StopRecording(_Action, frozen=True, kw_only=True, tag="stop_recording"):
    """End the recording of the whole call."""


class SendDigits(_Action, frozen=True, kw_only=True, tag="send_digits"):
    """Send DTMF digits (RFC 4733) to the far end."""

    digits: Digits

    def __repr__(self) -> str:
        return "SendDigits(...)"


class Transfer(_Action, frozen=True, kw_only=True, tag="transfer"):
    """Hand the call over to another number (RFC 3515) and leave it."""

    to: Number

    def __repr__(self) -> str:
        return "Transfer(...)"


class HangUp(_Action, frozen=True, kw_only=True, tag="hang_up"):
    """End the call."""


Action = (
    Answer
    | Ring
    | Reject
    | Play
    | Say
    | Record
    | GetDigits
    | RunMenu
    | Connect
    | SendMessage
    | Redirect
    | Pause
    | StartRecording
    | PauseRecording
    | ResumeRecording
    | StopRecording
    | SendDigits
    | Transfer
    | HangUp
)
