"""A cloud, its messenger and a real message centre, for the tests of messages."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest_asyncio

from sealwire.communications.accounting.spending import AccountSpending
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox, Wish
from sealwire.communications.messages.queue import Standing, State, standings
from sealwire.custody.categories import MessageRecord, category_of
from sealwire.doors.bench.scratch import CALLED, Scratch, lift_limits
from sealwire.governance.billing.tariff import load_tariff
from sealwire.ground.process import Child
from sealwire.vocabulary import MessageId, Party
from tests.promises.acts import SERVICE
from tests.smsc.centre import MessageCentre, message_cloud, open_centre, start_messenger

PERSON = Party("+447700900123")
OURS = Party(CALLED.text)


@dataclass
class House:
    """A cloud, its messenger, the centre it is bound to, and an outbox as the API has one."""

    centre: MessageCentre
    scratch: Scratch
    messenger: Child
    outbox: MessageOutbox

    async def send(self, text: str, *, to: Party = PERSON, sender: Party | None = None, **wish: Any) -> MessageId:
        return await self.outbox.send(
            self.scratch.account, sender=sender, recipient=to, text=text, wish=Wish(**wish)
        )  # fmt: skip

    async def standing(self, message: MessageId) -> Standing:
        found = await standings(self.scratch.custody.database, self.scratch.account, [message])
        return found[message]

    async def reached(self, message: MessageId, *states: State, seconds: float = 15) -> Standing:
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            standing = await self.standing(message)
            if standing.state in states:
                return standing
            await asyncio.sleep(0.02)
        raise AssertionError(f"the message is {standing.state}, not {' or '.join(states)}")

    async def received(self, text: str) -> tuple[MessageId, Standing]:
        """The newest message in with this text."""
        custody, account = self.scratch.custody, self.scratch.account
        for _ in range(200):
            rows = await custody.page(account, category_of(MessageRecord), before=None, limit=10)
            for row in rows:
                message = row.plain["message_id"]
                known = await standings(custody.database, account, [message])
                if row.plain["direction"] != "in" or message not in known:
                    continue
                if await self.text_of(known[message]) == text:
                    return message, known[message]
            await asyncio.sleep(0.05)
        raise AssertionError("no such message came in")

    async def text_of(self, standing: Standing) -> str:
        opened = await self.scratch.custody.open(self.scratch.principal, standing.contents, purpose=SERVICE)
        return "".join(each.content.reveal()["text"] for each in opened)

    async def rows(self, statement: str) -> list[Any]:
        connection = await asyncpg.connect(self.scratch.cloud.cluster.dsn())
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    async def until(self, holds: Callable[[], Awaitable[bool]], *, seconds: float = 15) -> None:
        ends_s = time.monotonic() + seconds
        while not await holds():
            assert time.monotonic() < ends_s, "it did not come true in time"
            await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[House]:
    async with open_centre() as centre, message_cloud(centre) as scratch:
        await lift_limits(scratch)
        custody = scratch.custody
        spending = AccountSpending(custody.database, custody.clock, load_tariff())
        messenger = await start_messenger(scratch)
        try:
            await centre.bound()
            yield House(
                centre, scratch, messenger, MessageOutbox(custody, opt_outs=OptOuts(custody), spending=spending)
            )
        finally:
            await messenger.stop()


async def kill_and_restart(house: House) -> None:
    bound = sum("bound" in each for each in house.centre.news)
    _kill(house.messenger)
    await house.messenger.wait()
    house.messenger = await start_messenger(house.scratch)
    await house.centre.bound(bound + 1)


def _kill(child: Child) -> None:
    assert child.pid is not None
    os.kill(child.pid, 9)


async def attempted(house: House, message: MessageId) -> bool:
    return (await house.standing(message)).attempts >= 1


async def redacted(house: House, message: MessageId) -> bool:
    return (await house.standing(message)).redacted_at is not None
