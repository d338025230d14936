"""`bench messages`: messages a second through SMPP, from the queue to the stored answer, and from acceptance on.

`drained`: messages that wait in the queue, from the start of the messenger to the last stored submit_resp (opening
from custody, encoding, submitting, storing; receipts come in meanwhile). `through`: accepted, kept in custody and
sent at the same time. Bare is smpp34's own client submitting the same text to the same centre with the same window.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from sealwire.communications.accounting.spending import AccountSpending
from sealwire.communications.messages.centre import PASSWORD_FILE
from sealwire.communications.messages.opt_outs import OptOuts
from sealwire.communications.messages.outbox import MessageOutbox
from sealwire.doors import message_centre
from sealwire.doors.bench.calling import cloud_processes, cpu_by_process
from sealwire.doors.bench.scratch import CALLED, Scratch, lift_limits
from sealwire.doors.supervisor import MESSENGER
from sealwire.errors import Broken
from sealwire.governance.billing.tariff import load_tariff
from sealwire.ground.postgres.queries import load_queries
from sealwire.ground.process import Child
from sealwire.vocabulary import Party

PORT = 26_990
ADDRESS = f"smpp://bench@127.0.0.1:{PORT}"
ACCEPTING = 16
WAIT_S_MAX = 180.0
_queries = load_queries(__package__, "messages.sql")


class MessagesLost(Broken):
    """Not every message came to its end in time, so the figures would not be honest; look at messenger.log."""


async def measure(scratch: Scratch, *, messages: int) -> dict[str, Any]:
    """Rates a second; every message's submit_resp and receipt is in the database at the end."""
    (scratch.settings.secrets_dir / PASSWORD_FILE).write_text("bench\n")
    custody = scratch.custody
    spending = AccountSpending(custody.database, custody.clock, load_tariff())
    outbox = MessageOutbox(custody, opt_outs=OptOuts(custody), spending=spending)
    await lift_limits(scratch)
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        async with _centre():
            bare = await _bare(messages)
            began_s = time.monotonic()
            await _accept(outbox, scratch, messages)
            accepted_per_s = messages / (time.monotonic() - began_s)
            began_at, cpu_before_s = scratch.custody.clock.now(), _cpu_s(scratch, {})
            async with _messenger(scratch) as pid:
                drained = await _finished(owner, messages)
                cpu_s = _cpu_s(scratch, {"messenger": pid}) - cpu_before_s
                again_at = scratch.custody.clock.now()
                await _accept(outbox, scratch, messages)
                through = await _finished(owner, 2 * messages)
    finally:
        await owner.close()
    return {
        "bench": "messages",
        "messages": messages,
        "window": message_centre.WINDOW,
        "accepted_per_s": round(accepted_per_s),
        "drained_per_s": round(messages / _seconds(began_at, drained["last_sent_at"])),
        "drained_with_receipts_per_s": round(messages / _seconds(began_at, drained["last_final_at"])),
        "drained_cpu_ms_per_message": round(cpu_s * 1000 / messages, 2),
        "through_per_s": round(messages / _seconds(again_at, through["last_sent_at"])),
        "delivered": through["delivered"],
        "attempts_max": through["attempts_max"],
        "bare_per_s": round(bare),
        "drained_over_bare": round(messages / _seconds(began_at, drained["last_sent_at"]) / bare, 3),
    }


def _cpu_s(scratch: Scratch, messenger: dict[str, int]) -> float:
    """CPU time of the cloud's processes so far, PostgreSQL's included."""
    return sum(cpu_by_process(cloud_processes(scratch) | messenger).values())


def _seconds(since: dt.datetime, until: dt.datetime) -> float:
    return (until - since).total_seconds()


async def _accept(outbox: MessageOutbox, scratch: Scratch, messages: int) -> None:
    left = iter(range(messages))

    async def loop() -> None:
        for number in left:
            await outbox.send(
                scratch.account, sender=Party(CALLED.text), recipient=Party(f"+4416329{number % 100_000:05d}"),
                text=message_centre.TEXT.decode(),
            )  # fmt: skip

    await asyncio.gather(*(loop() for _ in range(ACCEPTING)))


async def _finished(owner: asyncpg.Connection[Any], messages: int) -> Any:
    """Wait until that many messages are delivered."""
    ends_s = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < ends_s:
        row = await owner.fetchrow(_queries.progress)
        if row["delivered"] >= messages:
            return row
        await asyncio.sleep(0.2)
    raise MessagesLost


async def _bare(messages: int) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", message_centre.__name__, "--submit", f"127.0.0.1:{PORT}", "--messages", str(messages),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    return float(json.loads(out)["per_s"])


@asynccontextmanager
async def _centre() -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", message_centre.__name__, str(PORT),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        await asyncio.wait_for(process.stdout.readline(), 20)
        yield
    finally:
        process.send_signal(signal.SIGKILL)
        await process.wait()


@asynccontextmanager
async def _messenger(scratch: Scratch) -> AsyncIterator[int]:
    child = Child(
        name="messenger",
        command=[sys.executable, "-m", MESSENGER.module, "--data", scratch.settings.data_dir],
        log=scratch.settings.logs_dir / "messenger.log",
        environment={**os.environ, "SEALWIRE_SMSC": scratch.settings.smsc},
    )
    child.start()
    try:
        await child.until_ready(lambda: MESSENGER.is_ready(scratch.settings), seconds=20)
        assert child.pid is not None
        yield child.pid
    finally:
        await child.stop()
