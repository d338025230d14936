"""Opening restored records in a drill: one leaf restore.drilled for each batch, a session that can only open."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from sealwire.custody.backups.manifest import OBJECTS
from sealwire.custody.keys.client import KeeperClient, OpenProof, SealedItem
from sealwire.custody.keys.refusals import Restricted
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


async def streamed(folder: Path, row: StoredRecord) -> AsyncIterator[bytes]:
    """A record's object in an unpacked backup."""
    assert row.object_name is not None
    with (folder / OBJECTS / row.object_name).open("rb") as file:
        while piece := await asyncio.to_thread(file.read, _READ_BYTES):
            yield piece


class DrillOpener:
    """What opens, and what does not. Plaintext is hashed where it must be and dropped."""

    def __init__(self, *, keeper: KeeperClient, sequencer: SequencerClient, clock: Clock) -> None:
        self._keeper, self._sequencer, self._clock = keeper, sequencer, clock
        self._backup, self._folder = "", Path()
        self._hashes: dict[RecordId, bytes] = {}
        self.accounts: set[AccountId] = set()

    def begin(self, backup: str, folder: Path) -> None:
        """Which backup is drilled, and where it is unpacked."""
        self._backup, self._folder = backup, folder

    async def records(self, stored: Sequence[StoredRecord]) -> list[bool | None]:
        """Whether each of them opens; None for one whose opening is restricted (GDPR Art. 18)."""
        by_account: dict[AccountId, list[int]] = defaultdict(list)
        for index, row in enumerate(stored):
            by_account[row.account].append(index)
        outcomes: list[bool | None] = [False] * len(stored)
        self._hashes.clear()
        for account, indices in by_account.items():
            self.accounts.add(account)
            for start in range(0, len(indices), RECORDS_IN_PAYLOAD_MAX):
                some = indices[start : start + RECORDS_IN_PAYLOAD_MAX]
                opened = await self._batch(account, [stored[index] for index in some])
                for index, outcome in zip(some, opened, strict=True):
                    outcomes[index] = outcome
        return outcomes

    async def _batch(self, account: AccountId, rows: list[StoredRecord]) -> list[bool | None]:
        """The keeper refuses a batch with one restricted record in it, so that one is looked for by halves."""
        try:
            proof = await self._prove(account, rows)
            items = [SealedItem(row.context.text, row.sealed) for row in rows]
            opened = await self._keeper.open(account, proof=proof, items=items)
        except Restricted:
            if len(rows) == 1:
                return [None]
            half = len(rows) // 2
            return await self._batch(account, rows[:half]) + await self._batch(account, rows[half:])
        for row, plaintext in zip(rows, opened, strict=True):
            if plaintext is not None and row.object_name is not None:
                content = row.opened(plaintext).content.reveal()
                if "audio_sha256" in content:
                    self._hashes[row.record] = content["audio_sha256"]
        return [plaintext is not None for plaintext in opened]

    async def media(self, row: StoredRecord) -> bool:
        """Whether the audio of a record that was just opened opens to its end and is what was sealed."""
        digest, size = hashlib.sha256(), 0
        proof = await self._prove(row.account, [row])
        item = SealedItem(row.context.text)
        try:
            chunks = streamed(self._folder, row)
            async for piece in self._keeper.open_media(row.account, proof=proof, item=item, chunks=chunks):
                digest.update(piece)
                size += len(piece)
        except (Gone, Missing, FileNotFoundError):
            return False
        except SealwireError as error:
            diagnostics.failure("restore.media-unreadable", error, record=row.record)
            return False
        wanted = self._hashes.get(row.record)
        return size > 0 if wanted is None else digest.digest() == wanted

    async def _prove(self, account: AccountId, rows: Sequence[StoredRecord]) -> OpenProof:
        contexts, records = [row.context.text for row in rows], [row.record for row in rows]
        payload: dict[str, object] = {
            "principal": "operator",
            "purpose": Purpose.SERVICE_OPERATION.value,
            "backup": self._backup,
            "nonce": (await self._keeper.challenge()).hex(),
            "items": len(contexts),
            "items_root": items_root(contexts),
            "at": rfc3339(self._clock.now()),
            "records": [str(record) for record in records],
        }
        inclusion = await self._sequencer.include(
            account, leaf_class=LeafClass.RESTORE_DRILLED, payload=payload, mentions=records
        )
        return open_proof(inclusion)
