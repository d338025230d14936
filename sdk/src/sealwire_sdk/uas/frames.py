"""The frames of the program protocol, version 1: a 4-byte big-endian length and a msgpack map with `type`.

Members that are not known are ignored, so that an older program goes on with a newer service.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import msgspec

VERSION = 1
FRAME_BYTES_MAX = 64 << 10
_LENGTH = struct.Struct(">I")


class _Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Never shown: frames carry numbers, digits and texts."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Hello(_Frame, frozen=True, kw_only=True, tag="hello"):
    """Which version is spoken, and which applications this program runs."""

    version: int
    applications: list[str]
    calls_max: int
    sdk: str


class Accept(_Frame, frozen=True, kw_only=True, tag="accept"):
    """The program takes a call."""

    call: str


class Decline(_Frame, frozen=True, kw_only=True, tag="decline"):
    """The program does not take it."""

    call: str


class Command(_Frame, frozen=True, kw_only=True, tag="command"):
    """One verb on one channel."""

    call: str
    id: int
    channel: int
    action: dict[str, Any]


class Done(_Frame, frozen=True, kw_only=True, tag="done"):
    """The application has returned, or raised."""

    call: str
    code: int | None
    failed: bool = False


class Draining(_Frame, frozen=True, kw_only=True, tag="draining"):
    """No new calls, please."""


class Renew(_Frame, frozen=True, kw_only=True, tag="renew"):
    """The program's next certificate, please."""

    request: str


class Pong(_Frame, frozen=True, kw_only=True, tag="pong"):
    """The answer to a ping."""


class Welcome(_Frame, frozen=True, kw_only=True, tag="welcome"):
    """The program is registered."""

    version: int
    program: str
    ping_s: float
    valid_until: str


class Goodbye(_Frame, frozen=True, kw_only=True, tag="goodbye"):
    """Why the service ends the connection."""

    code: str
    detail: str
    final: bool


class Offer(_Frame, frozen=True, kw_only=True, tag="offer"):
    """A call for one of the applications."""

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
    result: dict[str, Any]


class Failure(_Frame, frozen=True, kw_only=True, tag="failure"):
    """Why a command was not carried out."""

    call: str
    id: int
    code: str
    detail: str
    cause: str | None = None


class Event(_Frame, frozen=True, kw_only=True, tag="event"):
    """Something happened to a call."""

    call: str
    event: str
    channel: int = 0
    cause: str | None = None
    kind: str | None = None
    body: dict[str, Any] | None = None


class Renewed(_Frame, frozen=True, kw_only=True, tag="renewed"):
    """The next certificate; or none, and why not."""

    certificate: str | None
    code: str | None = None


class Ping(_Frame, frozen=True, kw_only=True, tag="ping"):
    """Is the program there?"""


FromProgram = Hello | Accept | Decline | Command | Done | Draining | Renew | Pong
ToProgram = Welcome | Goodbye | Offer | Withdrawn | Result | Failure | Event | Renewed | Ping

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[ToProgram] = msgspec.msgpack.Decoder(ToProgram)


class FrameTooLarge(ValueError):
    """A frame is at most 64 KiB; shorten what you send."""


def encode(frame: FromProgram) -> bytes:
    """A frame as it goes over the wire; FrameTooLarge when the service would refuse it."""
    body = _encoder.encode(frame)
    if len(body) > FRAME_BYTES_MAX:
        raise FrameTooLarge(FrameTooLarge.__doc__)
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> ToProgram:
    """The next frame of the service; ConnectionError when it is not one."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if not 0 < length <= FRAME_BYTES_MAX:
        raise ConnectionError("the service sent a frame that is too large")
    try:
        return _decoder.decode(await reader.readexactly(length))
    except msgspec.DecodeError:
        raise ConnectionError("the service sent a frame this SDK does not know") from None
