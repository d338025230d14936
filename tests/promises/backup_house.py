"""What the promise tests about backups and forgetting share: a running cloud, records in it, and an eraser."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sealwire.config import Settings
from sealwire.custody.backups.take import TakenBackup, take
from sealwire.custody.backups.unpack import opened_into
from sealwire.custody.categories import CallRecord, Recording
from sealwire.custody.eraser import Eraser
from sealwire.custody.erasure import Ground, find, request_records
from sealwire.custody.forensics.attacker import Possessions
from sealwire.custody.lifecycle import Custody
from sealwire.doors.bench.scratch import scratch_cloud
from sealwire.doors.supervisor import KEEPER, SEQUENCER, Cloud, Part
from sealwire.ground.clock import SystemClock
from sealwire.ground.postgres.cluster import dsn
from sealwire.ground.postgres.database import Database
from sealwire.vocabulary import E164, AccountId, CallId, Day, HangupCause, Party, RecordId

CLOCK = SystemClock()
CALLEE = Party("+441632960100")


@dataclass(frozen=True)
class Call:
    """One call as it was kept: the caller, what was said, and the two records it left."""

    caller: E164
    pcm: bytes
    call_record: RecordId
    recording: RecordId

    @property
    def records(self) -> list[RecordId]:
        return [self.call_record, self.recording]


@dataclass(frozen=True)
class Opened:
    """A backup as it was taken, and the folder where it lies opened."""

    taken: TakenBackup
    folder: Path


@dataclass
class House:
    """A running cloud (database, keeper, sequencer) and what one does with it."""

    settings: Settings
    custody: Custody
    account: AccountId
    copies: Path
    cloud: Cloud
    calls: list[Call] = field(default_factory=list)

    async def keep_call(self, caller: str, *, seed: int, seconds: float = 1.0) -> Call:
        """Keep a call record and its recording, as the switchboard does."""
        now = CLOCK.now()
        pcm = speech(seed, seconds)
        call, party = CallId.new(), Party(caller)
        times = {"started_at": now - dt.timedelta(seconds=9), "answered_at": now - dt.timedelta(seconds=8)}
        kept = await self.custody.keep(
            self.account,
            CallRecord(
                call_id=call, direction="inbound", ended_at=now, hangup_cause=HangupCause.NORMAL,
                caller=party, callee=CALLEE, digits="5", **times,
            ),
        )  # fmt: skip
        media = await self.custody.begin_media(self.account, Recording, starts_at_day=Day.of(now))
        await media.write(pcm)
        recording = Recording(
            call_id=call, started_at=now, duration_ms=int(seconds * 1000), caller=party, callee=CALLEE,
            audio_sha256=await media.finish(),
        )  # fmt: skip
        kept_audio = await self.custody.keep(self.account, recording, media=media)
        return Call(E164(caller), pcm, kept.record, kept_audio.record)

    async def back_up(self) -> Opened:
        """A sealed backup, and beside it what somebody who has its identity makes of it."""
        status = await self.custody.keeper.status()
        taken = await take(
            self.settings, keeper_epoch=status.epoch, effaceability_class=status.effaceability_class, clock=CLOCK
        )
        folder = self.copies / f"opened-{taken.manifest.name}"
        return Opened(taken, await asyncio.to_thread(opened_into, folder, taken.manifest, self.settings))

    async def erase(self, records: Iterable[RecordId], *, eraser: type[Eraser] = Eraser, to: str = "removed") -> None:
        """Erase records: hidden, unreadable, removed."""
        stored = await self.custody.find(self.account, list(records))
        async with self.custody.database.account(self.account) as connection:
            erasure = await request_records(
                connection, self.account, stored, ground=Ground.SUBJECT_REQUEST, requested_by="test",
                backup_cycle_days=self.settings.backup_cycle_days, clock=CLOCK,
            )  # fmt: skip
        async with self.eraser(eraser) as at_work:
            await at_work.make_pending_unreadable()
            if to == "removed":
                await at_work.remove_pending()
        async with self.custody.database.account(self.account) as connection:
            assert (await find(connection, self.account, erasure)).state == to

    @asynccontextmanager
    async def eraser(self, kind: type[Eraser] = Eraser) -> AsyncIterator[Eraser]:
        """The worker's eraser, on the worker's own database role."""
        database = await Database.connect(dsn(self.settings, "sealwire_worker"), size_max=4)
        try:
            yield kind(
                database=database, keeper=self.custody.keeper, sequencer=self.custody.sequencer,
                objects=self.custody.objects, clock=CLOCK,
            )  # fmt: skip
        finally:
            await database.close()

    def copy_vault(self, name: str, *, with_epoch_slots: bool) -> Path:
        """A copy of the keeper's folder as it is now; with the epoch slots it is what a snapshot of the disk holds."""
        left_out = () if with_epoch_slots else ("epoch.slots",)
        return Path(
            shutil.copytree(self.settings.keeper_dir, self.copies / name, ignore=shutil.ignore_patterns(*left_out))
        )

    def possessions(self, backups: list[Path], vaults: list[Path]) -> Possessions:
        """The root key, these backups, these copies of the vault, and everything that exists now."""
        s = self.settings
        present = [s.keeper_dir, s.logs_dir, s.temp_dir, s.run_dir, s.evidence_dir, s.secrets_dir, s.data_dir]
        root_key = (s.keeper_dir / "root.key").read_bytes()
        return Possessions(root_keys=[root_key], backups=backups, holdings=[*vaults, *present])

    def owner_dsn(self) -> str:
        return dsn(self.settings, "sealwire_owner")


@asynccontextmanager
async def running_house(keeper: Part = KEEPER) -> AsyncIterator[House]:
    """Start it, with this keeper; everything is gone afterwards."""
    async with scratch_cloud(((keeper,), (SEQUENCER,))) as scratch:
        copies = scratch.settings.data_dir.parent / "copies"
        copies.mkdir(mode=0o711)
        yield House(scratch.settings, scratch.custody, scratch.account, copies, scratch.cloud)


def speech(seed: int, seconds: float) -> bytes:
    """Noise as loud as speech, like nothing else: incompressible, so that compression cannot hide it."""
    noise = np.random.default_rng([seed, *os.urandom(4)]).normal(0, 3000, int(8000 * seconds))
    return np.clip(noise, -32000, 32000).astype("<i2").tobytes()
