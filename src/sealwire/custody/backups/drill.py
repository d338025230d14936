"""The restore drill: does the backup still hold what it should, and nothing that it should not?

(1) the backup is verified;
(2) a copy of its database is started beside the live one, and the rows of the records are read;
(3) each account's log gets one leaf restore.drilled that commits to exactly these records: no leaf, no plaintext;
(4) the *current* keeper is asked to open them. What was erased since the backup stays closed; the rest opens;
(5) what was opened is compared with its commitment by digest and dropped; the copy is removed.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealwire.config import Settings
from sealwire.custody.backups.manifest import OBJECTS
from sealwire.custody.backups.restore import ScratchInstance, scratch_instance
from sealwire.custody.backups.verify import verify
from sealwire.custody.keys.client import KeeperClient, OpenProof, SealedItem
from sealwire.custody.lifecycle import RECORDS_IN_PAYLOAD_MAX, open_proof
from sealwire.custody.sealing.envelope import items_root
from sealwire.custody.store import StoredRecord
from sealwire.errors import Gone, Missing, SealwireError
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.leaves import LeafClass
from sealwire.ground import diagnostics
from sealwire.ground.clock import Clock, rfc3339
from sealwire.vocabulary import AccountId, Purpose, RecordId

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Drilled:
    """What became of one record: was its row in the backup, does it open, does its audio."""

    account: AccountId
    record: RecordId
    category: str | None
    in_backup: bool
    readable: bool
    media_readable: bool | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "account": str(self.account),
            "record": str(self.record),
            "category": self.category,
            "in_backup": self.in_backup,
            "readable": self.readable,
            "media_readable": self.media_readable,
        }


@dataclass(frozen=True, slots=True)
class DrillReport:
    """The outcome of a drill, record by record."""

    folder: Path
    records: list[Drilled]
    seconds: float

    def of(self, record: RecordId) -> Drilled:
        return next(drilled for drilled in self.records if drilled.record == record)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "backup": str(self.folder),
            "seconds": round(self.seconds, 3),
            "readable": sum(drilled.readable for drilled in self.records),
            "unreadable": sum(not drilled.readable for drilled in self.records),
            "records": [drilled.as_dict() for drilled in self.records],
        }


class Drill:
    """Opens records of a restored copy through the living keeper and the living log."""

    def __init__(self, settings: Settings, *, keeper: KeeperClient, sequencer: SequencerClient, clock: Clock) -> None:
        self._settings, self._keeper, self._sequencer, self._clock = settings, keeper, sequencer, clock

    async def run(self, folder: Path, records: Sequence[tuple[AccountId, RecordId]]) -> DrillReport:
        """Drill one backup for these records. Raises what `verify` raises, and RestoreFailed."""
        started = time.perf_counter()
        verified = await verify(folder, self._settings)  # (1)
        wanted: dict[AccountId, list[RecordId]] = defaultdict(list)
        for account, record in records:
            wanted[account].append(record)
        outcomes: list[Drilled] = []
        async with scratch_instance(folder / "postgres", self._settings) as scratch:  # (2)
            for account, of_account in wanted.items():
                outcomes += await self._drill_account(scratch, folder, account, of_account, verified.manifest.backup)
        readable = sum(outcome.readable for outcome in outcomes)
        diagnostics.event("restore.drilled", backup=verified.manifest.backup, records=len(outcomes), readable=readable)
        return DrillReport(folder, outcomes, time.perf_counter() - started)

    async def _drill_account(
        self, scratch: ScratchInstance, folder: Path, account: AccountId, records: list[RecordId], backup: str
    ) -> list[Drilled]:
        stored = await scratch.records(account, records)
        absent = set(records) - {row.record for row in stored}
        outcomes = [Drilled(account, record, None, False, False, None) for record in records if record in absent]
        if not stored:
            return outcomes
        proof = await self._prove(account, stored, backup)  # (3)
        items = [SealedItem(row.context.text, row.sealed) for row in stored]
        opened = await self._keeper.open(account, proof=proof, items=items)  # (4)
        for row, plaintext in zip(stored, opened, strict=True):
            media = await self._media_opens(folder, row, plaintext, backup) if row.object_name else None
            outcomes.append(Drilled(account, row.record, row.category.name, True, plaintext is not None, media))
        return outcomes

    async def _prove(self, account: AccountId, stored: Sequence[StoredRecord], backup: str) -> OpenProof:
        nonce = await self._keeper.challenge()
        contexts = [row.context.text for row in stored]
        records = [row.record for row in stored]
        payload: dict[str, object] = {
            "principal": "operator",
            "purpose": Purpose.SERVICE_OPERATION.value,
            "backup": backup,
            "nonce": nonce.hex(),
            "items": len(contexts),
            "items_root": items_root(contexts),
            "at": rfc3339(self._clock.now()),
        }
        if len(records) <= RECORDS_IN_PAYLOAD_MAX:
            payload["records"] = [str(record) for record in records]
        inclusion = await self._sequencer.include(
            account, leaf_class=LeafClass.RESTORE_DRILLED, payload=payload, mentions=records
        )
        return open_proof(inclusion)

    async def _media_opens(self, folder: Path, row: StoredRecord, plaintext: bytes | None, backup: str) -> bool:
        """Whether the audio opens to its end and is, byte for byte, what was sealed (5)."""
        proof = await self._prove(row.account, [row], backup)
        digest, size = hashlib.sha256(), 0
        try:
            async for piece in self._keeper.open_media(
                row.account, proof=proof, item=SealedItem(row.context.text), chunks=streamed(folder, row)
            ):
                digest.update(piece)
                size += len(piece)
        except (Gone, Missing):
            return False
        except SealwireError as error:
            diagnostics.failure("restore.media-unreadable", error, record=row.record)
            return False
        if plaintext is None:
            return size > 0
        content = row.opened(plaintext).content.reveal()
        return bool(content.get("audio_sha256", digest.digest()) == digest.digest())


async def streamed(folder: Path, row: StoredRecord) -> AsyncIterator[bytes]:
    """A record's object in an unpacked backup."""
    assert row.object_name is not None
    with (folder / OBJECTS / row.object_name).open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _READ_BYTES):
            yield piece
