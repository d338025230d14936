"""Everything about a person is found, in every category, on every day, in either role; and nobody else is told."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict

import pytest

from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import RecordId

from .requests_house import (
    answer_for,
    call_between,
    ids,
    message_between,
    opt_out_of,
    recording_between,
    until_indexed,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
PEOPLE = [f"+44163296065{last}" for last in range(9)] + ["alice"]
RECORDS = 60


@pytest.mark.parametrize("seed", [20261123, 7, 1984])
async def test_recall_is_complete_and_nobody_else_is_told(scratch: Scratch, seed: int) -> None:
    chance, expected = random.Random(seed), defaultdict[str, set[RecordId]](set)
    people = [
        f"{person}{seed % 7}" if person == "alice" else f"{person[:-1]}{seed % 7}{person[-1]}" for person in PEOPLE
    ]
    await until_indexed(scratch)

    async def keep_one() -> None:
        one, other = chance.choices(people, k=2)  # maybe the same twice: somebody who calls themselves
        match chance.randrange(4):
            case 0:
                kept = await call_between(scratch, one, other, days_ago=chance.randrange(25))
            case 1:
                kept = await message_between(scratch, one, other, "x")
            case 2:
                kept = await opt_out_of(scratch, one, other)
            case _:
                kept = await recording_between(scratch, one, other, bytes(320))
        for person in (one, other):
            expected[person].add(kept.record)

    for _ in range(RECORDS // 6):
        await asyncio.gather(*(keep_one() for _ in range(6)))
    for person in people:
        lines, summary = await answer_for(scratch, person)
        assert ids(lines) == expected[person]
        assert len(lines) == len(expected[person])
        assert summary["complete"]
        others = set(people) - {person}
        assert not [line for line in lines if others & set(map(str, line["content"].values()))]
