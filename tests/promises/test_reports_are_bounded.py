"""A report of a hundred thousand records is made without holding them: the maker's memory stays where it was."""

from __future__ import annotations

import datetime as dt
import re
import time
from pathlib import Path

import asyncpg
import pytest

from sealwire.communications.reports import book
from sealwire.communications.reports.book import Report
from sealwire.doors.bench.erase import _load_day
from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import ReportId

from .acts import SERVICE

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(300)]
DAYS, RECORDS_A_DAY = 4, 25_000
MEMORY_MAX_KB = 48_000


def peak_kb(pid: int) -> int:
    """The most memory this process has held (VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


async def test_a_hundred_thousand_records_are_extracted_in_little_memory(scratch: Scratch) -> None:
    custody, account, now = scratch.custody, scratch.account, scratch.custody.clock.now()
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    for day in range(DAYS):
        await _load_day(scratch, owner, now - dt.timedelta(days=day + 1), RECORDS_A_DAY)
    await owner.close()
    report = Report(
        account=account, report=ReportId.new(), of="call-records", format="csv", begins=now - dt.timedelta(days=9),
        ends=now, with_content=False, purpose=None, credential=scratch.principal.credential, asked_at=now,
    )  # fmt: skip
    worker = scratch.cloud.child("worker").pid
    assert worker is not None
    before_kb, began_s = peak_kb(worker), time.monotonic()
    async with custody.database.account(account) as connection:
        await book.ask(connection, report)
    while (found := await _look(scratch, report)).state != "ready":
        assert time.monotonic() - began_s < 200, found
        assert found.state in ("queued", "running"), found
        time.sleep(0.2)
    took_s, grown_kb = time.monotonic() - began_s, peak_kb(worker) - before_kb
    assert found.record is not None
    _, pieces = await custody.open_media(scratch.principal, found.record, purpose=SERVICE)
    lines, size = 0, 0
    async for piece in pieces:
        lines, size = lines + piece.count(b"\r\n"), size + len(piece)
    print(f"{found.rows_written} rows, {size / 1e6:.1f} MB in {took_s:.1f} s; memory grew by {grown_kb / 1024:.1f} MB")
    assert lines - 1 == found.rows_written == DAYS * RECORDS_A_DAY
    assert grown_kb <= MEMORY_MAX_KB


async def _look(scratch: Scratch, report: Report) -> Report:
    async with scratch.custody.database.account(report.account) as connection:
        return await book.find(connection, report.account, report.report)
