"""What passes between the keeper and its callers, as frozen types."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from sealwire.custody.keys.receipts import EraseReceipt
from sealwire.vocabulary import AccountId

__all__ = ["EraseReceipt", "KeeperStatus", "Lease", "OpenProof", "SealedItem"]


@dataclass(frozen=True, slots=True)
class Lease:
    """A block of 256 slots of one day, and the day's blind-index key; the keys do not print."""

    account: AccountId
    category: int
    retention_class: int
    day: int
    block: int
    block_key: bytes
    index_key: bytes | None

    def without_keys(self) -> Lease:
        """The same block by its place alone."""
        return replace(self, block_key=b"", index_key=None)

    def __repr__(self) -> str:
        return f"Lease({self.account}, {self.category}/{self.retention_class}/{self.day}, block {self.block})"

    def __reduce__(self) -> str:
        raise TypeError("a lease holds keys and is never pickled")


class OpenProof(msgspec.Struct, frozen=True, kw_only=True):
    """That a leaf saying what will be opened stands in the account's log, under a signed checkpoint."""

    payload: bytes
    salt: bytes
    leaf_class: int
    index: int
    size: int
    path: list[bytes]
    checkpoint: bytes


class SealedItem(msgspec.Struct, frozen=True):
    """A sealed record and the context it was sealed in; for media the blob stays empty."""

    context: str
    blob: bytes = b""


class KeeperStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the keeper is. One holder on one disk: the loss of this disk is the loss of every record."""

    epoch: int
    effaceability_class: str
    reason: str
    accounts: int
    holder_vkey: str
    leases_outstanding: int
    holders: int = 1
    holder_vkeys: list[str] = []
    holders_away: list[str] = []
    erasures_pending: int = 0
    disaster_recoverable: bool = False
    memory_locked: bool = False
    clock_trusted: bool = True
    clock_reason: str = ""
