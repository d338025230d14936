"""kill -9 in the middle, a keeper that is away, parts that never come: no message is lost."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import re
import signal
import sys
from collections import Counter
from typing import Any

import asyncpg
import pytest

from sealwire.communications.messages.alphabet import Encoding
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox
from sealwire.communications.messages.parts import Arrivals, Arrived
from sealwire.communications.messages.queue import Queue
from sealwire.communications.messages.segments import Place
from sealwire.communications.messages.sending import WINDOW
from sealwire.doors.bench.scratch import CALLED, Scratch
from sealwire.vocabulary import Party
from tests.smsc.centre import MessageCentre, message_cloud, open_centre, start_messenger

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]
PERSON = Party("+447700900123")
MESSAGES = 200
ACCEPT = """
import asyncio, sys
from pathlib import Path
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox
from sealwire.config import load_settings
from sealwire.custody.lifecycle import connect_custody
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import AccountId, Party

async def main():
    settings = load_settings(Path(sys.argv[1]))
    custody = await connect_custody(settings, dsn(settings, "sealwire_service"), SystemClock())
    outbox, account = MessageOutbox(custody, opt_outs=OptOuts(custody), spending=None), AccountId.parse(sys.argv[2])
    async def one(n):
        await outbox.send(account, sender=None, recipient=Party("+447700900123"), text=f"number {n}")
        print(n, flush=True)
    for at in range(0, 10_000, 8):
        await asyncio.gather(*(one(at + n) for n in range(8)))

asyncio.run(main())
"""


async def counts(scratch: Scratch) -> Counter[str]:
    connection = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        rows = await connection.fetch("SELECT state, count(*) AS n FROM communications.message GROUP BY state")
    finally:
        await connection.close()
    return Counter({row["state"]: row["n"] for row in rows})


async def all_delivered(scratch: Scratch, messages: int, *, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while (await counts(scratch))["delivered"] < messages:
            await asyncio.sleep(0.1)


def outbox_of(scratch: Scratch) -> MessageOutbox:
    return MessageOutbox(scratch.custody, opt_outs=OptOuts(scratch.custody), spending=None)


def times_seen(centre: MessageCentre) -> Counter[int]:
    """How often the centre was given each message."""
    return Counter(int(re.sub(r"\D", "", each["text"])) for each in centre.submits)


async def test_a_kill_in_the_middle_of_two_hundred_loses_none_and_doubles_only_what_was_under_way() -> None:
    async with open_centre() as centre, message_cloud(centre) as scratch:
        await centre.order(set={"answerDelayMs": 150, "receiptDelayMs": 20})
        outbox = outbox_of(scratch)
        for number in range(MESSAGES):
            await outbox.send(scratch.account, sender=None, recipient=PERSON, text=f"number {number}")
        messenger = await start_messenger(scratch)
        await centre.until(lambda: len(centre.submits) >= 70)
        assert messenger.pid is not None
        os.kill(messenger.pid, signal.SIGKILL)
        await messenger.wait()
        before = await counts(scratch)
        assert before["accepted"] + before["sending"] > 0  # it was in the middle
        messenger = await start_messenger(scratch)
        try:
            await all_delivered(scratch, MESSAGES)
        finally:
            await messenger.stop()
        seen = times_seen(centre)
        assert set(seen) == set(range(MESSAGES))
        doubles = sum(times - 1 for times in seen.values())
        assert max(seen.values()) <= 2
        assert doubles <= 3 * WINDOW  # the window, and answers not yet written down
        print(f"doubles after kill -9: {doubles} of {MESSAGES}")


async def test_what_was_accepted_before_a_kill_of_the_accepting_process_is_sent() -> None:
    async with open_centre() as centre, message_cloud(centre) as scratch:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", ACCEPT, str(scratch.settings.data_dir), str(scratch.account),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        accepted = {int(await process.stdout.readline()) for _ in range(60)}
        process.kill()
        accepted |= {int(line) for line in (await process.stdout.read()).split()}
        await process.wait()
        messenger = await start_messenger(scratch)
        try:
            await all_delivered(scratch, sum((await counts(scratch)).values()))
        finally:
            await messenger.stop()
        seen = times_seen(centre)
        assert accepted <= set(seen)
        assert max(seen.values()) == 1


async def test_while_the_keeper_is_away_the_centre_is_asked_to_try_again_and_nothing_is_lost() -> None:
    async with open_centre() as centre, message_cloud(centre) as scratch:
        messenger = await start_messenger(scratch)
        keeper = scratch.cloud.child("keeper")
        try:
            await centre.bound()
            await keeper.stop()
            message = {"from": PERSON.text[1:], "to": CALLED.text[1:], "text": "are you there?", "tag": "away"}
            await centre.order(deliver=message)
            await centre.until(lambda: {"delivered": "away", "status": 0x64} in centre.news)
            assert not await counts(scratch)
            keeper.start()
            await centre.until(lambda: {"delivered": "away", "status": 0} in centre.news)
            assert (await counts(scratch))["received"] == 1
        finally:
            await messenger.stop()


async def test_a_long_message_whose_parts_do_not_all_come_is_made_and_says_what_is_missing() -> None:
    async with open_centre() as centre, message_cloud(centre) as scratch:
        custody, queue = scratch.custody, Queue(scratch.custody.database)
        arrivals = Arrivals(custody, queue, wait=dt.timedelta(0))
        arrived: dict[str, Any] = {
            "account": scratch.account, "sender": PERSON, "recipient": Party(CALLED.text), "encoding": Encoding.GSM,
            "at": custody.clock.now() - dt.timedelta(minutes=1), "retention_class": 0,
        }  # fmt: skip
        await arrivals.take_part(Arrived(text="first", **arrived), Place(7, 3, 1))
        await arrivals.take_part(Arrived(text="third", **arrived), Place(7, 3, 3))
        assert await Arrivals(custody, queue).recover() == 2  # as after a restart
        assert await arrivals.make_late() == 1
        assert await arrivals.make_late() == 0
        connection = await asyncpg.connect(scratch.cloud.cluster.dsn())
        (row,) = await connection.fetch("SELECT segments, segments_missing, contents FROM communications.message")
        assert await connection.fetchval("SELECT count(*) FROM communications.message_part") == 0
        await connection.close()
        assert (row["segments"], row["segments_missing"], len(row["contents"])) == (3, 1, 2)


async def test_a_part_that_comes_while_its_message_is_made_without_it_is_made_too() -> None:
    async with open_centre() as centre, message_cloud(centre) as scratch:
        custody = scratch.custody
        arrivals = Arrivals(custody, Queue(custody.database), wait=dt.timedelta(0))
        arrived: dict[str, Any] = {
            "account": scratch.account, "sender": PERSON, "recipient": Party(CALLED.text), "encoding": Encoding.GSM,
            "at": custody.clock.now() - dt.timedelta(minutes=1), "retention_class": 0,
        }  # fmt: skip
        await arrivals.take_part(Arrived(text="first", **arrived), Place(8, 2, 1))
        (group,) = arrivals._groups.values()
        async with group.turn:  # as the duty that makes late messages has it
            late = asyncio.ensure_future(arrivals.take_part(Arrived(text="second", **arrived), Place(8, 2, 2)))
            await asyncio.sleep(0.05)
            await arrivals._make(group)
        await late
        assert await arrivals.make_late() == 1
        connection = await asyncpg.connect(scratch.cloud.cluster.dsn())
        rows = await connection.fetch("SELECT segments_missing FROM communications.message")
        assert await connection.fetchval("SELECT count(*) FROM communications.message_part") == 0
        await connection.close()
        assert [row["segments_missing"] for row in rows] == [1, 1]
