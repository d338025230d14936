"""The blind index lies by day: everybody is found, nobody erased is, and a day goes with its tokens and stays told."""

from __future__ import annotations

import datetime as dt
import json
import random
import re
from base64 import b64decode
from collections import defaultdict
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from sealwire.custody import erasure as erasing
from sealwire.custody.categories import CATALOGUE, CallRecord, category_of
from sealwire.custody.erasure import Ground
from sealwire.custody.index import BUCKETS, index_bucket
from sealwire.custody.lifecycle import RecordErased, RecordMissing
from sealwire.custody.requests import finding
from sealwire.doors.bench.scratch import Scratch
from sealwire.vocabulary import AccountId, Day, Party, Purpose, RecordId

from .acts import ask_to_erase, call_from, erasure_at, keep_call
from .examples import keep_example
from .requests_house import call_between, until_indexed

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCHEMA = Path(erasing.__file__).parent / "schema"
ASKED = Purpose.SUBJECT_REQUEST


async def found_of(scratch: Scratch, person: str) -> set[RecordId]:
    """Which living records a search leads to, before anything is opened."""
    found = await finding.search(scratch.custody, scratch.principal, Party(person), purpose=ASKED)
    return {row.record async for page in finding.pages(scratch.custody, found) for row in page.living}


async def test_code_and_database_agree_where_a_day_lies(scratch: Scratch) -> None:
    chance = random.Random(20261123)
    async with scratch.custody.database.system() as connection:
        for _ in range(200):
            account, day = AccountId(UUID(int=chance.getrandbits(128))), chance.randrange(65536)
            told = await connection.fetchval("SELECT custody.index_bucket($1, $2)", account.value, day)
            assert told == index_bucket(account, day)
            assert 0 <= told < BUCKETS


@pytest.mark.parametrize("seed", [1, 20261123])
async def test_all_of_a_number_is_found_on_all_days_and_nothing_erased(
    scratch: Scratch, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, expected = random.Random(seed), defaultdict[str, set[RecordId]](set)
    people = [f"+4416329{seed % 10}07{last:02d}" for last in range(6)]
    await until_indexed(scratch)
    kept = []
    for _ in range(60):
        one, other = chance.sample(people, k=2)
        record = (await call_between(scratch, one, other, days_ago=chance.randrange(80))).record
        kept.append(record)
        expected[one].add(record)
        expected[other].add(record)
    gone = set(chance.sample(kept, k=8))
    await erasure_at(scratch, await ask_to_erase(scratch, sorted(gone, key=str)), "unreadable", "removed")
    for person in people:
        assert await found_of(scratch, person) == expected[person] - gone

    honest = finding.count_tokens

    async def a_day_off(connection: object, account: AccountId, day_of: dict[bytes, int]) -> dict[bytes, int]:
        return await honest(connection, account, {token: day + 1 for token, day in day_of.items()})  # type: ignore[arg-type]

    monkeypatch.setattr(finding, "count_tokens", a_day_off)
    assert not any([await found_of(scratch, person) for person in people])


async def test_every_findable_category_is_found(scratch: Scratch) -> None:
    await until_indexed(scratch)
    for category in CATALOGUE:
        if category.findable_positions and not category.passing:
            one = await keep_example(scratch.custody, scratch.account, category, days_ago=0)
            assert one.numbers, category.name
            for number in one.numbers.values():
                assert one.record in await found_of(scratch, number), category.name


async def test_a_removed_day_leaves_no_token_and_every_id_answers_gone(scratch: Scratch) -> None:
    custody, account, clock = scratch.custody, scratch.account, scratch.custody.clock
    moment = clock.now() - dt.timedelta(days=85)
    kept = []
    for number in range(30):
        call = call_from(f"+44163296079{number % 10}", ended_at=moment)
        kept.append((call.call_id, (await custody.keep(account, call)).record))
    beside = await keep_call(scratch, "+441632960798", days_ago=86)
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    try:
        query = "SELECT token, tableoid::regclass::text AS partition FROM custody.blind_index WHERE record_id = ANY($1)"
        tokens = await owner.fetch(query, [record.value for _, record in kept])
        (partition,) = {row["partition"] for row in tokens}
        async with custody.database.account(account) as connection:
            erasure = await erasing.request_day(
                connection, account, category_of(CallRecord), Day.of(moment), retention_class=0,
                ground=Ground.INSTRUCTION, requested_by="test", backup_cycle_days=28, clock=clock,
            )  # fmt: skip
        assert erasure is not None
        done = await erasure_at(scratch, erasure, "removed")
        assert done.certificate is not None
        (body,) = re.findall("^extra (.*)$", done.certificate, re.MULTILINE)
        assert json.loads(b64decode(body))["records"] == 30
        await owner.execute("CHECKPOINT")
        path = await owner.fetchval("SELECT pg_relation_filepath($1::regclass)", partition)
        data = (scratch.settings.postgres_dir / path).read_bytes()
        assert not [row for row in tokens if row["token"] in data]
        assert not await owner.fetch(query, [record.value for _, record in kept])
        assert await owner.fetch(query, [beside.record.value])
    finally:
        await owner.close()
    for call, record in kept:
        with pytest.raises(RecordErased):
            await custody.find(account, [record])
        with pytest.raises(RecordErased):
            await custody.of_call(account, call)
    with pytest.raises(RecordMissing):
        await custody.find(account, [RecordId.new()])


async def test_the_tokens_of_an_older_database_move(scratch: Scratch) -> None:
    """What the schema file does to an older database's index, here in a transaction that is taken back."""
    kept = await keep_call(scratch, "+441632960777", days_ago=5)
    owner = await asyncpg.connect(scratch.cloud.cluster.dsn())
    first, moving = (SCHEMA / "0001_first_light.sql").read_text(), (SCHEMA / "0007_index_by_day.sql").read_text()
    begins, ends = first.index("CREATE TABLE custody.blind_index ("), first.index("-- Whether every snapshot")
    turn = owner.transaction()
    await turn.start()
    try:
        before = await owner.fetch("SELECT * FROM custody.blind_index WHERE record_id = $1", kept.record.value)
        await owner.execute("CREATE TEMP TABLE saved AS SELECT account_id, token, category, record_id"
                            " FROM custody.blind_index")  # fmt: skip
        await owner.execute(
            "DROP TABLE custody.blind_index, custody.gone_of_day;"
            "DROP FUNCTION custody.rewrite_index_partition, custody.refill_index_partition, custody.remove_index_day,"
            " custody.index_bucket, custody.chunk_of"
        )
        await owner.execute(first[begins:ends])
        await owner.execute("INSERT INTO custody.blind_index (account_id, token, category, record_id) TABLE saved")
        await owner.execute(moving)
        after = await owner.fetch("SELECT * FROM custody.blind_index WHERE record_id = $1", kept.record.value)
        assert len(before) == 2
        assert sorted(map(tuple, after)) == sorted(map(tuple, before))
        assert await owner.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = 'custody_old'") == 0
    finally:
        await turn.rollback()
        await owner.close()
