"""Whatever bytes a program sends, they are a frame, or they are refused; nothing else ever comes of them."""

from __future__ import annotations

import asyncio
import struct
from contextlib import suppress
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from sealwire.communications.control.programs import frames
from sealwire.communications.control.programs.frames import FRAME_BYTES_MAX, FrameWrong, read_frame
from sealwire.communications.control.programs.verbs import ActionWrong, read_action

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text(max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(["hello", "accept", "decline", "command", "done", "draining", "renew", "pong", "ping", "x", ""])
MEMBERS = ("call", "id", "channel", "action", "code", "failed", "version", "applications", "request")
FRAMES = st.fixed_dictionaries({"type": KINDS}, optional=dict.fromkeys(MEMBERS, VALUES))
VERBS = st.sampled_from(["answer", "say", "play", "dial", "bridge", "connect", "record", "set_parameters", "x"])
FIELDS = ("to", "text", "file", "other", "seconds", "stop_on", "parameters", "cipher", "id", "x")
ACTIONS = st.fixed_dictionaries({"action": VERBS}, optional=dict.fromkeys(FIELDS, VALUES))


def came_of(data: bytes) -> frames.FromProgram | type[Exception]:
    async def read() -> frames.FromProgram:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read_frame(reader)

    try:
        return asyncio.run(read())
    except (FrameWrong, asyncio.IncompleteReadError) as error:
        return type(error)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_refused(body: bytes) -> None:
    came_of(body)
    came_of(struct.pack(">I", len(body)) + body)


@given(FRAMES)
def test_any_map_is_a_frame_or_refused(frame: dict[str, Any]) -> None:
    body = msgspec.msgpack.encode(frame)
    outcome = came_of(struct.pack(">I", len(body)) + body)
    if frame["type"] in ("ping", "x", ""):
        assert outcome is FrameWrong
    if frame["type"] in ("pong", "draining"):
        assert isinstance(outcome, frames.Pong | frames.Draining)


@given(st.integers(0, (1 << 32) - 1), st.binary(max_size=50))
def test_a_length_is_believed_up_to_the_limit_and_never_beyond(length: int, rest: bytes) -> None:
    outcome = came_of(struct.pack(">I", length) + rest)
    if length == 0 or length > FRAME_BYTES_MAX:
        assert outcome is FrameWrong
    elif length > len(rest):
        assert outcome is asyncio.IncompleteReadError


@given(st.binary(max_size=100) | ACTIONS.map(msgspec.msgpack.encode))
def test_any_action_is_a_verb_or_refused(raw: bytes) -> None:
    with suppress(ActionWrong):
        read_action(raw)
