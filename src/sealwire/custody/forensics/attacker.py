"""The coercive attacker: holds every copy that exists and every secret that exists, and tries to read what was erased.

(1) everything in hand is searched for vault indexes, shards and anything that could be a key;
(2) every index is tried with every root key and every candidate for its epoch key;
(3) a second instance is started from each copy of the database, tombstones are dropped, and the rows are read;
(4) each row is tried with every tree of its account, and its audio with it;
(5) what is still closed is tried with every candidate as its own key, as its leaf and as its block.

That nothing opens proves something only because the same tool opens a record that was not erased.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealwire.config import Settings
from sealwire.custody.backups.manifest import OBJECTS, POSTGRES
from sealwire.custody.backups.restore import scratch_instance
from sealwire.custody.forensics.loot import FoundTree, Loot
from sealwire.custody.keys.paths import BLOCK_SLOTS, LeafPath
from sealwire.custody.keys.refusals import Punctured
from sealwire.custody.keys.tree import LeafKeys, block_leaf, leaf_keys
from sealwire.custody.sealing.envelope import MediaOpener, SealBroken, open_record
from sealwire.custody.store import StoredRecord
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, RecordId

FoundRow = tuple[StoredRecord, Path]
WINDOWS_MAX = 60_000
_READ_BYTES = 1 << 20
_queries = load_queries(__package__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Possessions:
    """What the attacker has: root keys, backups (folders as `make` leaves them), and folders with anything else.

    `holdings` is where keys are looked for: copies of the keeper folder from before, and all that exists now; the
    most promising first, because 32-byte windows are tried up to a bound.
    """

    root_keys: Sequence[bytes]
    backups: Sequence[Path]
    holdings: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Attacked:
    """What the attack did to one record."""

    account: AccountId
    record: RecordId
    in_backup: bool
    readable: bool
    media_readable: bool | None
    how: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "account": str(self.account),
            "record": str(self.record),
            "in_backup": self.in_backup,
            "readable": self.readable,
            "media_readable": self.media_readable,
            "how": self.how,
        }


@dataclass(frozen=True, slots=True)
class AttackReport:
    """The outcome, record by record, and how hard it was tried."""

    records: list[Attacked]
    indexes: int
    candidates: int
    trees: int
    seconds: float

    def of(self, record: RecordId) -> Attacked:
        return next(attacked for attacked in self.records if attacked.record == record)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "records": [attacked.as_dict() for attacked in self.records],
            "indexes": self.indexes,
            "candidates": self.candidates,
            "trees": self.trees,
            "seconds": round(self.seconds, 3),
        }


async def attack(
    possessions: Possessions,
    targets: Sequence[tuple[AccountId, RecordId]],
    settings: Settings,
    *,
    workspace: Path | None = None,
    windows_max: int = WINDOWS_MAX,
    rows: Sequence[FoundRow] | None = None,
) -> AttackReport:
    """Try to read these records. `settings` tells where PostgreSQL's programs are; nothing of it is changed.

    `rows` are those of `rows_in` these backups, when they were read before.
    """
    started = time.perf_counter()
    loot = await asyncio.to_thread(Loot.gather, possessions.holdings, windows_max=windows_max)  # (1)
    trees = await asyncio.to_thread(loot.open_trees, list(possessions.root_keys))  # (2)
    outcomes = {record: Attacked(account, record, False, False, None, "") for account, record in targets}
    if rows is None:
        rows = await rows_in(possessions.backups, targets, settings, workspace=workspace)
    for row, backup in rows:
        if row.record in outcomes and not outcomes[row.record].readable:
            outcomes[row.record] = await asyncio.to_thread(attack_row, row, backup, trees, loot)
    return AttackReport(
        list(outcomes.values()),
        len(loot.indexes),
        len(loot.slot_keys) + len(loot.windows),
        len(trees),
        time.perf_counter() - started,
    )


async def rows_in(
    backups: Sequence[Path],
    targets: Sequence[tuple[AccountId, RecordId]],
    settings: Settings,
    *,
    workspace: Path | None = None,
) -> list[FoundRow]:
    """Step (3): the rows of these records in each backup, each with the backup it lies in."""
    return [(row, backup) for backup in backups for row in await _rows(backup, targets, settings, workspace)]


async def _rows(
    backup: Path, targets: Sequence[tuple[AccountId, RecordId]], settings: Settings, workspace: Path | None
) -> list[StoredRecord]:
    found: list[StoredRecord] = []
    async with scratch_instance(backup / POSTGRES, settings, workspace=workspace) as scratch:
        await scratch.connection.execute(_queries.drop_tombstones)
        for account in {account for account, _ in targets}:
            found += await scratch.records(account, [record for owner, record in targets if owner == account])
    return found


def attack_row(row: StoredRecord, backup: Path, trees: Sequence[FoundTree], loot: Loot) -> Attacked:
    """Steps (4) and (5) for one row; its audio is looked for in this backup."""
    for found in trees:  # (4)
        if found.account != row.account:
            continue
        try:
            leaf = found.tree.derive(LeafPath(row.category.code, row.retention_class, int(row.day), row.slot))
        except Punctured:
            continue
        keys = leaf_keys(leaf)
        if _opens(keys.record, row):
            return Attacked(row.account, row.record, True, True, _media_opens(keys, row, backup), found.how)
    for candidate, source in (loot.slot_keys | loot.windows).items():  # (5)
        if (what := _opens_with(candidate, row)) is not None:
            return Attacked(row.account, row.record, True, True, None, f"{what} left in {source}")
    return Attacked(row.account, row.record, True, False, False if row.object_name else None, "nothing opened it")


def _opens_with(candidate: bytes, row: StoredRecord) -> str | None:
    if _opens(candidate, row):
        return "its own key"
    if _opens(leaf_keys(candidate).record, row):
        return "its leaf"
    if _opens(leaf_keys(block_leaf(candidate, row.slot % BLOCK_SLOTS)).record, row):
        return "its block"
    return None


def _opens(key: bytes, row: StoredRecord) -> bool:
    try:
        open_record(key, row.context, row.sealed)
    except SealBroken:
        return False
    return True


def _media_opens(keys: LeafKeys, row: StoredRecord, backup: Path) -> bool | None:
    if row.object_name is None:
        return None
    opener, opened = MediaOpener(keys.media, row.context), 0
    try:
        with (backup / OBJECTS / row.object_name).open("rb") as file:
            while piece := file.read(_READ_BYTES):
                opened += len(opener.update(piece))
            opened += len(opener.finalize())
    except (SealBroken, OSError):
        return False
    return opened > 0
