"""`bench api`: how long a list and a single record take over HTTPS at a steady pace, beside calls that are up.

Requests are sent at their time whether or not earlier ones are answered, over connections that are kept; each is timed
from the moment it was due, so that a stall counts for every request that it held up.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from typing import Any

from sealwire.custody.categories import CallRecord, category_of
from sealwire.doors.bench.beside import calls_beside
from sealwire.doors.bench.calling import cloud_processes, cpu_by_process, frames_lost, percentile
from sealwire.doors.bench.keep import sample_call
from sealwire.doors.bench.scratch import Scratch, lift_limits
from sealwire.errors import Broken
from sealwire.governance import credentials
from sealwire.governance.principals import Scope
from sealwire.ground.local_ca import authority_file
from sealwire.vocabulary import Purpose

REQUESTS_PER_SECOND = 200
CONNECTIONS = 20
RECORDS = 500
LIST_LIMIT = 50
WARM_UP_S = 2.0
RECORDING_S = 16.0
"""What the calls beside speak longer than the requests take: until all are up, and after."""


class RequestsFailed(Broken):
    """Not every request was answered with 200, so the figures would not be honest; look at api.log."""


async def measure(scratch: Scratch, *, calls: int, seconds: float) -> dict[str, Any]:
    """Milliseconds; half of the requests list, half get one record."""
    await lift_limits(scratch)
    await _keep_records(scratch)
    secret = await _credential(scratch)
    records = await scratch.custody.page(scratch.account, category_of(CallRecord), before=None, limit=RECORDS)
    client = _Client(scratch, secret)
    async with calls_beside(scratch, calls=calls, speak_seconds=WARM_UP_S + seconds + RECORDING_S + calls / 10):
        await client.run([str(row.record) for row in records], seconds=WARM_UP_S)
        client.forget()
        cpu_s, before = time.process_time(), cpu_by_process(cloud_processes(scratch))
        await client.run([str(row.record) for row in records], seconds=seconds)
        cpu_s, after = time.process_time() - cpu_s, cpu_by_process(cloud_processes(scratch))
    await client.close()
    if client.refused or min(len(client.lists_ms), len(client.gets_ms)) == 0:
        raise RequestsFailed(f"{client.refused} requests were not answered with 200; look at api.log")
    return {
        "bench": "api",
        "calls_beside": calls,
        "requests_per_second": REQUESTS_PER_SECOND,
        "list_p99_ms": round(percentile(client.lists_ms, 0.99), 1),
        "list_median_ms": round(percentile(client.lists_ms, 0.5), 1),
        "get_p99_ms": round(percentile(client.gets_ms, 0.99), 1),
        "get_median_ms": round(percentile(client.gets_ms, 0.5), 1),
        "requests": len(client.lists_ms) + len(client.gets_ms),
        "records_in_a_list": LIST_LIMIT,
        "api_cpu_ms_per_request": round((after["api"] - before["api"]) * 1000 / (seconds * REQUESTS_PER_SECOND), 2),
        "sent_late_p99_ms": round(percentile(client.late_ms, 0.99), 1),
        "client_cpu_share": round(cpu_s / seconds, 3),
        "lost_frames": frames_lost(scratch),
        "load_average": round(os.getloadavg()[0], 2),
    }


async def _keep_records(scratch: Scratch) -> None:
    now = scratch.custody.clock.now()
    for number in range(RECORDS):
        await scratch.custody.keep(scratch.account, sample_call(number, now))


async def _credential(scratch: Scratch) -> str:
    custody = scratch.custody
    async with custody.database.account(scratch.account) as connection:
        issued = await credentials.issue(
            connection, scratch.account, label="bench", scopes=[Scope.READ],
            default_purpose=Purpose.SERVICE_OPERATION, issued_by=scratch.principal.credential, clock=custody.clock,
        )  # fmt: skip
    return issued.secret


class _Client:
    """As little HTTP as it takes, so that what is measured is the cloud: a few kept connections, one request on each
    at a time.
    """

    def __init__(self, scratch: Scratch, secret: str) -> None:
        self._host, _, port = scratch.settings.api_listen.rpartition(":")
        self._port, self._secret = int(port), secret
        self._tls = ssl.create_default_context(cafile=str(authority_file(scratch.settings)))
        self._free: asyncio.LifoQueue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.LifoQueue()
        self.forget()

    def forget(self) -> None:
        """Measure from here on."""
        self.lists_ms: list[float] = []
        self.gets_ms: list[float] = []
        self.late_ms: list[float] = []
        self.refused = 0

    async def run(self, records: list[str], *, seconds: float) -> None:
        """Requests at their pace, until the last one is answered."""
        while self._free.qsize() < CONNECTIONS:
            self._free.put_nowait(await asyncio.open_connection(self._host, self._port, ssl=self._tls))
        requests, began_s = [], time.monotonic()
        for number in range(int(seconds * REQUESTS_PER_SECOND)):
            due_s = began_s + number / REQUESTS_PER_SECOND
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            self.late_ms.append((time.monotonic() - due_s) * 1000)
            if number % 2:
                request = self._ask(f"/v1/calls?limit={LIST_LIMIT}", due_s, self.lists_ms)
            else:
                request = self._ask(f"/v1/calls/{records[number % len(records)]}", due_s, self.gets_ms)
            requests.append(asyncio.ensure_future(request))
        await asyncio.gather(*requests)

    async def close(self) -> None:
        while not self._free.empty():
            _, writer = self._free.get_nowait()
            writer.close()

    async def _ask(self, path: str, due_s: float, into: list[float]) -> None:
        reader, writer = await self._free.get()
        head = f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {self._secret}\r\n\r\n"
        writer.write(head.encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        into.append((time.monotonic() - due_s) * 1000)
        self.refused += not answer.startswith(b"HTTP/1.1 200 ")
        self._free.put_nowait((reader, writer))
