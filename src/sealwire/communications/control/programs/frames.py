"""The frames between the service and a customer's program (docs/formats/program-protocol.md).

A frame is a 4-byte big-endian length and a msgpack map with its kind under `type`. Members a reader does not know are
ignored, kinds it does not know end the connection. Nothing of a frame is ever logged.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Annotated

import msgspec
from msgspec import Meta

from sealwire.errors import Malformed

VERSION = 1
FRAME_BYTES_MAX = 64 << 10
_LENGTH = struct.Struct(">I")

ApplicationName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")]
CallText = Annotated[str, Meta(max_length=64)]


class FrameWrong(Malformed):
    """This frame is too large, is not msgpack, or is of an unknown kind; the connection ends here."""


class _Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Never shown: frames carry numbers, digits and texts."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


# --- from the program --------------------------------------------------------------------------------------


class Hello(_Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame: which version is spoken, and which applications this program runs."""

    version: int
    applications: Annotated[list[ApplicationName], Meta(min_length=1, max_length=100)]
    calls_max: Annotated[int, Meta(ge=1, le=10_000)] = 400
    sdk: Annotated[str, Meta(max_length=80)] = ""


class Accept(_Frame, frozen=True, kw_only=True, tag="accept"):
    """The program takes the call it was offered."""

    call: CallText


class Decline(_Frame, frozen=True, kw_only=True, tag="decline"):
    """The program does not take it; another one is asked."""

    call: CallText


class Command(_Frame, frozen=True, kw_only=True, tag="command"):
    """One verb on one channel of a call; answered by a result or a failure with the same id."""

    call: CallText
    id: Annotated[int, Meta(ge=0, lt=1 << 53)]
    channel: Annotated[int, Meta(ge=0, le=1000)] = 0
    action: msgspec.Raw


class Done(_Frame, frozen=True, kw_only=True, tag="done"):
    """The application has returned; `failed` when it raised instead."""

    call: CallText
    code: object = None
    failed: bool = False


class Draining(_Frame, frozen=True, kw_only=True, tag="draining"):
    """No new calls, please; the program leaves when its calls have ended."""


class Renew(_Frame, frozen=True, kw_only=True, tag="renew"):
    """The program asks for its next certificate, with a certificate request (PEM)."""

    request: Annotated[str, Meta(max_length=8000)]


class Pong(_Frame, frozen=True, kw_only=True, tag="pong"):
    """The answer to a ping; any other frame is as good."""


FromProgram = Hello | Accept | Decline | Command | Done | Draining | Renew | Pong

# --- to the program ----------------------------------------------------------------------------------------


class Welcome(_Frame, frozen=True, kw_only=True, tag="welcome"):
    """The program is registered; a ping comes at least every `ping_s`."""

    version: int
    program: str
    ping_s: float
    valid_until: str


class Goodbye(_Frame, frozen=True, kw_only=True, tag="goodbye"):
    """Why the service ends the connection; with `final`, connecting again will not help."""

    code: str
    detail: str
    final: bool


class Offer(_Frame, frozen=True, kw_only=True, tag="offer"):
    """A call for one of the program's applications; it is to be accepted or declined at once."""

    call: str
    application: str
    call_id: str
    direction: str
    state: str
    caller: str
    callee: str
    service: str | None
    arguments: str


class Withdrawn(_Frame, frozen=True, kw_only=True, tag="withdrawn"):
    """The call is no longer this program's."""

    call: str


class Result(_Frame, frozen=True, kw_only=True, tag="result"):
    """What came of a command."""

    call: str
    id: int
    result: dict[str, object]


class Failure(_Frame, frozen=True, kw_only=True, tag="failure"):
    """Why a command was not carried out. `cause` when a channel ended or was not reached."""

    call: str
    id: int
    code: str
    detail: str
    cause: str | None = None


class Event(_Frame, frozen=True, kw_only=True, tag="event"):
    """Something happened: `ended` (a channel, with its cause) or `interruption` (somebody outside wants something)."""

    call: str
    event: str
    channel: int = 0
    cause: str | None = None
    kind: str | None = None
    body: dict[str, object] | None = None


class Renewed(_Frame, frozen=True, kw_only=True, tag="renewed"):
    """The next certificate (PEM); or none, and why not."""

    certificate: str | None
    code: str | None = None


class Ping(_Frame, frozen=True, kw_only=True, tag="ping"):
    """Is the program there? To be answered by a pong."""


ToProgram = Welcome | Goodbye | Offer | Withdrawn | Result | Failure | Event | Renewed | Ping

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[FromProgram] = msgspec.msgpack.Decoder(FromProgram)


def encode(frame: ToProgram) -> bytes:
    """A frame as it goes over the wire."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> FromProgram:
    """The next frame; FrameWrong, or what the stream raises at its end. A frame too large is not read at all."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if not 0 < length <= FRAME_BYTES_MAX:
        raise FrameWrong
    try:
        return _decoder.decode(await reader.readexactly(length))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise FrameWrong from None
