"""`sealwire restore --drill`: of the cloud that runs here; when none does, of one that is made for it with samples.

With samples: (1) calls are kept and a base is made; (2) some are erased, more are kept, and an increment is made;
(3) some are erased again and more are kept, which no backup knows; (4) the chain is drilled beside the living cloud;
(5) unless it has to be quick, the cloud is stopped, its database is put back from the backup into an empty folder, and
the gate reconciles it: what was erased since must be gone, what was kept since must be counted as lost.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sealwire.config import Settings, load_settings
from sealwire.custody.backups.chain import latest
from sealwire.custody.backups.comparison import Comparison
from sealwire.custody.backups.gate import pending
from sealwire.custody.backups.putback import put_back
from sealwire.custody.backups.sealing import backup_key
from sealwire.custody.backups.take import TakenBackup, take
from sealwire.custody.backups.unpack import find_source, verify_chain
from sealwire.custody.erasure import Ground, find, request_records
from sealwire.custody.lifecycle import Custody, KeeperClient, connect_custody, keeper_client
from sealwire.doors.bench.scratch import Scratch, scratch_cloud
from sealwire.doors.findings import is_running
from sealwire.doors.restoring.samples import Samples
from sealwire.doors.supervisor import KEEPER, SEQUENCER, WORKER, Cloud
from sealwire.errors import Gone, Missing
from sealwire.evidence.client import SequencerClient
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import AccountId, ErasureId, RecordId

PARTS = ((KEEPER,), (SEQUENCER,), (WORKER,))
QUICK_OPENED, QUICK_MEDIA = 200, 5
_ERASED_WITHIN_S = 60.0


async def drill(settings: Settings, *, quick: bool) -> dict[str, Any]:
    """Drill the newest chain; the report, with `ok` and what was compared."""
    if is_running(settings):
        return {"installation": "running", **await _compare(settings, quick=quick)}
    return await _drill_samples(quick=quick)


async def back_up(settings: Settings, *, target: str | None = None, wants_base: bool = False) -> TakenBackup:
    """A backup of the running cloud."""
    keeper, sequencer = keeper_client(settings), SequencerClient(settings.sequencer_socket)
    try:
        status = await keeper.status()
        await sequencer.nudge()
    finally:
        await keeper.close()
        await sequencer.close()
    return await take(
        settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class, clock=SystemClock(),
        target=target, wants_base=wants_base,
    )  # fmt: skip


async def _compare(settings: Settings, *, quick: bool) -> dict[str, Any]:
    key = backup_key(settings)
    source = find_source(latest(settings)[-1], settings)
    verified = await asyncio.to_thread(verify_chain, source, settings, key)
    keeper, sequencer = KeeperClient.open_only(settings.keeper_socket), SequencerClient(settings.sequencer_socket)
    try:
        comparison = Comparison(
            settings, keeper=keeper, sequencer=sequencer, clock=SystemClock(),
            opened_max=QUICK_OPENED if quick else None, media_max=QUICK_MEDIA if quick else None,
        )  # fmt: skip
        report = await comparison.run(verified.chain)
    finally:
        await keeper.close()
        await sequencer.close()
    return {**report, "is_sample": quick, "verify_seconds": round(verified.seconds, 2)}


async def _drill_samples(*, quick: bool) -> dict[str, Any]:
    calls = 30 if quick else 300
    async with scratch_cloud(PARTS, backup_every_hours=0) as scratch:
        samples = Samples(scratch.custody, scratch.account)
        first = await samples.keep(calls)  # (1)
        await back_up(scratch.settings)
        await _erase(scratch, first[: calls // 10])  # (2)
        second = await samples.keep(calls // 3)
        await back_up(scratch.settings)
        erased = first[calls // 10 : calls // 5] + second[: calls // 10]
        await _erase(scratch, erased)  # (3)
        after = await samples.keep(calls // 10)
        report = {"installation": "made for this drill", **await _compare(scratch.settings, quick=quick)}  # (4)
        if not quick:
            kept = first[calls // 5 :] + second[calls // 10 :]
            report["gate"] = await _restore(scratch, kept=kept, erased=erased, lost=after)  # (5)
            report["ok"] = report["ok"] and report["gate"]["ok"]
    return report


async def _erase(scratch: Scratch, records: list[RecordId]) -> None:
    """As a data subject would ask, and until the ciphertext is unreadable."""
    custody, account = scratch.custody, scratch.account
    stored = await custody.find(account, records)
    async with custody.database.account(account) as connection:
        erasure = await request_records(
            connection, account, stored, ground=Ground.SUBJECT_REQUEST, requested_by="drill",
            backup_cycle_days=scratch.settings.backup_cycle_days, clock=custody.clock,
        )  # fmt: skip
    async with asyncio.timeout(_ERASED_WITHIN_S):
        while await _is_hidden_only(scratch, erasure):  # noqa: ASYNC110 - the worker is another process
            await asyncio.sleep(0.1)


async def _is_hidden_only(scratch: Scratch, erasure: ErasureId) -> bool:
    async with scratch.custody.database.account(scratch.account) as connection:
        return (await find(connection, scratch.account, erasure)).state == "hidden"


@dataclass(frozen=True, slots=True)
class _Restored:
    custody: Custody
    account: AccountId

    async def state(self, record: RecordId) -> str:
        """kept, erased or unknown."""
        try:
            await self.custody.find(self.account, [record])
        except Gone:
            return "erased"
        except Missing:
            return "unknown"
        return "kept"


async def _restore(
    scratch: Scratch, *, kept: list[RecordId], erased: list[RecordId], lost: list[RecordId]
) -> dict[str, Any]:
    started = time.perf_counter()
    old = scratch.settings
    source = find_source(latest(old)[-1], old)
    await scratch.custody.close()
    await scratch.cloud.stop()
    settings = load_settings(old.data_dir.with_name("restored"), backup_every_hours=0)
    await put_back(source, settings, clock=SystemClock(), living=old.data_dir)
    stood = pending(settings) is not None
    async with Cloud(settings, parts=PARTS), _custody_of(settings) as custody:
        restored = _Restored(custody, scratch.account)
        states = {
            name: [await restored.state(record) for record in records]
            for name, records in (("kept", kept), ("erased", erased), ("unknown", lost))
        }
    told = {f"{name}_as_they_must_be": found.count(name) for name, found in states.items()}
    is_right = all(found.count(name) == len(found) for name, found in states.items())
    ok = is_right and stood and pending(settings) is None
    return {"ok": ok, **told, "records": sum(map(len, states.values())), "seconds": _since(started)}


@asynccontextmanager
async def _custody_of(settings: Settings) -> AsyncIterator[Custody]:
    custody = await connect_custody(settings, dsn(settings, "sealwire_service"), SystemClock())
    try:
        yield custody
    finally:
        await custody.close()


def _since(started: float) -> float:
    return round(time.perf_counter() - started, 2)
