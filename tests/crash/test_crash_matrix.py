"""The crash matrix: whatever the moment of a kill or a power cut, no record is lost and no certificate is false.

How it works, what it leaves out and what it rests on: docs/adr/0030-the-crash-matrix.md.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.crash.backup_judge import kill_backups
from tests.crash.images import Image, crash_images, is_complete
from tests.crash.mutants import VAULT
from tests.crash.report import RITUALS, Broken, Report
from tests.crash.restore_judge import kill_gate, kill_put_back, restored_house
from tests.crash.vault_house import VAULT_RITUALS, VaultHouse, VaultRitual, record
from tests.crash.vault_judge import VaultJudge, files_below
from tests.crash.worker_house import worker_house
from tests.crash.worker_judge import kill_closure, kill_expiry

POINTS_MIN = 1000
SAMPLED = 4
BY_NAME = {ritual.name: ritual for ritual in VAULT_RITUALS}


def every(stride: int) -> Callable[[Sequence[Any]], Sequence[Any]]:
    return lambda points: points[::stride]


async def traced(folder: Path, ritual: VaultRitual) -> tuple[VaultJudge, list[Image]]:
    """A ritual recorded once, and every disk a crash in it may leave."""
    house = VaultHouse(folder / "house")
    house.folder.mkdir(parents=True)
    if not ritual.starts_empty:
        await house.furnish()
    everything = files_below(house.folder)
    before = {name: data for name, data in everything.items() if not name.endswith("epoch.slots")}
    trace = await record(house, ritual)
    assert is_complete(trace), "something was written that the trace does not tell"
    return VaultJudge(house, ritual, before, before.get("keeper/root.key", b""), folder), list(crash_images(trace))


async def kill_vault(folder: Path, report: Report, some: Callable[[list[Image]], list[Image]] = list) -> None:
    for number, ritual in enumerate(VAULT_RITUALS):
        judge, images = await traced(folder / str(number), ritual)
        for image in some(images):
            report.add(ritual.ritual, image.kind, await judge.judge(image))


async def test_at_a_sample_of_crashes_in_the_keeper_nothing_is_lost_and_no_receipt_is_false(tmp_path: Path) -> None:
    report, chance = Report(), random.Random(4)
    await kill_vault(tmp_path, report, lambda images: chance.sample(images, SAMPLED))
    print(report.table())
    assert report.violations == []
    assert report.total == SAMPLED * len(VAULT_RITUALS)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_at_a_thousand_crashes_no_record_is_lost_and_no_certificate_is_false(tmp_path: Path) -> None:
    report = Report()
    await kill_vault(tmp_path, report)
    async with worker_house() as house:
        await kill_expiry(house, report, every(4), tmp_path)
        await kill_closure(house, report, every(32), tmp_path)
    async with worker_house() as house:
        await kill_backups(house, report, every(3), tmp_path)
    async with restored_house() as story:
        await kill_gate(story, report, every(2), tmp_path)
        await kill_put_back(story, report, every(8), tmp_path)
    print(report.table())
    assert [str(one) for one in report.violations] == []
    assert (report.records_lost, report.false_certificates) == (0, 0)
    assert report.total >= POINTS_MIN
    assert all(report.of(ritual) >= 10 for ritual in RITUALS)


@pytest.mark.slow
@pytest.mark.parametrize("mutant", VAULT)
async def test_a_product_that_is_broken_on_purpose_is_caught(tmp_path: Path, mutant: str) -> None:
    ritual, broken_by = VAULT[mutant]
    with broken_by():
        judge, images = await traced(tmp_path, BY_NAME[ritual])
        for image in images:
            if await judge.judge(image):
                return
    raise AssertionError(f"survived: {mutant}")


@asynccontextmanager
async def lifted_gate(folder: Path) -> AsyncIterator[Report]:
    report = Report()
    async with restored_house() as story:
        await kill_gate(story, report, every(8), folder, mutant="lifted")
    yield report


@pytest.mark.slow
async def test_a_gate_that_is_lifted_before_the_ledger_is_replayed_is_caught(tmp_path: Path) -> None:
    async with lifted_gate(tmp_path) as report:
        assert any(one.broken is Broken.FALSE for one in report.violations)
