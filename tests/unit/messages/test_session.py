"""A session ends cleanly whatever the other end does, and the password decides."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import smpp34
from tests import ports
from tests.smsc.centre import PASSWORD, open_centre

from sealwire.communications.messages.centre import Centre
from sealwire.communications.messages.session import (
    NEVER,
    OK,
    TRY_AGAIN,
    BindRefused,
    CentreAway,
    Session,
    SessionLost,
)

HEAD = struct.Struct(">IIII")
BOUND = HEAD.pack(16 + 5, 0x80000009, 0, 1) + b"smsc\0"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def accept(_pdu: smpp34.DeliverSm) -> int:
    return OK


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[Centre]:
    """A centre of a few bytes, for what a real one does not do."""
    port = ports.take()
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield Centre("127.0.0.1", port, "a", "b")


async def read_pdu(reader: asyncio.StreamReader) -> tuple[int, int, int]:
    length, command, status, number = HEAD.unpack(await reader.readexactly(16))
    await reader.readexactly(length - 16)
    return command, status, number


async def bound(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_pdu(reader)
    writer.write(BOUND)


@pytest.mark.slow
async def test_a_real_centre_lets_in_who_has_the_password_and_nobody_else() -> None:
    async with open_centre() as centre:
        session = await Session.bind(Centre("127.0.0.1", centre.port, "sealwire", PASSWORD), accept)
        await session.close()
        with pytest.raises(BindRefused, match=r"smsc\.password"):
            await Session.bind(Centre("127.0.0.1", centre.port, "sealwire", "wrong"), accept)


async def test_nobody_at_the_address_is_said_at_once() -> None:
    with pytest.raises(CentreAway):
        await Session.bind(Centre("127.0.0.1", ports.take(), "a", "b"), accept)


@pytest.mark.parametrize(
    "octets",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x0f" + b"\0" * 12, b"\x7f\xff\xff\xff" + b"\0" * 12, b"\x00\x00"],
    ids=["http", "too-short", "too-long", "cut-off"],
)
async def test_whatever_is_no_pdu_ends_the_session_and_what_waits_is_told(octets: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await bound(reader, writer)
        await read_pdu(reader)
        writer.write(octets)
        writer.close()

    async with served(serve) as centre:
        session = await Session.bind(centre, accept)
        with pytest.raises(SessionLost):
            await session.submit(lambda number: smpp34.SubmitSm("1", "2", b"x", sequence_number=number))
        assert session.closed.is_set()
        with pytest.raises(SessionLost):
            await session.submit(lambda number: smpp34.SubmitSm("1", "2", b"x", sequence_number=number))


@pytest.mark.parametrize(("receive", "status"), [(OK, OK), (TRY_AGAIN, TRY_AGAIN), (NEVER, NEVER), (None, TRY_AGAIN)])
async def test_a_delivery_is_acknowledged_with_what_the_receiver_answers_and_not_before(
    receive: int | None, status: int
) -> None:
    may_answer, answers = asyncio.Event(), asyncio.Queue[tuple[int, int, int]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await bound(reader, writer)
        writer.write(smpp34.DeliverSm("1", "2", b"hello", sequence_number=77).encode())
        answers.put_nowait(await read_pdu(reader))
        writer.close()

    async def take(pdu: smpp34.DeliverSm) -> int:
        assert pdu.short_message == b"hello"
        await may_answer.wait()
        if receive is None:
            raise ValueError
        return receive

    async with served(serve) as centre:
        session = await Session.bind(centre, take)
        await asyncio.sleep(0.1)
        assert answers.empty()
        may_answer.set()
        assert await answers.get() == (0x80000005, status, 77)
        await session.closed.wait()


async def test_a_delivery_that_cannot_be_read_is_refused_and_an_unknown_command_is_answered() -> None:
    answers: asyncio.Queue[tuple[int, int, int]] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await bound(reader, writer)
        writer.write(HEAD.pack(20, 0x05, 0, 5) + b"\xff\xff\xff\xff")
        writer.write(HEAD.pack(16, 0x15, 0, 6))
        writer.write(HEAD.pack(16, 0x0777, 0, 7))
        for _ in range(3):
            answers.put_nowait(await read_pdu(reader))
        writer.write(HEAD.pack(16, 0x06, 0, 8))
        answers.put_nowait(await read_pdu(reader))
        writer.close()

    async with served(serve) as centre:
        session = await Session.bind(centre, accept)
        got = [await answers.get() for _ in range(4)]
        await session.closed.wait()
    assert sorted(got[:3]) == sorted([(0x80000005, NEVER, 5), (0x80000015, 0, 6), (0x80000000, 3, 7)])
    assert got[3] == (0x80000006, 0, 8)


async def test_a_generic_nack_is_an_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await bound(reader, writer)
        _, _, number = await read_pdu(reader)
        writer.write(HEAD.pack(16, 0x80000000, 0x03, number))
        await reader.read()

    async with served(serve) as centre:
        session = await Session.bind(centre, accept)
        answer = await session.submit(lambda number: smpp34.SubmitSm("1", "2", b"x", sequence_number=number))
        assert answer.status == 0x03
        await session.close()
