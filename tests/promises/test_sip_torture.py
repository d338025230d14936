"""Hostile and odd SIP leaves the engine serving: RFC 4475's messages (tests/vectors/sip-torture), and worse.

After each message a real call must come through on the same engine process, so none may crash, hang or confuse it.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sealwire.communications.calls.events import LegAnswered
from sealwire.communications.switches.baresip.engine import BaresipEngine
from sealwire.communications.switches.port import Leg, LegGone
from sealwire.vocabulary import HangupCause, Party
from tests.engine_house import EngineHouse, open_engine

MESSAGES = sorted((Path(__file__).parents[1] / "vectors" / "sip-torture").glob("*.dat"))
PROOF = Party("+441632960555")


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[EngineHouse, EngineHouse]]:
    async with open_engine(tmp_path) as house, open_engine(tmp_path) as world:
        yield house, world


async def serves(house: EngineHouse, world: EngineHouse) -> None:
    """A call comes through, is answered, carries a digit and ends; what else arrived is refused on the way."""
    ours, our_ear = await world.dial(house.address, callee=PROOF)
    while True:
        leg, ear = await house.next_leg(5)
        if leg.callee == PROOF:
            break
        await refuse(leg)
    await leg.answer()
    await our_ear.until(LegAnswered, 5)
    await ours.hang_up()
    assert (await ear.ended(5)).cause is HangupCause.NORMAL


async def refuse(leg: Leg) -> None:
    try:
        await leg.refuse(status=404, sentence="nobody here")
    except LegGone:
        return


def throw(message: bytes, house: EngineHouse) -> None:
    host, _, port = house.address.partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        line.sendto(message, (host, int(port)))


async def throw_over_tcp(message: bytes, house: EngineHouse) -> None:
    host, _, port = house.address.partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    middle = len(message) // 2
    for part in (message[:middle], message[middle:]):  # a message may come in pieces
        writer.write(part)
        await asyncio.sleep(0.01)
    writer.close()


def pids(house: EngineHouse) -> list[int]:
    assert isinstance(house.engine, BaresipEngine)
    return house.engine.worker_pids


def test_the_messages_are_all_there():
    assert len(MESSAGES) == 36


@pytest.mark.slow
async def test_after_each_torture_message_a_call_comes_through(pair):
    house, world = pair
    before = pids(house)
    for file in MESSAGES:
        throw(file.read_bytes(), house)
        await throw_over_tcp(file.read_bytes(), house)
        try:
            await serves(house, world)
        except (TimeoutError, AssertionError) as error:
            raise AssertionError(f"no call came through after {file.name}") from error
        assert pids(house) == before, file.name


@pytest.mark.parametrize(("name", "answer"), [("insuf", b"400"), ("wsinv", b"481")])
async def test_the_messages_are_read_and_answered(pair, name: str, answer: bytes):
    """The control: what leaves the engine serving was not thrown away unseen."""
    house, _ = pair
    host, _, port = house.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write((MESSAGES[0].parent / f"{name}.dat").read_bytes())
    async with asyncio.timeout(5):
        line = await reader.readline()
    writer.close()
    assert line.split()[1] == answer


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\r\n\r\n",
        b"INVITE ",
        b"INVITE sip:a SIP/2.0\r\n" + b"X: y\r\n" * 3_000,
        b"INVITE sip:" + b"a" * 20_000 + b"@h SIP/2.0\r\nCall-ID: x\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
        bytes(range(256)) * 8,
    ],
    ids=["nothing", "keep-alive", "cut", "many headers", "long address", "stray answer", "noise"],
)
async def test_after_what_is_hardly_sip_a_call_comes_through(pair, message: bytes):
    house, world = pair
    throw(message, house)
    if message:
        await throw_over_tcp(message, house)
    await serves(house, world)


@pytest.mark.slow
async def test_after_a_thousand_messages_with_random_damage_a_call_comes_through(pair):
    house, world = pair
    chance, before = random.Random(4475), pids(house)
    for _ in range(1_000):
        message = bytearray(chance.choice(MESSAGES).read_bytes())
        for _ in range(chance.randrange(1, 8)):
            message[chance.randrange(len(message))] = chance.randrange(256)
        throw(bytes(message), house)
        await asyncio.sleep(0.002)
    await serves(house, world)
    assert pids(house) == before
