"""The restore gate: what was put back serves nobody until it agrees with what was erased and signed since.

Between the start of the keeper and that of everything else, while `restore.pending` lies in the data folder:
(1) the erasure ledger is there, has no gap since the backup, and ends with the keeper's own epoch: a keeper that is
    older than the backup, or that has no ledger, is refused;
(2) each log is completed up to its last signed head from the journal of leaves (evidence/completion.py);
    Whoever was locked out since stays so: credentials that were revoked, given another secret or other networks end;
    where the journal does not name all that were revoked, every credential of that account ends and is issued anew.
    A closing that was called off since is called off again: else its grace would end by what the backup says;
(3) everything that the ledger says was erased since the backup is hidden again under its own erasure, and rows and
    objects are removed; days that are past due are hidden. Holds are placed and released again in the same order, so
    that what the keeper spared is spared here;
(4) objects of which no row tells (kept after the backup) are removed: nothing else would ever erase them;
(5) with the sequencer up, each account's log gets leaf restore.reconciled with the counts;
(6) `restore.pending` is removed, and the rest of the cloud starts. The blind index is rebuilt by the worker; until
    then a lookup answers 503.

Each step can be repeated: a crash before (6) begins the gate anew.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import msgspec

from sealwire.config import Settings
from sealwire.custody.backups.heldagain import (
    PlacedAgain,
    ReleasedAgain,
    day_goes,
    free_again,
    hold_told,
    places_told,
)
from sealwire.custody.backups.packing import object_names
from sealwire.custody.backups.refusals import LedgerMissing, RestoreRefused
from sealwire.custody.categories import BY_CODE, CATALOGUE, Category
from sealwire.custody.erasure import BACKUP_MARGIN_DAYS
from sealwire.custody.keys.client import KeeperClient
from sealwire.custody.keys.files import create_durably, sync_folder
from sealwire.custody.keys.paths import DayPath, LeafPath
from sealwire.custody.removal import Remover
from sealwire.custody.storage import statements
from sealwire.custody.store import queries as custody_queries
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.completion import Credentials, complete_logs
from sealwire.evidence.crash import crash_point
from sealwire.evidence.heads import Heads
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.signer import LogSigner
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.objects.store import Objects
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, ErasureId, RecordId

_queries = load_queries(__package__)


class Pending(msgspec.Struct, frozen=True):
    """What was put back and not reconciled yet."""

    backup: str
    made_at: str
    keeper_epoch: int
    restored_at: str


class AccountReconciled(msgspec.Struct):
    """What the gate found for one account."""

    leaves_lost: int = 0
    records_lost: int = 0
    records_erased: int = 0
    days_erased: int = 0
    credentials_ended: int = 0


@dataclass(slots=True)
class Reconciled:
    """What the gate did, by account and in all."""

    accounts: dict[AccountId, AccountReconciled] = field(default_factory=dict)
    objects_removed: int = 0
    accounts_lost: int = 0

    def of(self, account: AccountId) -> AccountReconciled:
        return self.accounts.setdefault(account, AccountReconciled())

    def total(self) -> dict[str, int]:
        totals = Counter[str](objects_removed=self.objects_removed, accounts_lost=self.accounts_lost)
        for each in self.accounts.values():
            totals.update(msgspec.to_builtins(each))
        return dict(totals)


@dataclass(frozen=True, slots=True)
class LedgerAct:
    """One erasure as the ledger tells it, or what became of a hold or of periods between them."""

    epoch: int
    at: str
    account: AccountId
    erasure: ErasureId | None
    leaves: list[LeafPath]
    days: list[DayPath]
    keeping: tuple[int, ...] | None
    periods: dict[str, int] = field(default_factory=dict)
    hold: PlacedAgain | ReleasedAgain | None = None


def put_back_by_hand(at: str) -> Pending:
    """Nobody knows how old the database is, so everything that was ever erased is erased again."""
    return Pending("by hand", at, 0, at)


def pending_file(settings: Settings) -> Path:
    return settings.data_dir / "restore.pending"


def mark_pending(settings: Settings, pending: Pending) -> None:
    """From now on the gate stands; durable."""
    create_durably(pending_file(settings), msgspec.json.encode(pending))


def pending(settings: Settings) -> Pending | None:
    """What waits to be reconciled; None when nothing was put back."""
    try:
        data = pending_file(settings).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(data, type=Pending)
    except msgspec.DecodeError:
        raise RestoreRefused(f"{pending_file(settings)} cannot be read; restore the backup again") from None


def require_ledger(settings: Settings) -> None:
    """LedgerMissing when something was put back and no keeper folder says what was erased; ask before it is started."""
    if pending(settings) is not None and not (settings.keeper_dir / "erasures.ledger").exists():
        raise LedgerMissing(
            f"{settings.keeper_dir} has no erasure ledger, so nobody knows what was erased since the backup: move the "
            "living keeper folder here, then start again"
        )


def read_ledger(folder: Path, *, after: int, until: int) -> list[LedgerAct]:
    """What was erased and held in the epochs after `after`; LedgerMissing when one of them is not told of (1)."""
    acts: list[LedgerAct] = []
    expected = after + 1
    for line in _lines(folder / "erasures.ledger"):
        epoch = int(line["epoch"])
        if epoch <= after:
            continue
        if epoch != expected:
            raise LedgerMissing(f"the erasure ledger has no line for epoch {expected}; nothing is served without it")
        expected += 1
        acts += [act for told in line["acts"] if (act := _act(epoch, line["at"], told)) is not None]
    if expected <= until:
        raise LedgerMissing(f"the erasure ledger ends with epoch {expected - 1} and the keeper is at {until}")
    return acts


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    try:
        with file.open("rb") as stream:
            for line in stream:
                if line.endswith(b"\n"):
                    yield json.loads(line)
    except (OSError, ValueError):
        raise LedgerMissing("the erasure ledger cannot be read, so nothing is served") from None


def _act(epoch: int, at: str, told: dict[str, Any]) -> LedgerAct | None:
    account = AccountId.parse(told["account"]) if "account" in told else None
    if account is not None and told["act"] == "periods.set":
        return LedgerAct(epoch, at, account, None, [], [], None, dict(told["periods"]))
    if account is not None and (hold := hold_told(told)) is not None:
        return LedgerAct(epoch, at, account, None, [], [], None, hold=hold)
    if account is None or told["act"] not in {"erased", "expired"}:
        return None
    closings = [path for path in told["paths"] if path.startswith("*")]
    keeping = tuple(int(code) for code in closings[-1].split("-")[1:]) if closings else None
    leaves, days = places_told(path for path in told["paths"] if not path.startswith("*"))
    erasure = str(told.get("erasure", ""))
    known = ErasureId.parse(erasure) if erasure.startswith("ers_") else None
    return LedgerAct(epoch, at, account, known, leaves, days, keeping)


class Gate:
    """Steps (1) to (6). The database and the keeper run; nothing else does."""

    def __init__(self, settings: Settings, *, keeper: KeeperClient, objects: Objects, clock: Clock) -> None:
        self._settings, self._keeper, self._objects, self._clock = settings, keeper, objects, clock

    async def reconcile(self, restored: Pending) -> Reconciled:
        """Steps (1) to (4)."""
        done = Reconciled()
        epoch = (await self._keeper.status()).epoch
        if epoch < restored.keeper_epoch:  # (1)
            raise RestoreRefused(
                f"the keeper is at epoch {epoch} and the backup was made at {restored.keeper_epoch}: this vault is an "
                "older copy; bring the living keeper folder"
            )
        acts = read_ledger(self._settings.keeper_dir, after=restored.keeper_epoch, until=epoch)
        await self._complete_logs(done)  # (2)
        crash_point("gate-logs")
        owner = await asyncpg.connect(dsn(self._settings, "sealwire_owner"))
        worker = await Database.connect(dsn(self._settings, "sealwire_worker"), size_max=2)
        try:
            remover = Remover(database=worker, objects=self._objects, clock=self._clock)
            known = {AccountId(row["account_id"]) for row in await owner.fetch(custody_queries.accounts)}
            closings = [act for act in acts if act.keeping is not None]  # again: what was held then and is not now
            for act in acts + closings:  # (3)
                if act.account in known:
                    await self._replay(owner, remover, act, done)
            crash_point("gate-erased")
            done.objects_removed = await self._remove_untold(owner)  # (4)
            done.accounts_lost = len([account for account in done.accounts if account not in known])
        finally:
            await worker.close()
            await owner.close()
        diagnostics.event("restore.reconciled", backup=restored.backup, **done.total())
        return done

    async def tell(self, restored: Pending, done: Reconciled, sequencer: SequencerClient) -> None:
        """Steps (5) and (6)."""
        connection = await asyncpg.connect(dsn(self._settings, "sealwire_owner"))
        try:
            accounts = [AccountId(row["account_id"]) for row in await connection.fetch(_queries.log_heads)]
        finally:
            await connection.close()
        for account in accounts:
            payload: dict[str, object] = {
                "backup": restored.backup,
                "made_at": restored.made_at,
                "at": rfc3339(self._clock.now()),
                **msgspec.to_builtins(done.of(account)),
            }
            await sequencer.include(account, leaf_class=LeafClass.RESTORE_RECONCILED, payload=payload)  # (5)
        crash_point("gate-told")
        pending_file(self._settings).unlink()  # (6)
        sync_folder(self._settings.data_dir)

    async def _complete_logs(self, done: Reconciled) -> None:
        heads = Heads.open(self._settings.evidence_dir)
        database = await Database.connect(dsn(self._settings, "sealwire_sequencer"), size_max=1)
        try:
            signer = LogSigner.load(self._settings.evidence_dir, may_make=False)
            lost = await complete_logs(
                database, heads, signer, self._settings.evidence_dir,
                first=partial(self._end_credentials, done=done),
            )  # fmt: skip
        finally:
            await database.close()
            heads.close()
        for account, counts in lost.items():
            done.of(account).records_lost = counts.pop("records")
            done.of(account).leaves_lost = counts.total()

    async def _end_credentials(self, ended: dict[AccountId, Credentials], done: Reconciled) -> None:
        now = self._clock.now()
        owner = await asyncpg.connect(dsn(self._settings, "sealwire_owner"))
        try:
            for account, credentials in ended.items():
                ids = [UUID(hex=text.partition("_")[2]) for text in credentials.ids]
                for statement in (_queries.end_credentials, _queries.end_programs):
                    rows = await owner.fetch(statement, account.value, now, not credentials.is_whole, ids)
                    done.of(account).credentials_ended += len(rows)
                if credentials.stays:
                    await owner.execute(_queries.call_off_closing, account.value, now)
        finally:
            await owner.close()

    async def _replay(self, owner: Any, remover: Remover, act: LedgerAct, done: Reconciled) -> None:
        if act.hold is not None:
            await act.hold.replay(owner, act.account, dt.datetime.fromisoformat(act.at))
            return
        for place, length in act.periods.items():
            category, _, retention_class = place.partition("/")
            await owner.execute(_queries.take_period, act.account.value, int(category), int(retention_class), length)
        await self._erase_again(owner, remover, act, done)

    async def _erase_again(self, owner: Any, remover: Remover, act: LedgerAct, done: Reconciled) -> None:
        erasure = act.erasure or ErasureId(uuid4())
        days = list(act.days)
        if act.keeping is not None:
            at = dt.datetime.fromisoformat(act.at)
            await owner.execute(_queries.close_again, act.account.value, at, erasure.value)
            await self._closure_again(owner, act.account, erasure, at)
            rows = await owner.fetch(custody_queries.days_in_use, act.account.value)
            days += [DayPath(*row) for row in rows if row["category"] not in act.keeping and row["category"] in BY_CODE]
        found = {code: await self._rows_of(owner, act, BY_CODE[code]) for code in _codes(act)}
        days = [day for day in days if day.category in BY_CODE and await day_goes(owner, act.account, day)]
        if not any(found.values()) and not days:
            return
        async with owner.transaction():
            await self._open_erasure(owner, act, erasure)
            await free_again(owner, act.account, act.leaves)
            for code, rows in found.items():
                await self._hide(owner, act.account, erasure, category=BY_CODE[code], rows=rows)
            for day in days:
                await owner.fetch(
                    custody_queries.insert_gone_day, act.account.value, day.category, day.retention_class, day.day,
                    erasure.value,
                )  # fmt: skip
        for code, rows in found.items():
            await remover.remove_records(act.account, {code}, [RecordId(row["record_id"]) for row in rows])
        for day in days:
            await remover.remove_day(act.account, erasure, day)
        done.of(act.account).records_erased += sum(map(len, found.values()))
        done.of(act.account).days_erased += len(days)

    async def _closure_again(self, owner: Any, account: AccountId, erasure: ErasureId, at: dt.datetime) -> None:
        """The closure's own row, from which the worker goes on: it certifies anew what the keeper did."""
        by = at.date() + dt.timedelta(days=self._settings.backup_cycle_days + BACKUP_MARGIN_DAYS)
        await owner.execute(_queries.cancel_others, account.value, erasure.value, at)
        await owner.execute(_queries.closure_again, account.value, erasure.value, UUID(int=0), at, by)

    async def _open_erasure(self, owner: Any, act: LedgerAct, erasure: ErasureId) -> None:
        """The erasure's own row, unless it was in the backup; the worker takes its steps again and certifies anew."""
        at = dt.datetime.fromisoformat(act.at)
        by = at.date() + dt.timedelta(days=self._settings.backup_cycle_days + BACKUP_MARGIN_DAYS)
        ground = "instruction" if act.erasure is not None else "retention"
        await owner.execute(_queries.reopen_erasure, act.account.value, erasure.value, ground, "restore", at, by)

    async def _rows_of(self, owner: Any, act: LedgerAct, category: Category) -> list[Any]:
        wanted = [leaf for leaf in act.leaves if leaf.category == category.code]
        return list(
            await owner.fetch(
                statements(category).by_slots, act.account.value, [leaf.retention_class for leaf in wanted],
                [leaf.day for leaf in wanted], [leaf.slot for leaf in wanted],
            )
        )  # fmt: skip

    async def _hide(
        self, owner: Any, account: AccountId, erasure: ErasureId, *, category: Category, rows: list[Any]
    ) -> None:
        common = (
            [row["retention_class"] for row in rows], [row["day"] for row in rows], [row["slot"] for row in rows],
            [row["commitment"] for row in rows],
        )  # fmt: skip
        records = [row["record_id"] for row in rows]
        if category.is_detachable:
            await owner.execute(
                custody_queries.insert_detached, account.value, erasure.value, category.code, records, *common
            )
            return
        await owner.fetch(
            custody_queries.insert_gone, account.value, erasure.value, records, [category.code] * len(rows), *common,
            [row["call_id"] for row in rows],
        )  # fmt: skip

    async def _remove_untold(self, owner: Any) -> int:
        """Objects that no row names."""
        told: set[str] = {row["object_name"] for row in await owner.fetch(_queries.objects_begun)}
        for category in CATALOGUE:
            if category.has_media:
                told |= {row["object_name"] for row in await owner.fetch(statements(category).objects)}
        untold = [name for name in await asyncio.to_thread(object_names, self._objects) if name not in told]
        for name in untold:
            await self._objects.delete(name)
        return len(untold)


def _codes(act: LedgerAct) -> set[int]:
    return {leaf.category for leaf in act.leaves} & set(BY_CODE)
