"""The drill is fine when the backup is, and says so only then."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio

from sealwire.custody.backups.timetable import is_due, make_in_its_own_process
from sealwire.ground.clock import TestClock
from tests.promises.backup_house import CLOCK, Call, House, running_house
from tests.promises.chain_house import command, taken

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@dataclass(frozen=True)
class Story:
    house: House
    erased: Call
    kept: Call


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def story() -> AsyncIterator[Story]:
    async with running_house() as house:
        erased = await house.keep_call("+441632960123", seed=1)
        await taken(house)
        kept = await house.keep_call("+447700900456", seed=2)
        await taken(house)
        await house.erase(erased.records)
        await house.keep_call("+447700900789", seed=3)
        yield Story(house, erased, kept)


async def drilled(story: Story) -> tuple[int, dict[str, object]]:
    done = await asyncio.to_thread(
        command, "restore", "--drill", "--json", "--data", story.house.settings.data_dir
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


async def test_a_drill_beside_a_running_cloud_compares_every_row_and_opens_what_lives(story: Story) -> None:
    code, report = await drilled(story)
    assert (code, report["ok"], report["installation"]) == (0, True, "running")
    assert (report["rows_compared"], report["rows_equal"], report["opened"]) == (4, 2, 2)
    assert (report["erased_since"], report["erased_opened"], report["kept_after"]) == (2, 0, 2)
    assert (report["media_compared"], report["media_opened"], report["lost"]) == (1, 1, 0)
    assert report["backups_in_chain"] == 2
    assert not list(story.house.settings.data_dir.glob("scratch-*"))


CHANGE = "UPDATE custody.call_record SET leg = 7 WHERE record_id = $1"
CHANGE_BACK = "UPDATE custody.call_record SET leg = NULL WHERE record_id = $1"
OLDER = "UPDATE custody.call_record SET kept_at = kept_at - interval '1 day' WHERE record_id <> $1"


async def test_a_row_that_differs_and_one_that_is_lost_are_found(story: Story) -> None:
    record = story.kept.call_record.value
    owner = await asyncpg.connect(story.house.owner_dsn())
    try:
        await owner.execute(CHANGE, record)
        code, report = await drilled(story)
        assert (code, report["ok"], report["differing"], report["lost"]) == (1, False, 1, 0)
        assert report["wrong"] == [f"call-record {record}"]
        await owner.execute(CHANGE_BACK, record)
        await owner.execute(OLDER, record)
        code, report = await drilled(story)
        assert (code, report["ok"], report["lost"]) == (1, False, 1)
    finally:
        await owner.close()


async def test_a_backup_is_made_by_the_timetable_when_the_newest_is_old_enough(story: Story) -> None:
    settings = story.house.settings
    clock = TestClock(CLOCK.now())
    assert not is_due(settings, clock)
    clock.advance(hours=settings.backup_every_hours, minutes=1)
    assert is_due(settings, clock)
    before = len(list(settings.backups_dir.iterdir()))
    await make_in_its_own_process(settings)
    assert len(list(settings.backups_dir.iterdir())) == before + 1


async def test_without_an_installation_a_quick_drill_makes_one_and_is_fine() -> None:
    done = await asyncio.to_thread(command, "restore", "--drill", "--quick", "--json", "--data", "/tmp/backups-nowhere")
    report = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, report["ok"], report["installation"]) == (0, True, "made for this drill")
    assert report["erased_since"] > 0
    assert report["opened"] > 0
    assert report["erased_opened"] == 0
