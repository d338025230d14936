"""Promise 5: nothing outlives its period. The whole cloud is run a day later, by libfaketime, and does it by itself."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.erasure import Ground
from sealwire.custody.lifecycle import RecordErased, connect_custody
from sealwire.custody.retention.classes import name_class
from sealwire.custody.retention.periods import Wanted, change, settle, wanted
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.supervisor import Cloud
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import ErasureId

from .acts import SERVICE, audio_of, call_from, erasure_at, keep_recording
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
        await give_periods(
            scratch, [wanted(each.name, 0, since_last_year()) for each in CATALOGUE if at_year_end(each)]
        )
        for category in CATALOGUE:
            if at_year_end(category):  # all of last year goes tomorrow, all of this year stays
                due[category] = await keep_example(scratch.custody, scratch.account, category, days_ago=365)
                young[category] = await keep_example(scratch.custody, scratch.account, category)
                continue
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


async def test_each_class_goes_by_its_own_period_and_a_longer_one_keeps_what_would_have_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Calls of one moment: class 0 keeps them 90 days, class 3 goes tomorrow, class 4 would but was made longer."""
    async with scratch_cloud(RECORD_PARTS) as scratch:
        clock, by = scratch.custody.clock, scratch.principal.credential
        async with scratch.custody.database.account(scratch.account) as connection:
            for number in (3, 4):
                await name_class(connection, scratch.account, number, f"class {number}", by=by, clock=clock)
        await give_periods(scratch, [wanted("call-record", number, 28) for number in (3, 4)])
        ended_at = clock.now() - dt.timedelta(days=28)
        kept = {
            of_class: await scratch.custody.keep(
                scratch.account, call_from(f"+44163296091{of_class}", ended_at=ended_at), retention_class=of_class
            )
            for of_class in (0, 3, 4)
        }
        await give_periods(scratch, [wanted("call-record", 4, 60)])
        async with tomorrow(scratch, monkeypatch) as later:
            await the_due_one_went(later, kept[3].record)
            opened = await later.custody.open(later.principal, [kept[0].record, kept[4].record], purpose=SERVICE)
            assert [int(each.stored.due_day) - int(each.stored.day) for each in opened] == [90, 60]


async def test_a_period_that_is_made_shorter_takes_what_is_kept_already_and_its_keys() -> None:
    async with scratch_cloud(RECORD_PARTS) as scratch:
        now = scratch.custody.clock.now()
        old, young = [
            await scratch.custody.keep(
                scratch.account, call_from(f"+44163296092{days}", ended_at=now - dt.timedelta(days=days * 10))
            )
            for days in (5, 1)
        ]
        (row,) = await scratch.custody.find(scratch.account, [old.record])
        await give_periods(scratch, [wanted("call-record", 0, 30)])
        await the_due_one_went(scratch, old.record)
        assert await scratch.custody.open_stored(scratch.principal, [row], purpose=SERVICE) == []
        (opened,) = await scratch.custody.open(scratch.principal, [young.record], purpose=SERVICE)
        assert int(opened.stored.due_day) == int(opened.stored.day) + 30


def at_year_end(category: Category) -> bool:
    """Whether its period counts from the end of a calendar year."""
    return category.retention.at_year_end


def since_last_year() -> int:
    """Days from the last day of last year to today."""
    today = dt.datetime.now(dt.UTC).date()
    return (today - dt.date(today.year - 1, 12, 31)).days


async def give_periods(scratch: Scratch, settings: list[Wanted]) -> None:
    """Change periods as the API does once it has checked them."""
    custody, account = scratch.custody, scratch.account
    async with custody.database.account(account) as connection:
        await change(
            connection, account, settings, instruction=None, by=scratch.principal.credential, backup_cycle_days=28,
            clock=custody.clock,
        )  # fmt: skip
    assert await settle(custody.database, custody.keeper, account)


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
