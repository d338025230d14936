"""Years of a deployment, as Hypothesis makes them up, against the promise; and two stories that are told every time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from .life import NUMBERS, Life
from .oracle import Oracle
from .story import lent
from .town import Town

STORIES = int(os.environ.get("SEALWIRE_MODEL_STORIES", "0"))
"""So many stories in place of the usual number, each time others: a search, for as long as one likes."""
FIRST, SECOND, THIRD = NUMBERS


async def _told(town: Town, acts: list[str]) -> Life:
    """Tell a story that is written down: each line is an act of `Life`, the oracle after each."""
    life = await Life.begin(town)
    oracle = Oracle(life)
    for act in acts:
        name, _, arguments = act.partition(" ")
        done: Awaitable[str] = eval(f"life.{name}({arguments})", {"life": life, "A": "Ada", "B": "Bob", **NAMES})
        life.told.append(await done)
        await oracle.ask()
    return life


NAMES = {"one": FIRST, "two": SECOND, "three": THIRD}


def _search(town: Town, runner: asyncio.Runner, *, stories: int, steps: int, **limits: int) -> None:
    run_state_machine_as_test(
        lent(town, runner, **limits),
        settings=settings(
            max_examples=STORIES or stories, stateful_step_count=steps, derandomize=not STORIES, database=None,
            deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
        ),
    )  # fmt: skip


def test_a_decade_keeps_what_was_promised(town: Town, runner: asyncio.Runner) -> None:
    acts = [
        "keep_call A, one, two, recorded=True, retention_class=0",
        "keep_message A, two, three",
        "keep_call B, two, one, recorded=True, retention_class=1",
        "wait 1",
        "hold A, ['call 1'], [], days=200",
        "set_clock_wrong 400",
        "change_period A, 'recording', 0, 0",
        "change_period B, 'call-record', 1, 400",
        "wait 100",
        "forget A, two",
        "forget B, one",
        "sleep 40, is_killed=True",
        "release 'hold 1'",
        "close A, 7",
        "wait 10",
        "wait 3650",
    ]
    assert len(runner.run(_told(town, acts)).told) == len(acts)


@pytest.mark.slow
def test_what_is_put_back_has_forgotten_what_was_forgotten_since(town: Town, runner: asyncio.Runner) -> None:
    acts = [
        "keep_call A, one, two, recorded=True, retention_class=0",
        "keep_call A, one, three, recorded=True, retention_class=0",
        "keep_message B, two, three",
        "back_up wants_base=True",
        "erase 'call 1'",
        "forget B, two",
        "hold A, ['the recording of call 2'], [], days=60",
        "keep_call A, two, three, recorded=True, retention_class=1",
        "wait 20",
        "restore 0",
        "wait 60",
    ]
    assert len(runner.run(_told(town, acts)).told) == len(acts)


def test_a_few_short_stories(town: Town, runner: asyncio.Runner) -> None:
    _search(town, runner, stories=2, steps=6)


@pytest.mark.slow
def test_a_closing_that_was_called_off_stays_so_when_a_backup_is_put_back(town: Town, runner: asyncio.Runner) -> None:
    kept = "keep_call A, one, two, recorded=True, retention_class=0"
    runner.run(_told(town, [kept, "close A, 30", "back_up wants_base=True", "stay A", "restore 0", "wait 40"]))


@pytest.mark.slow
def test_a_clock_that_jumped_ends_no_hold_and_no_backup(town: Town, runner: asyncio.Runner) -> None:
    kept = "keep_call A, one, two, recorded=True, retention_class=0"
    acts = ["hold A, ['call 1'], [], days=60", "back_up wants_base=True", "set_clock_wrong 400", "release 'hold 1'"]
    runner.run(_told(town, [kept, *acts, "wait 1"]))


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["set_clock_wrong 400", "start_with_a_wrong_clock 400"])
def test_a_wrong_clock_ends_no_grace_no_day_and_no_backup(town: Town, runner: asyncio.Runner, wrong: str) -> None:
    """Neither one that jumps nor one that was wrong already when everything started."""
    kept = [
        "keep_call A, one, two, recorded=True, retention_class=0",
        "keep_call B, one, three, recorded=True, retention_class=0",
    ]
    runner.run(_told(town, [*kept, "close A, 30", "back_up wants_base=True", wrong, "stay A", "wait 1"]))


@pytest.mark.slow
def test_a_person_is_forgotten_while_their_request_is_held(town: Town, runner: asyncio.Runner) -> None:
    kept = "keep_call A, one, two, recorded=True, retention_class=0"
    acts = ["restrict A, three, 30", "hold A, ['request 1'], [('subject-request', 0, life.promise.today)], days=30"]
    runner.run(_told(town, [kept, *acts, "forget A, one", "wait 31"]))


@pytest.mark.slow
def test_many_stories(town: Town, runner: asyncio.Runner) -> None:
    _search(town, runner, stories=16, steps=12)


@pytest.mark.slow
def test_many_stories_with_backups(town: Town, runner: asyncio.Runner) -> None:
    _search(town, runner, stories=8, steps=12, backups_max=2, restores_max=1)
