"""The whole bench, small: three stores that really run, a last object that says what it must, and clients in groups."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from typer.testing import CliRunner

from sealwire.doors.bench import gdprbench
from sealwire.doors.bench.gdprbench import CLIENTS, FULL, QUICK, Plan
from sealwire.doors.bench.gdprbench.mixes import ROLES
from sealwire.doors.bench.gdprbench.together import Together
from sealwire.doors.commands.bench import app

TINY = Plan(records=120, operations=40, slices=1)


@pytest.mark.slow
def test_the_last_object_has_a_ratio_for_each_role_and_the_correctness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gdprbench, "QUICK", TINY)
    ran = CliRunner().invoke(app, ["gdprbench", "--quick", "--json"])
    assert ran.exit_code == 0, ran.output
    last = json.loads(ran.output.splitlines()[-1])
    assert set(last["ratio"]) == {"controller", "customer", "processor", "regulator"}
    assert all(ratio > 0 for ratio in [*last["ratio"].values(), *last["ratio_to_bare"].values()])
    assert last["correctness"] == 1.0
    assert last["correctness_of_baselines"] == {"compliant": 1.0, "bare": 1.0}
    assert (last["clients"], last["records"], last["operations_per_role"]) == (CLIENTS, TINY.records, TINY.operations)
    assert last["answers_checked"] > len(ROLES) * 10
    assert last["erasures"] > 0
    assert last["certificates_verified"] > 0
    assert [set(last["roles"][role.name]["median_ms"]) for role in ROLES] == [
        {kind.value for kind in role.mix} for role in ROLES
    ]


@pytest.mark.parametrize("wrong", [["--records", "5"], ["--quick", "7"], ["--clients", "1"]])
def test_an_unknown_argument_is_refused_before_anything_starts(wrong: list[str]) -> None:
    ran = CliRunner().invoke(app, ["gdprbench", *wrong])
    assert ran.exit_code == 2
    assert wrong[0].removeprefix("--") in ran.output or wrong[1] in ran.output


def test_the_quick_run_is_smaller_in_everything() -> None:
    assert QUICK.records < FULL.records
    assert QUICK.operations * QUICK.slices < FULL.operations * FULL.slices
    assert FULL.operations * FULL.slices >= 1_000  # as many as the original asks


async def test_what_waits_together_is_done_in_one_piece_and_each_gets_its_own_answer() -> None:
    groups: list[list[int]] = []

    async def double(asked: list[int]) -> Sequence[int]:
        groups.append(asked)
        await asyncio.sleep(0.01)
        return [2 * one for one in asked]

    together = Together(double)
    assert await asyncio.gather(*(together.ask(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert groups == [[0, 1, 2, 3, 4]]
    await together.close()


async def test_a_group_that_fails_fails_for_all_in_it_and_not_for_those_after() -> None:
    async def refuse_nought(asked: list[int]) -> Sequence[int]:
        if 0 in asked:
            raise ValueError("nought")
        return asked

    together = Together(refuse_nought)
    failed = await asyncio.gather(together.ask(0), together.ask(1), return_exceptions=True)
    assert [type(each) for each in failed] == [ValueError, ValueError]
    assert await together.ask(2) == 2
    await together.close()
