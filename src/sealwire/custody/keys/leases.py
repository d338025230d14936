"""Which blocks were ever given out: journalled before the reply, so that none is given out twice; and who holds one.

The journal is a file of 32-byte records with a checksum. Requests that come while a flush is on its way share the
next one. A torn end is cut off: those leases were never answered.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from sealwire.custody.keys.files import crash_point, create_durably, sync_folder, write_all
from sealwire.custody.keys.paths import BLOCKS_PER_DAY, DayPath
from sealwire.custody.keys.refusals import BlocksExhausted, VaultBroken, VaultNewer
from sealwire.vocabulary import AccountId

_VERSION = 1
_RECORD = struct.Struct(">B16sBBHHH3x")
_RECORD_BYTES = 32
_DUE_MAX = (1 << 16) - 1


class LeaseId(NamedTuple):
    """One block of 256 slots, given out once."""

    account: AccountId
    day: DayPath
    block: int


class LeaseJournal:
    """The blocks given out, by account and day, with the last day on which their records are kept."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self._issued: dict[tuple[AccountId, DayPath], set[int]] = {}
        self._due: dict[tuple[AccountId, DayPath], int] = {}
        self._whole = 0
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None

    @classmethod
    def open(cls, path: Path, *, create: bool) -> LeaseJournal:
        """Read the whole journal; VaultBroken when it is missing or damaged in the middle."""
        if not create and not path.exists():
            raise VaultBroken("the lease journal is missing from the keeper folder; without it no key is given out")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        sync_folder(path.parent)
        journal = cls(path, descriptor)
        data = path.read_bytes()
        whole = journal._whole = journal._replay(data)
        if whole != len(data):
            os.ftruncate(descriptor, whole)
            os.fsync(descriptor)
        return journal

    def pick(self, account: AccountId, day: DayPath) -> LeaseId:
        """A random block of this day that was never picked before; it counts as given out from now on."""
        issued = self._issued.setdefault((account, day), set())
        if len(issued) >= BLOCKS_PER_DAY:
            raise BlocksExhausted
        block = secrets.randbelow(BLOCKS_PER_DAY)
        while block in issued:
            block = (block + 1) % BLOCKS_PER_DAY
        issued.add(block)
        return LeaseId(account, day, block)

    async def record(self, lease: LeaseId, due_day: int) -> None:
        """Return when this lease is on the disk."""
        due = min(due_day, _DUE_MAX)
        self._due[lease.account, lease.day] = max(due, self._due.get((lease.account, lease.day), 0))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((_encode(lease, due), future))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush())
        await future

    async def take_in(self, leases: Sequence[tuple[LeaseId, int]]) -> None:
        """Note blocks that are known to have been given out, with their due days, in a journal that is built anew."""
        for lease, _ in leases:
            self._issued.setdefault((lease.account, lease.day), set()).add(lease.block)
        await asyncio.gather(*(self.record(lease, due) for lease, due in leases))

    def past_due(self, today: int) -> dict[AccountId, list[DayPath]]:
        """Days of which blocks were given out and whose period has ended."""
        found: dict[AccountId, list[DayPath]] = {}
        for (account, day), due in self._due.items():
            if due < today:
                found.setdefault(account, []).append(day)
        return found

    async def forget_days(self, past: Mapping[AccountId, Iterable[DayPath]]) -> None:
        """Write the journal anew without days whose keys are destroyed: nothing can be leased on them again."""
        for account, days in past.items():
            for day in days:
                self._issued.pop((account, day), None)
                self._due.pop((account, day), None)
        await self._write_anew()

    async def redate(self, account: AccountId, due_of: Callable[[DayPath], int]) -> None:
        """Write the journal anew with other last days for an account, after its periods were set anew."""
        mine = [day for who, day in self._due if who == account]
        dues = {(account, day): min(max(due_of(day), 0), _DUE_MAX) for day in mine}
        if any(self._due[place] != due for place, due in dues.items()):
            self._due |= dues
            await self._write_anew()

    async def _write_anew(self) -> None:
        while self._flusher is not None and not self._flusher.done():
            await asyncio.shield(self._flusher)
        records = [
            _encode(LeaseId(account, day, block), self._due[account, day])
            for (account, day), blocks in self._issued.items()
            for block in blocks
            if (account, day) in self._due
        ]
        create_durably(self._path, b"".join(records))
        self._whole = len(records) * _RECORD_BYTES
        os.close(self._descriptor)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)

    async def close(self) -> None:
        """Wait for the flush on its way and close the file."""
        if self._flusher is not None:
            await asyncio.gather(self._flusher, return_exceptions=True)
        self.abandon()

    def abandon(self) -> None:
        """Close the file at once."""
        os.close(self._descriptor)

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await asyncio.to_thread(self._write, b"".join([data for data, _ in batch]))
                failure = None
            except OSError as error:
                failure = VaultBroken(f"a lease could not be written to the journal ({error.strerror}); check the disk")
            for _, future in batch:
                if not future.done():
                    future.set_result(None) if failure is None else future.set_exception(failure)

    def _write(self, data: bytes) -> None:
        """Append whole records or nothing: what is torn is cut off, before this write as after it."""
        if os.fstat(self._descriptor).st_size != self._whole:
            self._cut_back()
        try:
            write_all(self._descriptor, data)
            crash_point("lease-written")
            os.fdatasync(self._descriptor)
        except OSError:
            with suppress(OSError):  # the next write tries again, and is refused when it cannot
                self._cut_back()
            raise
        self._whole += len(data)
        crash_point("lease-durable")

    def _cut_back(self) -> None:
        os.ftruncate(self._descriptor, self._whole)
        os.fsync(self._descriptor)

    def _replay(self, data: bytes) -> int:
        """Take in every good record; the length of the journal without a torn end."""
        whole = 0
        for start in range(0, len(data), _RECORD_BYTES):
            decoded = _decode(data[start : start + _RECORD_BYTES])
            if decoded is None:
                continue
            if start != whole:
                raise VaultBroken("the lease journal is damaged in the middle; nothing was overwritten")
            lease, due = decoded
            self._issued.setdefault((lease.account, lease.day), set()).add(lease.block)
            self._due[lease.account, lease.day] = max(due, self._due.get((lease.account, lease.day), 0))
            whole = start + _RECORD_BYTES
        return whole


def _encode(lease: LeaseId, due_day: int) -> bytes:
    day = lease.day
    body = _RECORD.pack(
        _VERSION, lease.account.value.bytes, day.category, day.retention_class, day.day, lease.block, due_day
    )
    return body + zlib.crc32(body).to_bytes(4, "big")


def _decode(record: bytes) -> tuple[LeaseId, int] | None:
    body = record[: _RECORD.size]
    if len(record) != _RECORD_BYTES or zlib.crc32(body).to_bytes(4, "big") != record[_RECORD.size :]:
        return None
    version, account, category, retention_class, day, block, due = _RECORD.unpack(body)
    if version > _VERSION:
        raise VaultNewer
    return LeaseId(AccountId(UUID(bytes=account)), DayPath(category, retention_class, day), block), due
