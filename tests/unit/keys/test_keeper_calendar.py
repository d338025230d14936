"""A wrong clock destroys nothing: not at the start, not through a worker that believes it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from tests.unit.keys.house import NOON, TODAY, HolderStub, leased, new_account, open_keeper

from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.keys.refusals import ClockFarAhead, ClockSuspect, NotDue
from sealwire.ground.clock import TestClock
from sealwire.vocabulary import AccountId

CALLS = DayPath(1, 0, TODAY)


def clock_after(days: float) -> TestClock:
    return TestClock(NOON + dt.timedelta(days=days))


async def closed_keeper(folder: Path) -> AccountId:
    """A keeper folder with one account, one day leased and due, last used at NOON."""
    keeper = await open_keeper(folder, TestClock(NOON))
    account = await new_account(keeper)
    await leased(keeper, account, CALLS)
    await keeper.close()
    return account


async def test_a_keeper_started_with_a_clock_far_ahead_destroys_and_grants_nothing(tmp_path: Path) -> None:
    account = await closed_keeper(tmp_path)
    keeper = await open_keeper(tmp_path, clock_after(12 * 365))
    with pytest.raises(ClockFarAhead, match="clock-confirmed"):
        await keeper.sweep()
    with pytest.raises(ClockFarAhead):
        await keeper.lease(account, DayPath(1, 0, TODAY + 12 * 365), HolderStub())
    assert not keeper.status().clock_trusted
    assert "clock-confirmed" in keeper.status().clock_reason
    await keeper.close()
    right = await open_keeper(tmp_path, TestClock(NOON))
    assert right.status().clock_reason == ""
    assert right.load(account).tree.holds(CALLS.node)
    await right.close()


async def test_no_account_is_closed_by_a_keeper_that_doubts_its_clock(tmp_path: Path) -> None:
    account = await closed_keeper(tmp_path)
    keeper = await open_keeper(tmp_path, clock_after(400))
    with pytest.raises(ClockFarAhead):
        await keeper.erase(account, erasure="ers_1", leaves=[], close_keeping=[3], confirmed=True)
    await keeper.close()
    right = await open_keeper(tmp_path, TestClock(NOON))
    assert right.load(account).tree.holds(CALLS.node)
    await right.erase(account, erasure="ers_1", leaves=[], close_keeping=[3], confirmed=True)
    assert not right.load(account).tree.holds(CALLS.node)
    await right.close()


async def test_an_erasure_under_a_clock_far_ahead_does_not_make_it_trusted_at_the_next_start(tmp_path: Path) -> None:
    account = await closed_keeper(tmp_path)
    keeper = await open_keeper(tmp_path, clock_after(12 * 365))
    await keeper.erase(account, erasure="ers_1", leaves=[LeafPath(1, 0, TODAY, 5)])
    await keeper.close()
    again = await open_keeper(tmp_path, clock_after(12 * 365))
    assert not again.status().clock_trusted
    await again.close()
    right = await open_keeper(tmp_path, TestClock(NOON))
    assert right.status().clock_trusted
    await right.close()


async def test_the_operators_word_is_good_for_one_start_and_then_remembered(tmp_path: Path) -> None:
    await closed_keeper(tmp_path)
    (tmp_path / "clock-confirmed").touch()
    keeper = await open_keeper(tmp_path, clock_after(100))
    assert not (tmp_path / "clock-confirmed").exists()
    assert await keeper.sweep() == 1
    await keeper.close()
    again = await open_keeper(tmp_path, clock_after(120))
    assert again.status().clock_trusted
    await again.close()
    later = await open_keeper(tmp_path, clock_after(200))
    assert not later.status().clock_trusted
    await later.close()


async def test_an_idle_keeper_trusts_its_clock_after_a_restart(tmp_path: Path) -> None:
    clock = TestClock(NOON)
    keeper = await open_keeper(tmp_path, clock)
    for _ in range(40):
        clock.advance(days=1, seconds=60)
        assert await keeper.sweep() == 0
    await keeper.close()
    again = await open_keeper(tmp_path, clock)
    assert again.status().clock_trusted
    await again.close()


async def test_what_was_last_seen_is_not_moved_by_a_clock_that_jumped(tmp_path: Path) -> None:
    clock = TestClock(NOON)
    keeper = await open_keeper(tmp_path, clock)
    clock._now = clock.now().replace(year=2040)
    with pytest.raises(ClockSuspect):
        await keeper.sweep()
    await keeper.close()
    assert int((tmp_path / "last-seen").read_text()) == int(NOON.timestamp())


async def test_a_last_seen_file_that_cannot_be_read_is_no_word_for_the_clock(tmp_path: Path) -> None:
    await closed_keeper(tmp_path)
    (tmp_path / "last-seen").write_text("tomorrow")
    keeper = await open_keeper(tmp_path, clock_after(40))
    assert not keeper.status().clock_trusted
    await keeper.close()


async def test_what_is_asked_as_due_is_destroyed_only_when_the_keeper_finds_it_due(tmp_path: Path) -> None:
    clock = TestClock(NOON)
    keeper = await open_keeper(tmp_path, clock)
    account, epoch = await new_account(keeper), keeper.vault.epoch.number
    past, last = DayPath(1, 0, TODAY - 91), DayPath(1, 0, TODAY - 90)
    refused: list[dict[str, object]] = [
        {"leaves": [], "days": [past, last]},
        {"leaves": [LeafPath(*last, 5)], "days": [past]},
        {"leaves": [], "days": [past], "close_keeping": [3]},
    ]
    for what in refused:
        with pytest.raises(NotDue):
            await keeper.erase(account, erasure="ers_1", due_only=True, **what)  # type: ignore[arg-type]
    assert keeper.vault.epoch.number == epoch
    await keeper.erase(account, erasure="ers_1", leaves=[], days=[past], due_only=True)
    clock.advance(days=1)
    await keeper.erase(account, erasure="ers_1", leaves=[], days=[last], due_only=True)
    assert not keeper.load(account).tree.holds_any(last.node)
    await keeper.close()
