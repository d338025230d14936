"""Promise 5: nothing outlives its period. The whole cloud is run a day later, by libfaketime, and does it by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sealwire.custody.categories import CATALOGUE
from sealwire.custody.erasure import Ground
from sealwire.custody.lifecycle import RecordErased, connect_custody
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.supervisor import Cloud
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import ErasureId

from .acts import SERVICE, audio_of, erasure_at, keep_recording
from .conftest import RECORD_PARTS
from .examples import keep_example

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.asyncio,
    pytest.mark.skipif(FAKETIME is None, reason="libfaketime is missing (Debian package faketime)"),
]


async def test_what_is_due_goes_by_itself_and_what_is_not_due_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scratch_cloud(RECORD_PARTS) as scratch:
        due = await keep_recording(scratch, "+441632960901", b"\x05\x06" * 4000, days_ago=28)
        young = await keep_recording(scratch, "+441632960902", b"\x07\x08" * 4000, days_ago=27)
        async with tomorrow(scratch, monkeypatch) as later:
            await the_due_one_went(later, due.record)
            assert await audio_of(later, young.record) == b"\x07\x08" * 4000


async def test_every_category_goes_by_itself_when_its_declaration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each category one record that is due tomorrow and one that is due the day after; the cloud goes on a day."""
    async with scratch_cloud(RECORD_PARTS) as scratch:
        due, young = {}, {}
        for category in CATALOGUE:
            days = category.retention.days_default
            due[category] = await keep_example(scratch.custody, scratch.account, category, days_ago=days)
            young[category] = await keep_example(scratch.custody, scratch.account, category, days_ago=days - 1)
        async with tomorrow(scratch, monkeypatch) as later:
            for category in CATALOGUE:
                await the_due_one_went(later, due[category].record)
                row = due[category].record
                assert row not in {
                    each.record for each in await later.custody.page(later.account, category, before=None, limit=100)
                }
                (opened,) = await later.custody.open(later.principal, [young[category].record], purpose=SERVICE)
                assert opened.content.reveal() == young[category].sealed


@asynccontextmanager
async def tomorrow(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scratch]:
    """The same installation, stopped and started again a day later."""
    await scratch.custody.close()
    await scratch.cloud.stop()
    monkeypatch.setenv("LD_PRELOAD", str(FAKETIME))
    monkeypatch.setenv("FAKETIME", "+1d")
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    async with Cloud(scratch.settings, parts=RECORD_PARTS) as cloud:
        custody = await connect_custody(scratch.settings, dsn(scratch.settings, "sealwire_service"), SystemClock())
        try:
            yield Scratch(scratch.settings, cloud, custody, scratch.principal)
        finally:
            await custody.close()


async def the_due_one_went(later: Scratch, record) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(RecordErased) as gone:
        await open_until_it_is_gone(later, record)
    assert gone.value.certificate is not None
    done = await erasure_at(later, ErasureId.parse(gone.value.certificate), "removed")
    assert done.ground is Ground.RETENTION


async def open_until_it_is_gone(later: Scratch, record) -> None:  # type: ignore[no-untyped-def]
    for _ in range(500):
        await later.custody.open(later.principal, [record], purpose=SERVICE)
        await asyncio.sleep(0.02)
