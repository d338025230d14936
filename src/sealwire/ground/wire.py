"""Calls between our own processes: msgpack frames over a Unix socket, both ends may call.

A frame is a 4-byte big-endian length and a msgpack array `[kind, id, name, body]`: 0 request, 1 result,
2 error (name is the error's code), 3 event (no answer wanted). A frame above 16 MiB is refused before it is
sent, so that it harms nobody else's calls on the same connection.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from sealwire.errors import Malformed, SealwireError, Unavailable
from sealwire.ground import diagnostics

FRAME_BYTES_MAX = 16 << 20
WAIT_S_MAX = 60.0
_REQUEST, _RESULT, _ERROR, _EVENT = range(4)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[int, int, str, Any])

Handler = Callable[["Peer", dict[str, Any]], Awaitable[Any]]


class PeerLost(Unavailable):
    """The other process went away in the middle of a call; it may or may not have acted."""


class PeerSilent(PeerLost):
    """The other process is there and did not answer in time; it may or may not have acted."""


class FrameTooLarge(Malformed):
    """This is more than our processes send each other at once (16 MiB), so it was not sent; ask for less at a time."""


class Peer:
    """One end of a connection. `call` waits for an answer, `tell` does not; `closed` is set when it ends."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self.handlers = handlers
        self.closed = asyncio.Event()
        self.state: dict[str, Any] = {}
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    async def call(self, name: str, /, *, wait_s: float = WAIT_S_MAX, **body: Any) -> Any:
        """Ask the other end; raises the error it raised, PeerLost, PeerSilent after `wait_s`, or FrameTooLarge."""
        if self._writer is None or self.closed.is_set():
            raise PeerLost
        number = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(wait_s):
                self._send(_REQUEST, number, name, body)
                await self._writer.drain()
                return await future
        except TimeoutError:
            raise PeerSilent from None
        except (ConnectionError, RuntimeError) as error:
            raise PeerLost from error
        finally:
            self._waiting.pop(number, None)

    def tell(self, name: str, /, **body: Any) -> None:
        """Send an event without waiting; it is lost when the other end has gone."""
        if self._writer is not None and not self.closed.is_set():
            self._send(_EVENT, 0, name, body)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def abort(self) -> socket.socket | None:
        """End the connection at once, whether or not the other end reads; None when it has ended already.

        The answer is a second handle on the socket, shut for writing: its end of file tells that the other end closed.
        """
        line = None if self._writer is None else self._writer.get_extra_info("socket")
        if self._writer is None or self.closed.is_set() or line is None or line.fileno() < 0:
            return None
        handle = socket.fromfd(line.fileno(), line.family, line.type)
        handle.setblocking(False)
        with suppress(OSError):
            handle.shutdown(socket.SHUT_WR)
        self._writer.transport.abort()
        return handle

    def start(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve this connection in a task of its own."""
        self._writer = writer
        self._tasks.add(asyncio.ensure_future(self.run(reader, writer)))

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve this connection until it ends."""
        self._writer = writer
        try:
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                if length > FRAME_BYTES_MAX:
                    break
                self._receive(*_decoder.decode(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError):
            pass
        finally:
            self._end()

    def _receive(self, kind: int, number: int, name: str, body: Any) -> None:
        if kind in (_RESULT, _ERROR):
            future = self._waiting.get(number)
            if future is None or future.done():
                return
            if kind == _RESULT:
                future.set_result(body)
            else:
                future.set_exception(SealwireError.registry.get(name, SealwireError)(body))
            return
        task = asyncio.ensure_future(self._serve(kind, number, name, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, kind: int, number: int, name: str, body: dict[str, Any]) -> None:
        try:
            handler = self.handlers.get(name)
            if handler is None:
                raise SealwireError(f"this process does not serve {name}; are all processes of one version?")
            answer, outcome, label = await handler(self, body), _RESULT, ""
        except SealwireError as error:
            answer, outcome, label = str(error), _ERROR, error.code()
        except Exception as error:
            diagnostics.failure("wire.handler-failed", error, handler=name)
            answer, outcome, label = "the other process failed; see its diagnostics", _ERROR, "sealwire-error"
        if kind == _REQUEST:
            with suppress(ConnectionError, RuntimeError):
                self._answer(outcome, number, label, answer)

    def _answer(self, outcome: int, number: int, label: str, answer: Any) -> None:
        """Send what a handler answered, or why that cannot be sent: the caller must not wait for nothing."""
        try:
            self._send(outcome, number, label, answer)
        except FrameTooLarge as error:
            self._send(_ERROR, number, error.code(), str(error))

    def _send(self, kind: int, number: int, name: str, body: Any) -> None:
        assert self._writer is not None
        frame = _encoder.encode((kind, number, name, body))
        if len(frame) > FRAME_BYTES_MAX:
            raise FrameTooLarge
        self._writer.write(struct.pack(">I", len(frame)) + frame)

    def _end(self) -> None:
        self.closed.set()
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(PeerLost())
        if self._writer is not None:
            self._writer.close()


async def serve(
    path: Path, handlers: Mapping[str, Handler], *, on_close: Callable[[Peer], Awaitable[None]] | None = None
) -> asyncio.Server:
    """Listen on a Unix socket that only this user may open; a stale socket file is replaced."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if _peer_uid(writer) not in (os.getuid(), 0):
            writer.close()
            return
        peer = Peer(handlers)
        try:
            await peer.run(reader, writer)
        finally:
            if on_close is not None:
                await on_close(peer)

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # noqa: ASYNC240 - once, before anything is served
    old_mask = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(connected, str(path))
    finally:
        os.umask(old_mask)


async def connect(path: Path, handlers: Mapping[str, Handler] | None = None) -> Peer:
    """Connect to a process of ours; Unavailable (with its name) when nothing answers there."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except OSError as error:
        raise Unavailable(f"the {path.stem} is not running: start it with bin/sealwire up") from error
    peer = Peer(handlers or {})
    peer.start(reader, writer)
    return peer


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    sock = writer.get_extra_info("socket")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int(struct.unpack("3i", credentials)[1])
