"""Closing an account: what may still be done in the grace, what is left after it, and that nothing else ever opens."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.closure import book
from sealwire.custody.closure.allowed import KEPT_IN_PART, KEPT_WHOLE, STATUTORY
from sealwire.custody.closure.closer import CRASH_POINTS
from sealwire.custody.closure.rules import ENDS_WHAT_BEGAN
from sealwire.custody.lifecycle import RecordErased
from sealwire.doors.closure_drill.furnishing import Resident, keep_one
from sealwire.doors.closure_drill.remains import ORDINARY, look, opened, rows_by_table, rows_of_records
from sealwire.governance.standing import AccountIsClosing
from sealwire.ground.clock import SystemClock, TestClock
from sealwire.vocabulary import Day, Purpose
from sealwire_verifier.closure import verify_closure
from sealwire_verifier.errors import StepFailed
from sealwire_verifier.proof import Proof
from tests.closure_house import ClosureHouse, closure_house

pytestmark = pytest.mark.asyncio(loop_scope="module")
each_category = pytest.mark.parametrize("category", CATALOGUE, ids=lambda each: each.name)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house() -> AsyncIterator[ClosureHouse]:
    async with closure_house() as running:
        yield running


async def copied(house: ClosureHouse, resident: Resident) -> list[Any]:
    connection = await asyncpg.connect(house.owner_dsn)
    try:
        return await rows_of_records(connection, resident.account)
    finally:
        await connection.close()


async def test_in_the_grace_everything_opens_and_nothing_new_begins(house: ClosureHouse) -> None:
    resident = await house.resident()
    await house.begin(resident, grace_days=14)
    await house.closer().make_due_unreadable()
    rows = await copied(house, resident)
    assert await opened(house.custody, resident.principal, rows, [Purpose.SERVICE_OPERATION]) == len(CATALOGUE)
    for category in CATALOGUE:
        if category.survives_closure or category.name in ENDS_WHAT_BEGAN:
            await keep_one(house.custody, resident.account, category)
        else:
            with pytest.raises(AccountIsClosing):
                await keep_one(house.custody, resident.account, category)


async def test_what_is_called_off_is_open_again(house: ClosureHouse) -> None:
    resident = await house.resident()
    begun = await house.begin(resident, grace_days=1)
    async with house.custody.database.account(resident.account) as connection:
        found = await book.cancel(
            connection, resident.account, begun.closure, by=resident.principal.credential, clock=house.clock
        )
    assert found.state == "cancelled"
    for category in CATALOGUE:
        await keep_one(house.custody, resident.account, category)
    again = await house.begin(resident, grace_days=30)
    assert again.closure != begun.closure


async def test_two_closures_at_a_time_and_a_wrong_sentence_are_refused(house: ClosureHouse) -> None:
    resident = await house.resident()
    await house.begin(resident, grace_days=1)
    with pytest.raises(AccountIsClosing):
        await house.begin(resident, grace_days=1)
    for wrong in ({"confirmation": "yes", "grace_days": 1}, {"confirmation": book.CONFIRMATION, "grace_days": 31}):
        async with house.custody.database.account(resident.account) as connection:
            with pytest.raises((book.ConfirmationMissing, book.GraceMalformed)):
                await book.begin(
                    connection, resident.account, by=resident.principal.credential, clock=house.clock, **wrong
                )  # type: ignore[arg-type]


async def test_after_the_grace_it_cannot_be_called_off_even_before_the_worker_looks(house: ClosureHouse) -> None:
    resident = await house.resident()
    begun = await house.begin(resident, grace_days=0)
    async with house.custody.database.account(resident.account) as connection:
        with pytest.raises(book.GraceIsOver):
            await book.cancel(
                connection, resident.account, begun.closure, by=resident.principal.credential, clock=house.clock
            )


async def test_nothing_but_invoices_is_left_or_opens_and_the_neighbour_has_everything(house: ClosureHouse) -> None:
    going, staying = await house.resident(each=2), await house.resident(each=2)
    rows, theirs = await copied(house, going), await rows_by_table(house.owner_dsn, staying.account)
    assert await opened(house.custody, going.principal, rows, [Purpose.SERVICE_OPERATION]) == 2 * len(CATALOGUE)
    closure = await house.close(going)
    remains = await look(house.custody, house.owner_dsn, going.account)
    assert (remains.not_allowed, remains.objects) == ({}, 0)
    assert remains.rows["custody.billing_record"] == 2
    assert remains.rows.keys() <= KEPT_WHOLE.keys() | KEPT_IN_PART.keys()
    assert await opened(house.custody, going.principal, rows, ORDINARY) == 0
    invoices = [row for row in rows if row.category in STATUTORY]
    assert await opened(house.custody, going.principal, invoices, [Purpose.STATUTORY_RETENTION]) == 2
    assert await opened(house.custody, staying.principal, await copied(house, staying), ORDINARY) == 2 * len(CATALOGUE)
    after = await rows_by_table(house.owner_dsn, staying.account)
    assert {name: after.get(name) for name in theirs if not name.startswith("evidence.")} == {
        name: count for name, count in theirs.items() if not name.startswith("evidence.")
    }
    verified = await house.verified(closure)
    assert verified.removed_at is not None
    assert [each.split(":")[0] for each in verified.kept] == ["2 of billing-record until " + closure.kept[0]["until"]]


async def test_nothing_personal_and_no_secret_stands_in_what_is_left(house: ClosureHouse) -> None:
    """The numbers, names and secrets it had are in no row, table by table, in the clear."""
    going = await house.resident()
    traces = [going.number, "hooks.example", "trunk.example", "Drill greeting"]
    assert await _rows_with(house, going.number) > 0  # the control
    await house.close(going)
    assert {
        trace: await _rows_with(house, trace, account=str(going.account.value)) for trace in traces
    } == dict.fromkeys(traces, 0)


async def _rows_with(house: ClosureHouse, trace: str, *, account: str | None = None) -> int:
    connection = await asyncpg.connect(house.owner_dsn)
    try:
        names = [row["name"] for row in await connection.fetch("SELECT name FROM custody.tables_of_accounts()")]
        found = 0
        for name in names:
            found += await connection.fetchval(
                f"SELECT count(*) FROM {name} t WHERE t::text LIKE '%' || $1 || '%'"
                " AND ($2::text IS NULL OR account_id = $2::uuid)",
                trace, account,
            )  # fmt: skip
        return int(found)
    finally:
        await connection.close()


@each_category
async def test_nothing_is_kept_for_a_closed_account_but_a_charge(house: ClosureHouse, category: Category) -> None:
    resident = await house.resident()
    await house.begin(resident)
    await house.closer().make_due_unreadable()
    if category.survives_closure:
        await keep_one(house.custody, resident.account, category)
        return
    with pytest.raises(RecordErased):
        await keep_one(house.custody, resident.account, category)


@pytest.mark.slow
async def test_a_keep_that_is_under_way_is_waited_for_or_refused(house: ClosureHouse) -> None:
    """Many keeps race with the end of the grace: none is left that opens."""
    resident = await house.resident()
    category = next(each for each in CATALOGUE if each.name == "call-record")

    async def keep_on() -> int:
        kept = 0
        while True:
            try:
                await keep_one(house.custody, resident.account, category)
            except (RecordErased, AccountIsClosing):
                return kept
            kept += 1

    keeping = [asyncio.ensure_future(keep_on()) for _ in range(4)]
    await asyncio.sleep(0.3)
    await house.begin(resident)
    await house.closer().make_due_unreadable()
    assert sum(await asyncio.gather(*keeping)) > 0
    assert await opened(house.custody, resident.principal, await copied(house, resident), ORDINARY) == 0


@pytest.mark.slow
async def test_invoices_stay_to_the_end_of_the_year_that_the_law_names_and_go_by_the_ordinary_expiry(
    house: ClosureHouse,
) -> None:
    resident = await house.resident()
    closure = await house.close(resident)
    year = dt.datetime.now(dt.UTC).year
    assert closure.kept[0]["until"] == f"{year + 8}-12-31"
    (row,) = await copied(house, resident)
    assert row.due_day == Day.of(dt.datetime(year + 8, 12, 31, tzinfo=dt.UTC))


@pytest.mark.slow
@pytest.mark.parametrize("at", CRASH_POINTS)
async def test_a_worker_killed_at_any_step_is_followed_by_one_that_finishes(house: ClosureHouse, at: str) -> None:
    resident, neighbour = await house.resident(), await house.resident()
    rows = await copied(house, resident)
    begun = await house.begin(resident)
    data = house.scratch.settings.data_dir
    assert await asyncio.to_thread(_worker, data, at) == 137
    between = await house.find(resident.account, begun.closure)
    if between.state in ("grace", "hidden"):
        assert between.certificate is None
    else:
        assert await opened(house.custody, resident.principal, rows, ORDINARY) == 0
        await house.verified(between)
    await house.closer().make_due_unreadable()
    await house.closer().remove_pending()
    found = await house.find(resident.account, begun.closure)
    assert found.state == "removed"
    assert (await house.verified(found)).removed_at is not None
    assert (await look(house.custody, house.owner_dsn, resident.account)).found == 0
    assert await opened(house.custody, resident.principal, rows, ORDINARY) == 0
    theirs = await copied(house, neighbour)
    assert await opened(house.custody, neighbour.principal, theirs, [Purpose.SERVICE_OPERATION]) == len(CATALOGUE)


def _worker(data: Path, at: str) -> int:
    """The worker's own process, which dies at this place."""
    done = subprocess.run(
        [sys.executable, "-m", "sealwire.doors.worker", "--data", str(data)], timeout=60, check=False,
        env={**os.environ, "SEALWIRE_CRASH_AT": at}, capture_output=True,
    )  # fmt: skip
    return done.returncode


async def test_a_certificate_that_says_anything_else_is_refused(house: ClosureHouse) -> None:
    closure = await house.close(await house.resident())
    policy = await house.policy(closure.account)
    assert closure.certificate is not None
    proof = Proof.parse(closure.certificate.encode())
    body = json.loads(proof.extra or b"")
    lies: list[dict[str, Any]] = [
        {"kept": []},
        {"kept": [{**body["kept"][0], "until": "2027-01-01"}]},
        {"branches_kept": [3]},
        {"branches_kept": [1, 3, 4]},
        {"ground": "retention"},
        {"limits": body["limits"][:-1]},
        {"receipts": []},
        {"closure": "clo_" + "0" * 32},
        {"levels": {**body["levels"], "removed": {"at": None, "state": "pending"}}} | {"version": 2},
        {"levels": {**body["levels"], "hidden": {"at": "2020-01-01T00:00:00.000Z"}}},
    ]
    for lie in lies:
        told = json.dumps(body | lie, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        forged = Proof(proof.index, proof.path, proof.checkpoint, told).render()
        with pytest.raises(StepFailed):
            verify_closure(forged, policy)
    assert b64encode(b"x")  # the honest one stands
    verify_closure(closure.certificate.encode(), policy)


@pytest.mark.slow
async def test_unreadable_takes_one_tick_whatever_the_account_holds(house: ClosureHouse) -> None:
    small, large = await house.resident(), await house.resident()
    (category,) = [each for each in CATALOGUE if each.name == "message-record"]
    for resident, count in ((small, 1_000), (large, 10_000)):
        for at in range(0, count, 200):
            await asyncio.gather(
                *(keep_one(house.custody, resident.account, category) for _ in range(min(200, count - at)))
            )
    took: dict[str, float] = {}
    for name, resident in (("small", small), ("large", large)):
        begun = await house.begin(resident)
        epoch = (await house.custody.keeper.status()).epoch
        started_s = time.perf_counter()
        await house.closer().make_due_unreadable()
        took[name] = time.perf_counter() - started_s
        found = await house.find(resident.account, begun.closure)
        assert found.receipts[0]["count"] == 1
        assert found.receipts[0]["epoch_after"] - found.receipts[0]["epoch_before"] == 1
        assert (await house.custody.keeper.status()).epoch <= epoch + 2  # the period, and the puncture
    assert took["large"] < 5
    assert took["large"] < 3 * took["small"] + 1, took


async def test_a_grace_that_has_not_ended_is_not_ended_by_the_worker(house: ClosureHouse) -> None:
    resident, clock = await house.resident(), TestClock(SystemClock().now())
    begun = await house.begin(resident, grace_days=2, clock=clock)
    clock.advance(hours=47)
    await house.closer(clock=clock).make_due_unreadable()
    assert (await house.find(resident.account, begun.closure)).state == "grace"
    clock.advance(hours=1)
    await house.closer(clock=clock).make_due_unreadable()
    assert (await house.find(resident.account, begun.closure)).state == "unreadable"


async def test_the_worker_itself_can_remove_nothing_of_an_account_that_is_open(house: ClosureHouse) -> None:
    resident = await house.resident()
    async with house.database.account(resident.account) as connection:
        with pytest.raises(asyncpg.RaiseError, match="not closed and unreadable"):
            await connection.fetchval(
                "SELECT custody.remove_of_closed($1, 'governance.number', NULL, '{}', 100)", resident.account.value
            )
