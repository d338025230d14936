"""Calls between processes: too much is refused by whoever would send it, and a silent process is not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sealwire.errors import SealwireError
from sealwire.ground.wire import FRAME_BYTES_MAX, FrameTooLarge, Peer, PeerLost, PeerSilent, connect, serve

TOO_MUCH = bytes(FRAME_BYTES_MAX)


async def echo(_: Peer, body: dict[str, Any]) -> Any:
    return body["said"]


async def much(_: Peer, body: dict[str, Any]) -> Any:
    return bytes(body["size"])


async def never(_: Peer, _body: dict[str, Any]) -> Any:
    await asyncio.sleep(3600)


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    server = await serve(tmp_path / "house.sock", {"echo": echo, "much": much, "never": never})
    connected = await connect(tmp_path / "house.sock")
    yield connected
    connected.close()
    await connected.closed.wait()
    server.close()


async def test_a_request_that_is_too_large_is_refused_and_the_connection_lives(peer: Peer) -> None:
    other = asyncio.ensure_future(peer.call("echo", said="meanwhile"))
    with pytest.raises(FrameTooLarge, match="not sent"):
        await peer.call("echo", said=TOO_MUCH)
    with pytest.raises(FrameTooLarge):
        peer.tell("echo", said=TOO_MUCH)
    assert await other == "meanwhile"
    assert await peer.call("echo", said="still here") == "still here"


async def test_an_answer_that_is_too_large_is_refused_and_the_connection_lives(peer: Peer) -> None:
    with pytest.raises(FrameTooLarge):
        await asyncio.wait_for(peer.call("much", size=FRAME_BYTES_MAX), 5)
    assert await peer.call("echo", said="still here") == "still here"


async def test_the_largest_frame_there_may_be_goes_both_ways(peer: Peer) -> None:
    almost = bytes(FRAME_BYTES_MAX - 64)
    assert await peer.call("echo", said=almost) == almost


async def test_a_process_that_does_not_answer_is_not_waited_for_for_ever(peer: Peer) -> None:
    with pytest.raises(PeerSilent, match="did not answer in time"):
        await asyncio.wait_for(peer.call("never", wait_s=0.05), 5)
    assert issubclass(PeerSilent, PeerLost)
    assert await peer.call("echo", said="still here") == "still here"


async def test_a_process_that_reads_nothing_is_not_waited_for_either(tmp_path: Path) -> None:
    async def deaf(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        _reader._transport.pause_reading()  # type: ignore[attr-defined] # as a stopped process does
        await asyncio.sleep(3600)

    server = await asyncio.start_unix_server(deaf, tmp_path / "deaf.sock")
    peer = await connect(tmp_path / "deaf.sock")
    with pytest.raises(PeerSilent):
        await asyncio.wait_for(peer.call("echo", wait_s=0.2, said=bytes(4 << 20)), 5)
    peer.close()
    server.close()


async def test_what_nobody_serves_is_an_error_and_not_silence(peer: Peer) -> None:
    with pytest.raises(SealwireError, match="does not serve whistle"):
        await peer.call("whistle")
