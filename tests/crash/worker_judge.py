"""The worker was killed: what must hold before another one starts, and after that one has finished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from sealwire.custody import erasure as erasing
from sealwire.custody.eraser import Eraser
from sealwire.custody.retention.expiry import expire_due
from sealwire.doors.closure_drill.remains import look, opened, rows_of_records
from sealwire.errors import SealwireError
from sealwire.evidence.leaves import LeafClass
from sealwire.ground.objects.store import ObjectMissing
from sealwire.vocabulary import AccountId, Purpose
from sealwire_verifier.certificate import verify
from sealwire_verifier.errors import StepFailed
from tests.crash.killing import KILLED
from tests.crash.report import Broken, Report, Violation
from tests.crash.worker_house import Expiring, WorkerHouse

Pick = Callable[[Sequence[Any]], Sequence[Any]]
AT_ONCE = 32
SERVICE = [Purpose.SERVICE_OPERATION]
_LEAVES = (
    "SELECT get_byte(leaf, 1) AS kind, count(*) AS leaves FROM evidence.leaf_entry WHERE account_id = $1 GROUP BY 1"
)
_WAITING = "SELECT count(*) FROM evidence.event_outbox WHERE account_id = $1"
_TOLD = {
    LeafClass.ERASURE_REQUESTED, LeafClass.ERASURE_UNREADABLE, LeafClass.ERASURE_REMOVED, LeafClass.RETENTION_RUN,
    LeafClass.RETENTION_MISSED, LeafClass.CLOSURE_BEGUN, LeafClass.CLOSURE_UNREADABLE, LeafClass.CLOSURE_REMOVED,
}  # fmt: skip


async def leaves_of(house: WorkerHouse, account: AccountId) -> dict[int, int]:
    """How many leaves of each kind that a ritual makes."""
    await house.scratch.custody.sequencer.nudge()
    connection = await asyncpg.connect(house.closures.owner_dsn)
    try:
        while await connection.fetchval(
            "SELECT count(*) FROM evidence.event_outbox WHERE account_id = $1", account.value
        ):
            await asyncio.sleep(0.02)
        rows = await connection.fetch(_LEAVES, account.value)
    finally:
        await connection.close()
    return {row["kind"]: row["leaves"] for row in rows if row["kind"] in _TOLD}


async def kill_expiry(house: WorkerHouse, report: Report, pick: Pick, scratch: Path) -> None:
    """Nightly expiry, removal included: the worker dies before each statement, question and file it touches."""
    whole = await house.expiring()
    steps = await house.killing.steps("expiry", scratch / "expiry", account=str(whole.account))
    expected = await leaves_of(house, whole.account)
    points = list(pick(range(1, len(steps))))
    for start in range(0, len(points), AT_ONCE):
        killed: list[tuple[int, Expiring]] = []
        for at in points[start : start + AT_ONCE]:
            one = await house.expiring()
            if await house.killing.order("expiry", at=at, account=str(one.account)) == KILLED:
                killed.append((at, one))
                report.violations += await _expired(house, one, steps[at], is_over=False)
        await _finish_expiry(house)
        for at, one in killed:
            found = await _expired(house, one, steps[at], is_over=True)
            if (leaves := await leaves_of(house, one.account)) != expected:
                found.append(Violation(Broken.OTHER_END, steps[at], f"{leaves} and not {expected}"))
            report.add("expiry", "killed", found)


async def _finish_expiry(house: WorkerHouse) -> None:
    custody, database, clock = house.scratch.custody, house.closures.database, house.closures.clock
    await expire_due(database, clock, backup_cycle_days=28)
    eraser = Eraser(
        database=database, keeper=custody.keeper, sequencer=custody.sequencer, objects=custody.objects, clock=clock
    )
    while await eraser.make_pending_unreadable():
        pass
    while await eraser.remove_pending():
        pass


async def _expired(house: WorkerHouse, one: Expiring, step: str, *, is_over: bool) -> list[Violation]:
    custody = house.scratch.custody
    erasures = await erasing.page(custody.database, one.account, before=None, limit=100)
    policy, found = await house.closures.policy(one.account), list[tuple[Broken, str]]()
    for erasure in erasures:
        if erasure.certificate is not None:
            try:
                verify(erasure.certificate.encode(), policy)
            except StepFailed as error:
                found.append((Broken.FALSE, str(error)))
        if is_over and (erasure.state != "removed" or erasure.certificate is None):
            found.append((Broken.OTHER_END, erasure.state))
    certified = is_over or (len(erasures) >= one.erasures and all(each.certificate for each in erasures))
    if certified and await opened(custody, one.principal, one.rows, SERVICE):
        found.append((Broken.OPENS, "past due"))
    if is_over:
        found += [(Broken.OTHER_END, "an object is left") for name in one.objects if await _is_there(house, name)]
        try:
            (young,) = await custody.open(one.principal, [one.young], purpose=Purpose.SERVICE_OPERATION)
            if young.content.reveal() != one.content:
                found.append((Broken.LOST, "opens as something else"))
        except (SealwireError, ValueError) as error:
            found.append((Broken.LOST, type(error).__name__))
    return [Violation(broken, f"expiry, before {step}", detail) for broken, detail in found]


async def _is_there(house: WorkerHouse, name: str) -> bool:
    try:
        await house.scratch.custody.objects.head(name)
    except ObjectMissing:
        return False
    return True


async def kill_closure(house: WorkerHouse, report: Report, pick: Pick, scratch: Path) -> None:
    """The closing of an account, to the last table."""
    whole, neighbour = await house.closures.resident(), await house.closures.resident()
    await house.closures.begin(whole)
    steps = await house.killing.steps("closure", scratch / "closure", account=str(whole.account))
    expected = await leaves_of(house, whole.account)
    points = list(pick(range(1, len(steps))))
    for start in range(0, len(points), AT_ONCE):
        killed = []
        for at in points[start : start + AT_ONCE]:
            resident = await house.closures.resident()
            rows = await _rows(house, resident.account)
            begun = await house.closures.begin(resident)
            if await house.killing.order("closure", at=at, account=str(resident.account)) == KILLED:
                killed.append((at, resident, rows, begun))
                report.violations += await _closed(house, resident, rows, begun, steps[at], is_over=False)
        await house.closures.closer().make_due_unreadable()
        await house.closures.closer().remove_pending()
        for at, resident, rows, begun in killed:
            found = await _closed(house, resident, rows, begun, steps[at], is_over=True)
            if (leaves := await leaves_of(house, resident.account)) != expected:
                found.append(Violation(Broken.OTHER_END, steps[at], f"{leaves} and not {expected}"))
            report.add("closure", "killed", found)
        theirs = await _rows(house, neighbour.account)
        if len(theirs) != len(neighbour.all_records) or await opened(
            house.scratch.custody, neighbour.principal, theirs, SERVICE
        ) != len(theirs):
            report.violations.append(Violation(Broken.LOST, "closure", "of the neighbour"))


async def _rows(house: WorkerHouse, account: AccountId) -> list[Any]:
    connection = await asyncpg.connect(house.closures.owner_dsn)
    try:
        return await rows_of_records(connection, account)
    finally:
        await connection.close()


async def _closed(
    house: WorkerHouse, resident: Any, rows: Any, begun: Any, step: str, *, is_over: bool
) -> list[Violation]:
    closure, found = await house.closures.find(resident.account, begun.closure), list[tuple[Broken, str]]()
    if closure.certificate is not None:
        try:
            verified = await house.closures.verified(closure)
            if is_over and verified.removed_at is None:
                found.append((Broken.OTHER_END, "no removal"))
        except StepFailed as error:
            found.append((Broken.FALSE, str(error)))
        if await opened(house.scratch.custody, resident.principal, rows if is_over else rows[:2], SERVICE):
            found.append((Broken.OPENS, "of the closed account"))
    elif is_over or closure.state not in ("grace", "hidden"):
        found.append((Broken.OTHER_END, f"{closure.state} without a certificate"))
    if is_over:
        remains = await look(house.scratch.custody, house.closures.owner_dsn, resident.account)
        if closure.state != "removed" or remains.found:
            found.append((Broken.OTHER_END, f"{closure.state}, {remains.not_allowed}, {remains.objects} objects"))
    return [Violation(broken, f"closure, before {step}", detail) for broken, detail in found]
