"""The closure drill, in a cloud of its own that is gone afterwards.

(1) two accounts are made with records of every category and configuration of every kind, and all of them open;
(2) a backup is made, and the rows with their ciphertext are kept aside, as an attacker would who copied the disk;
(3) one account is closed without a grace, by the worker of a running cloud, and followed to its end;
(4) what is left is read from the database's catalogue, the objects and the keeper: exactly the allow-list;
(5) neither the copied rows nor those of the restored backup open, for any ordinary purpose; its invoices open for the
    statute's alone;
(6) the neighbour has every row and every record it had;
(7) the certificate is verified by the separate verifier.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from sealwire.custody.backups.restore import scratch_instance
from sealwire.custody.backups.sealing import backup_key
from sealwire.custody.backups.take import take
from sealwire.custody.backups.unpack import find_chain, unpacked
from sealwire.custody.closure import book
from sealwire.custody.closure.allowed import STATUTORY
from sealwire.custody.closure.book import Closure
from sealwire.custody.lifecycle import Custody
from sealwire.custody.store import StoredRecord
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.closure_drill.furnishing import Resident, settle_in
from sealwire.doors.closure_drill.remains import ORDINARY, look, opened, rows_by_table, rows_of_records
from sealwire.doors.supervisor import KEEPER, SEQUENCER, WORKER
from sealwire.errors import Unavailable
from sealwire.vocabulary import ClosureId, Purpose
from sealwire_verifier.closure import verify_closure
from sealwire_verifier.policy import Policy

EACH, EACH_QUICK = 20, 2
CLOSED, NEIGHBOUR = "+441632960141", "+441632960142"
WAIT_S = 120.0
GROWS = {"evidence.payload", "evidence.leaf_entry", "evidence.tile", "evidence.mention", "evidence.event_outbox",
         "evidence.kept_outbox", "evidence.kept_batch", "custody.blind_index", "custody.retention_period",
         "custody.expiry"}  # fmt: skip
"""Tables of the neighbour that an opening, or the timetable, goes on writing to."""

Tell = Callable[[dict[str, Any]], None]


class ClosureTookTooLong(Unavailable):
    """The closure was not finished within two minutes; the worker's diagnostics say at which step it waits."""


@dataclass(frozen=True, slots=True)
class _Before:
    """How it was before the closing."""

    rows: dict[str, int]
    neighbour: dict[str, int]
    copied: list[StoredRecord]
    opened: int
    backup: str


async def drill(tell: Tell, *, quick: bool) -> dict[str, Any]:
    """Run all of it; the last thing that is told is the outcome, with `ok`."""
    started_s = time.monotonic()
    parts = ((KEEPER,), (SEQUENCER,), (WORKER,))
    async with scratch_cloud(parts, backup_every_hours=0) as scratch:
        owner_dsn, custody = scratch.cloud.cluster.dsn(), scratch.custody
        each = EACH_QUICK if quick else EACH
        going = await settle_in(custody, owner_dsn, CLOSED, each=each)
        staying = await settle_in(custody, owner_dsn, NEIGHBOUR, each=each)
        before = await _before(scratch, owner_dsn, going, staying)
        kept = len(going.all_records)
        tell({"step": "furnished", "records": kept, "tables": len(before.rows), "opened": before.opened})
        closure = await _close(custody, going)
        tell({"step": "closed", "seconds": _seconds(closure), "kept": closure.kept})
        outcome = await _compare(scratch, closure, going=going, staying=staying, before=before)
    outcome = {"step": "compared", **outcome, "control_opened": before.opened}
    checks = {
        "control": before.opened == kept and outcome["tables"] > 0,
        "nothing_else": outcome["found"] == 0 and outcome["rows"] == outcome["allowed"],
        "nothing_opens": outcome["opened"] == 0,
        "invoices": outcome["statutory_opened"] == each * len(STATUTORY),
        "neighbour": outcome["neighbour_opened"] == outcome["neighbour_kept"] and not outcome["neighbour_changed"],
        "certificate": outcome["certificate"] == "verified",
    }
    failed = sorted(name for name, holds in checks.items() if not holds)
    result = {**outcome, "failed": failed, "seconds": round(time.monotonic() - started_s, 1), "ok": not failed}
    tell(result)
    return result


async def _before(scratch: Scratch, owner_dsn: str, going: Resident, staying: Resident) -> _Before:
    custody = scratch.custody
    connection = await asyncpg.connect(owner_dsn)
    try:
        copied = await rows_of_records(connection, going.account)  # (2)
    finally:
        await connection.close()
    count = await opened(custody, going.principal, copied, [Purpose.SERVICE_OPERATION])  # (1)
    status = await custody.keeper.status()
    taken = await take(
        scratch.settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class, clock=custody.clock
    )
    rows, neighbour = await rows_by_table(owner_dsn, going.account), await rows_by_table(owner_dsn, staying.account)
    return _Before(rows, neighbour, copied, count, str(taken.folder))


async def _close(custody: Custody, going: Resident) -> Closure:
    """(3)"""
    async with custody.database.account(going.account) as connection:
        begun, _token = await book.begin(
            connection, going.account, grace_days=0, confirmation=book.CONFIRMATION, by=going.principal.credential,
            clock=custody.clock,
        )  # fmt: skip
    return await _followed(custody, going, begun.closure)


async def _followed(custody: Custody, going: Resident, closure: ClosureId) -> Closure:
    ends_s = time.monotonic() + WAIT_S
    while time.monotonic() < ends_s:
        async with custody.database.account(going.account) as connection:
            found = await book.find(connection, going.account, closure)
        if found.state == "removed":
            return found
        await asyncio.sleep(0.1)
    raise ClosureTookTooLong


async def _compare(
    scratch: Scratch, closure: Closure, *, going: Resident, staying: Resident, before: _Before
) -> dict[str, Any]:
    custody, owner_dsn = scratch.custody, scratch.cloud.cluster.dsn()
    remains = await look(custody, owner_dsn, going.account)  # (4)
    statutory = [row for row in before.copied if row.category in STATUTORY]
    live = await opened(custody, going.principal, before.copied, ORDINARY)  # (5)
    for_statute = await opened(custody, going.principal, statutory, [Purpose.STATUTORY_RETENTION])
    key = backup_key(scratch.settings, may_make=False)
    chain = find_chain(before.backup, scratch.settings, key)
    async with (
        unpacked(chain, scratch.settings, workspace=scratch.settings.data_dir) as folder,
        scratch_instance(folder / "postgres", scratch.settings) as copy,
    ):
        in_backup = await rows_of_records(copy.connection, going.account)
        of_neighbour = await rows_of_records(copy.connection, staying.account)
    restored = await opened(custody, going.principal, in_backup, ORDINARY)
    stays = await opened(custody, staying.principal, of_neighbour, [Purpose.SERVICE_OPERATION])
    after = await rows_by_table(owner_dsn, staying.account)  # (6)
    changed = sorted(
        name for name in before.neighbour.keys() | after.keys()
        if name not in GROWS and before.neighbour.get(name) != after.get(name)
    )  # fmt: skip
    return {
        "tables": len(before.rows),
        "rows": remains.total,
        "allowed": remains.total - sum(remains.not_allowed.values()),
        "found": remains.found,
        "left": remains.rows,
        "not_allowed": remains.not_allowed,
        "opened": live + restored,
        "in_backup": len(in_backup),
        "statutory_opened": for_statute,
        "neighbour_kept": len(staying.all_records),
        "neighbour_opened": stays,
        "neighbour_changed": changed,
        "certificate": await _verified(custody, closure),
        "until": {entry["what"]: entry["until"] for entry in closure.kept},
    }


async def _verified(custody: Custody, closure: Closure) -> str:
    """(7)"""
    log, status = await custody.sequencer.open_log(closure.account), await custody.keeper.status()
    policy = Policy.parse(f"log {log.vkey}\nholder {status.holder_vkey}\nquorum none\n")
    assert closure.certificate is not None
    verified = verify_closure(closure.certificate.encode(), policy)
    return "verified" if verified.removed_at is not None else "not removed"


def _seconds(closure: Closure) -> dict[str, float]:
    assert closure.hidden_at is not None
    assert closure.unreadable_at is not None
    assert closure.removed_at is not None
    return {
        "unreadable": round((closure.unreadable_at - closure.hidden_at).total_seconds(), 3),
        "removed": round((closure.removed_at - closure.hidden_at).total_seconds(), 3),
    }
