"""One bound SMPP 3.4 transceiver session: submits with a window, acknowledges what comes in only when it is safe.

PDUs are written and read by `smpp34`; its own client acknowledges a deliver_sm before the program has seen it, so
that a crash would lose it. Here the acknowledgement carries what the receiver answers, when it has answered.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import smpp34

from sealwire.communications.messages.centre import Centre
from sealwire.errors import Unavailable
from sealwire.ground import diagnostics

OK, SYSTEM_ERROR, THROTTLED, QUEUE_FULL = 0x00, 0x08, 0x58, 0x14
TRY_AGAIN, NEVER = 0x64, 0x65
CONNECT_S_MAX, ANSWER_S_MAX = 10.0, 30.0
ENQUIRE_EVERY_S = 20.0
PDU_BYTES_MAX = 70_000
IN_HAND_MAX = 500
_HEAD = struct.Struct(">IIII")
_RESPONSE = 0x80000000
_BIND, _UNBIND, _SUBMIT, _DELIVER, _ENQUIRE, _NACK = 0x09, 0x06, 0x04, 0x05, 0x15, 0x80000000
_INVALID_COMMAND = 0x03
_INTERFACE_VERSION = 0x34

Receive = Callable[[smpp34.DeliverSm], Awaitable[int]]


class SessionLost(Unavailable):
    """The connection to the message centre ended; what was not answered may or may not have been taken."""


class BindRefused(Unavailable):
    """The message centre refused the log-in; look at smsc in the settings and at secrets/smsc.password."""


class CentreAway(Unavailable):
    """The message centre does not answer; messages wait in the queue and the connection is tried again."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What the centre answered to a segment: its status and, when it is OK, the id that receipts will name."""

    status: int
    segment_id: str


class Session:
    """A session from bind to its end; `closed` is set when it is over."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, receive: Receive) -> None:
        self._reader, self._writer, self._receive = reader, writer, receive
        self._numbers = itertools.cycle(range(1, 0x7FFFFFFF))
        self._waiting: dict[int, asyncio.Future[tuple[int, int, bytes]]] = {}
        self._in_hand: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(IN_HAND_MAX)
        self.closed = asyncio.Event()

    @classmethod
    async def bind(cls, centre: Centre, receive: Receive) -> Session:
        """Connect and log in; CentreAway or BindRefused. What comes in from now on is given to `receive`."""
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                reader, writer = await asyncio.open_connection(centre.host, centre.port)
        except (OSError, TimeoutError):
            raise CentreAway from None
        session = cls(reader, writer, receive)
        session._keep(session._read())
        words = (centre.system_id, centre.password, "sealwire")
        body = b"".join(word.encode("ascii") + b"\0" for word in words) + bytes([_INTERFACE_VERSION, 0, 0, 0])
        try:
            _, status, _ = await session._ask(_BIND, body)
        except SessionLost:
            raise CentreAway from None
        if status != OK:
            await session.close()
            raise BindRefused
        session._keep(session._enquire())
        return session

    async def submit(self, pdu: Callable[[int], smpp34.SubmitSm]) -> Submitted:
        """Send one segment and wait for the answer; `pdu` makes it for a sequence number. SessionLost."""
        number = next(self._numbers)
        _, status, body = await self._answered(number, pdu(number).encode())
        return Submitted(status, body.partition(b"\0")[0].decode("ascii", "replace"))

    async def close(self) -> None:
        """Unbind when the other end still listens, then end the connection."""
        if not self.closed.is_set():
            with suppress(SessionLost, TimeoutError):
                async with asyncio.timeout(1):
                    await self._ask(_UNBIND, b"")
        self._end()

    async def _ask(self, command: int, body: bytes) -> tuple[int, int, bytes]:
        number = next(self._numbers)
        return await self._answered(number, _HEAD.pack(16 + len(body), command, OK, number) + body)

    async def _answered(self, number: int, octets: bytes) -> tuple[int, int, bytes]:
        if self.closed.is_set():
            raise SessionLost
        future: asyncio.Future[tuple[int, int, bytes]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                self._writer.write(octets)
                await self._writer.drain()
                return await future
        except TimeoutError:
            self._end()  # a centre that is silent on one request is not to be trusted with the next
            raise SessionLost from None
        except (ConnectionError, RuntimeError):
            raise SessionLost from None
        finally:
            self._waiting.pop(number, None)

    async def _read(self) -> None:
        try:
            while True:
                head = await self._reader.readexactly(16)
                length, command, status, number = _HEAD.unpack(head)
                if not 16 <= length <= PDU_BYTES_MAX:
                    break
                body = await self._reader.readexactly(length - 16)
                await self._take(head + body, command, status, number, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._end()

    async def _take(self, octets: bytes, command: int, status: int, number: int, body: bytes) -> None:
        if command & _RESPONSE:
            waiting = self._waiting.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result((command, status or (SYSTEM_ERROR if command == _NACK else OK), body))
        elif command == _DELIVER:
            await self._room.acquire()
            self._keep(self._deliver(octets, number))
        elif command == _ENQUIRE:
            self._write(_ENQUIRE | _RESPONSE, OK, number)
        elif command == _UNBIND:
            self._write(_UNBIND | _RESPONSE, OK, number)
            self._end()
        else:
            self._write(_NACK, _INVALID_COMMAND, number)

    async def _deliver(self, octets: bytes, number: int) -> None:
        try:
            status = await self._answer_to(octets)
            with suppress(ConnectionError):
                self._write(_DELIVER | _RESPONSE, status, number, b"\0")
                await self._writer.drain()
        finally:
            self._room.release()

    async def _answer_to(self, octets: bytes) -> int:
        try:
            pdu = smpp34.decode(octets)
        except smpp34.SmppError:
            return NEVER
        if not isinstance(pdu, smpp34.DeliverSm):
            return NEVER
        try:
            return await self._receive(pdu)
        except Exception as error:
            diagnostics.failure("message.not-taken", error)
            return TRY_AGAIN

    async def _enquire(self) -> None:
        while not self.closed.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(ENQUIRE_EVERY_S):
                    await self.closed.wait()
            if not self.closed.is_set():
                with suppress(SessionLost):
                    await self._ask(_ENQUIRE, b"")

    def _write(self, command: int, status: int, number: int, body: bytes = b"") -> None:
        self._writer.write(_HEAD.pack(16 + len(body), command, status, number) + body)

    def _keep(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    def _end(self) -> None:
        if self.closed.is_set():
            return
        self.closed.set()
        self._writer.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(SessionLost())
