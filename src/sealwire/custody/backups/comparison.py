"""The restore drill: the newest chain, restored beside the living cloud and compared with it row by row.

(1) the chain is looked through, unpacked, and a copy of its database started that nobody else sees;
(2) every row of every category is laid beside the living one, in the order of their keys:
    - living here, unchanged: every column must be equal, commitment included, and the record must open;
    - living here and sealed anew since (a person was detached), or not living any more: it must not open;
    - living here and not in the backup: kept after it, or else lost;
(3) a row opens when the keeper gives its plaintext to a session that can open and nothing else, under one leaf
    restore.drilled for each batch; audio is opened to its end and hashed;
(4) what seemed wrong is looked at once more after a while: the living cloud went on meanwhile;
(5) the copy is removed. It is fine when nothing differs, nothing is lost, all that lives opens and nothing else does.

Records of calls that are up pass by themselves within minutes and are not compared.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from sealwire.config import Settings
from sealwire.custody.backups.gate import read_ledger
from sealwire.custody.backups.opening import DrillOpener
from sealwire.custody.backups.restore import scratch_instance
from sealwire.custody.backups.unpack import Chain, unpacked
from sealwire.custody.categories import CATALOGUE, Category
from sealwire.custody.keys.client import KeeperClient
from sealwire.custody.storage import statements
from sealwire.custody.store import StoredRecord
from sealwire.evidence.client import SequencerClient
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, today
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import AccountId

BATCH = 500
LOOK_AGAIN_S = 5.0
_SECOND_LOOKS_MAX = 1_000
_TOLD_ABOUT = frozenset({"is_alive", "due_day", "seen_at", "restricted"})
Row = dict[str, Any]


@dataclass(slots=True)
class Compared:
    """What the drill saw, in counts; `wrong` names records, by category and id, that are not as they must be."""

    rows_compared: int = 0
    rows_equal: int = 0
    opened: int = 0
    due: int = 0
    restricted: int = 0
    erased_since: int = 0
    erased_opened: int = 0
    kept_after: int = 0
    differing: int = 0
    lost: int = 0
    closed_living: int = 0
    media_compared: int = 0
    media_opened: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        bad = self.differing + self.lost + self.closed_living + self.erased_opened
        return not bad and self.media_opened == self.media_compared

    def as_dict(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "wrong"}
        return {**told, "wrong": self.wrong[:20]}


@dataclass(frozen=True, slots=True)
class _Pair:
    """A restored row, what lives of it here, and what must be true of it."""

    stored: StoredRecord
    must_open: bool


class Comparison:
    """One drill of one chain beside the running cloud."""

    def __init__(
        self,
        settings: Settings,
        *,
        keeper: KeeperClient,
        sequencer: SequencerClient,
        clock: Clock,
        opened_max: int | None = None,
        media_max: int | None = None,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._keeper = keeper
        self._opener = DrillOpener(keeper=keeper, sequencer=sequencer, clock=clock)
        self._opened_max, self._media_max = opened_max, media_max
        self._seen = Compared()
        self._doubts: list[_Pair] = []

    async def run(self, chain: Chain) -> dict[str, Any]:
        """Drill this chain; the report, with `ok`."""
        started = time.perf_counter()
        status = await self._keeper.status()
        acts = read_ledger(self._settings.keeper_dir, after=chain.last.keeper_epoch, until=status.epoch)
        async with (
            unpacked(chain, self._settings, workspace=self._settings.data_dir) as folder,  # (1)
            scratch_instance(folder / "postgres", self._settings, moves=True) as scratch,
        ):
            self._opener.begin(chain.last.backup, folder)
            unpacked_s = time.perf_counter() - started
            for category in CATALOGUE:
                if not category.passing:
                    await self._compare(category, scratch.connection, chain)  # (2)
            await self._look_again()  # (4)
        report = {
            "ok": self._seen.is_fine,
            "drill": "restore",
            "backup": chain.last.backup,
            "made_at": chain.last.made_at,
            "backups_in_chain": len(chain.members),
            "bytes": chain.total_bytes,
            "accounts": len(self._opener.accounts),
            "erasures_in_ledger_since": sum(act.hold is None for act in acts),
            **self._seen.as_dict(),
            "restore_seconds": round(unpacked_s, 2),
            "seconds": round(time.perf_counter() - started, 2),
        }
        diagnostics.event("restore.drilled", backup=chain.last.backup, ok=self._seen.is_fine)
        return report

    async def _compare(self, category: Category, restored: asyncpg.Connection[Any], chain: Chain) -> None:
        living = await asyncpg.connect(dsn(self._settings, "sealwire_owner"))
        made_at = dt.datetime.fromisoformat(chain.last.made_at)
        waiting: list[_Pair] = []
        try:
            async with (
                living.transaction(isolation="repeatable_read", readonly=True),
                restored.transaction(readonly=True),
            ):
                left = living.cursor(statements(category).everything, prefetch=BATCH)
                right = restored.cursor(statements(category).everything, prefetch=BATCH)
                async for here, there in _side_by_side(aiter(left), aiter(right)):
                    if (pair := self._judge(category, here, there, made_at)) is not None:
                        waiting.append(pair)
                    if len(waiting) >= BATCH:
                        waiting = await self._open(waiting)
                await self._open(waiting)
        finally:
            await living.close()

    def _judge(self, category: Category, here: Row | None, there: Row | None, made_at: dt.datetime) -> _Pair | None:
        """What must be true of a row that is here, there, or in both."""
        lives = here is not None and bool(here["is_alive"])
        if there is None:
            if lives:
                assert here is not None
                is_later = here["kept_at"] >= made_at
                self._seen.kept_after += is_later
                self._seen.lost += not is_later
                if not is_later:
                    self._wrong(category, here)
            return None
        stored = StoredRecord.from_row(AccountId(there["account_id"]), category, there)
        self._seen.rows_compared += 1
        if not lives or (here is not None and (here["slot"] != there["slot"] or not here["sealed"])):
            self._seen.erased_since += 1
            return None if stored.is_detached else _Pair(stored, must_open=False)
        assert here is not None
        if _content(here) != _content(there):
            self._seen.differing += 1
            self._wrong(category, here)
            return None
        self._seen.rows_equal += 1
        if stored.due_day < today(self._clock):
            self._seen.due += 1
            return _Pair(stored, must_open=False)
        return _Pair(stored, must_open=True)

    async def _open(self, pairs: list[_Pair]) -> list[_Pair]:
        """Step (3); with `opened_max`, a sample of what lives. An empty list, to begin the next batch with."""
        living = [pair for pair in pairs if pair.must_open]
        if self._opened_max is not None:
            room = max(self._opened_max - self._seen.opened, 0)
            living = random.sample(living, min(room, len(living)))
        wanted = living + [pair for pair in pairs if not pair.must_open]
        for pair, outcome in zip(wanted, await self._opener.records([p.stored for p in wanted]), strict=True):
            if outcome is None:
                self._seen.restricted += 1
            elif outcome != pair.must_open:
                self._doubts.append(pair)
            elif outcome:
                self._seen.opened += 1
                await self._open_media(pair)
        return []

    async def _open_media(self, pair: _Pair) -> None:
        if pair.stored.object_name is None or self._seen.media_compared >= (self._media_max or 1 << 62):
            return
        self._seen.media_compared += 1
        if await self._opener.media(pair.stored):
            self._seen.media_opened += 1
        elif not await self._still_lives(pair.stored):
            self._seen.media_compared -= 1
        else:
            self._wrong(pair.stored.category, {"record_id": pair.stored.record.value})

    async def _look_again(self) -> None:
        if not self._doubts:
            return
        await asyncio.sleep(LOOK_AGAIN_S)
        first = self._doubts[:_SECOND_LOOKS_MAX]
        outcomes = await self._opener.records([pair.stored for pair in first])
        outcomes += [None] * (len(self._doubts) - len(first))
        for pair, opens in zip(self._doubts, outcomes, strict=True):
            if pair.must_open and not opens and await self._still_lives(pair.stored):
                self._seen.closed_living += 1
            elif not pair.must_open and opens is not False:
                self._seen.erased_opened += 1
            else:
                continue
            self._wrong(pair.stored.category, {"record_id": pair.stored.record.value})

    async def _still_lives(self, stored: StoredRecord) -> bool:
        connection = await asyncpg.connect(dsn(self._settings, "sealwire_owner"))
        try:
            statement = statements(stored.category).by_ids
            return bool(await connection.fetch(statement, stored.account.value, [stored.record.value]))
        finally:
            await connection.close()

    def _wrong(self, category: Category, row: Any) -> None:
        self._seen.wrong.append(f"{category.name} {row['record_id']}")


async def _side_by_side(left: AsyncIterator[Any], right: AsyncIterator[Any]) -> AsyncIterator[tuple[Any, Any]]:
    """Two streams in the order of account and record, joined by them."""
    one, other = await anext(left, None), await anext(right, None)
    while one is not None or other is not None:
        if other is None or (one is not None and _key(one) < _key(other)):
            yield one, None
            one = await anext(left, None)
        elif one is None or _key(other) < _key(one):
            yield None, other
            other = await anext(right, None)
        else:
            yield one, other
            one, other = await anext(left, None), await anext(right, None)


def _key(row: Any) -> tuple[bytes, bytes]:
    return row["account_id"].bytes, row["record_id"].bytes


def _content(row: Any) -> dict[str, Any]:
    """Every column but what is told about the row: whether it lives, and until when."""
    return {name: value for name, value in row.items() if name not in _TOLD_ABOUT}
