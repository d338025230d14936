"""The keeper folder: root key, epoch slots, vault and ledger; and how it is opened, whatever happened before.

Opening, in this order; nothing is written before (4):
(1) one keeper only: the folder is locked for as long as the process lives;
(2) the current epoch is the highest readable slot whose index has its name (a lower one, if that epoch was only
    prepared: its index never got its name, so nothing of it was committed);
(3) its index must open, no index of a later epoch may exist, and every shard it names must be there;
(4) the other slot is overwritten with noise, read or not: this destroys an epoch that a crash left undestroyed
    (roll forward) or one that was only prepared (roll back);
(5) files that the index does not name are removed;
(6) the ledger gets the line of this epoch if the crash came before it.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.epoch import SLOT_BYTES, SLOTS, Epoch, EpochSlots, epoch_keys_in
from sealwire.custody.keys.files import create_durably, sync_folder
from sealwire.custody.keys.ledger import Ledger
from sealwire.custody.keys.receipts import Signer
from sealwire.custody.keys.refusals import AccountUnknown, KeeperAlreadyRunning, VaultBroken
from sealwire.custody.keys.rootkey import RootKeys
from sealwire.custody.keys.sharing.guard import Guard
from sealwire.custody.keys.vault_format import (
    ShardPlace,
    VaultIndex,
    open_index,
    open_shard,
    open_vault_copy,
    seal_index,
    shard_name,
)
from sealwire.vocabulary import AccountId

__all__ = ["Vault", "epoch_keys_in", "open_vault_copy"]

KEY_BYTES = 32
_INDEX_NAME = re.compile(r"index\.(\d+)")


class Vault:
    """The open vault. `tick` moves it to the next epoch; everything here blocks, so it runs in a thread."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self.shards_folder = folder / "shards"
        self.slots = EpochSlots(folder / "epoch.slots")
        self.roots = RootKeys(folder)
        self.root_key = b""
        self.slot = 0
        self.epoch = Epoch(0, b"")
        self.index = VaultIndex(0, 0.0, {}, [])
        self.ledger: Ledger
        self._lock = lock

    @classmethod
    def open(cls, folder: Path, lock: int, *, now_s: float, at: str, sign: Signer) -> Vault:
        """Open the locked folder, or fill it at the first start. `sign` completes acts a crash left uncertified."""
        vault = cls(folder, lock)
        if is_new(folder):
            vault._create(now_s, at)
        vault._recover(at, sign)
        return vault

    def close(self) -> None:
        self.ledger.close()
        os.close(self._lock)

    def index_path(self, number: int) -> Path:
        return self.folder / f"index.{number}"

    def load(self, account: AccountId, lent: Callable[[Guard], bytes | None] = lambda _guard: None) -> AccountKeys:
        """Read one account's shard; `lent` answers with the key for its guard, if there is one now."""
        place = self.index.shards.get(account.value.bytes)
        if place is None:
            raise AccountUnknown
        try:
            data = (self.shards_folder / shard_name(account, place.written)).read_bytes()
        except OSError:
            raise VaultBroken(f"the shard of {account} cannot be read; nothing was overwritten") from None
        return AccountKeys.from_shard(account, open_shard(place.key, account, data), lent)

    def accounts_with_holds_before(self, today: int) -> list[AccountId]:
        """The accounts in which a hold ended before this day."""
        shards = self.index.shards.items()
        return [_account(raw) for raw, place in shards if place.first_end is not None and place.first_end < today]

    def guarded_accounts(self) -> list[AccountId]:
        """The accounts that a customer's share guards."""
        return [_account(raw) for raw, place in self.index.shards.items() if place.is_guarded]

    def knows(self, account: AccountId) -> bool:
        return account.value.bytes in self.index.shards

    def _create(self, now_s: float, at: str) -> None:
        self.roots.plant()
        self.shards_folder.mkdir(mode=0o700, exist_ok=True)
        epoch = Epoch(1, os.urandom(KEY_BYTES))
        EpochSlots.create(self.slots.path, epoch)
        Ledger.open(self.folder / "erasures.ledger", create=True).close()
        made = VaultIndex(1, now_s, {}, [{"act": "vault.made", "at": at}])
        sealed = seal_index(self.roots.unwrapped(self.roots.current), epoch.key, made)
        create_durably(self.index_path(1), sealed)

    def _recover(self, at: str, sign: Signer) -> None:
        readable = self.slots.read() if self.slots.path.exists() else {}
        named = named_indexes(self.folder)
        current = [slot for slot, epoch in readable.items() if epoch.number in named]  # (2)
        if not current:
            raise VaultBroken(
                "no readable epoch key opens this vault; nothing was overwritten. If this folder was restored from a"
                " copy, that cannot bring keys back; otherwise copy it aside and check the disk"
            )
        self.slot = max(current, key=lambda slot: readable[slot].number)
        self.epoch = readable[self.slot]
        if named[-1] > self.epoch.number:  # (3)
            raise VaultBroken("the epoch key of the latest vault index cannot be read; nothing was overwritten")
        sealed = self.index_path(self.epoch.number).read_bytes()
        self.root_key = self.roots.open(lambda key: _opens(key, self.epoch.key, sealed))
        self.index = open_index(self.root_key, self.epoch.key, sealed)
        self._require_shards()
        self.ledger = Ledger.open(self.folder / "erasures.ledger")
        if not self.index.epoch - 1 <= self.ledger.epoch <= self.index.epoch:
            raise VaultBroken("vault and erasure ledger are not of one age: one was put back from a copy")
        other = 1 - self.slot
        stale = readable.get(other)
        self.slots.destroy(other, stale.key if stale else b"", crash_name="stale-half-destroyed")  # (4)
        self.remove_unnamed()  # (5)
        if self.ledger.epoch < self.index.epoch:  # (6)
            acts = [sign(act, self.index.epoch) for act in self.index.acts]
            self.ledger.append(epoch=self.index.epoch, at=at, acts=acts)

    def _require_shards(self) -> None:
        present = {path.name for path in self.shards_folder.iterdir()} if self.shards_folder.exists() else set()
        for raw, place in self.index.shards.items():
            if shard_name(_account(raw), place.written) not in present:
                raise VaultBroken(f"the shard of {_account(raw)} is missing; nothing was overwritten")

    def remove_unnamed(self) -> None:
        """Unlink what the current index does not name; all of it is noise by now."""
        named = {shard_name(_account(raw), place.written) for raw, place in self.index.shards.items()}
        for path in self.shards_folder.iterdir():
            if path.name not in named:
                path.unlink()
        for path in self.folder.glob("index.*"):
            if path.name != f"index.{self.epoch.number}":
                path.unlink()
        sync_folder(self.folder)

    def place_of(self, account: AccountId) -> ShardPlace | None:
        return self.index.shards.get(account.value.bytes)


def _account(raw: bytes) -> AccountId:
    return AccountId(UUID(bytes=raw))


def _opens(root_key: bytes, epoch_key: bytes, sealed: bytes) -> bool:
    try:
        open_index(root_key, epoch_key, sealed)
    except VaultBroken:
        return False
    return True


def lock_folder(folder: Path) -> int:
    """Make the folder if need be and lock it for this process (1); KeeperAlreadyRunning when another one has it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / "keeper.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise KeeperAlreadyRunning from None
    return descriptor


def named_indexes(folder: Path) -> list[int]:
    """The epochs of which an index has its name, that is, was committed."""
    names = (_INDEX_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in names if match)


def is_new(folder: Path) -> bool:
    """Nothing was ever committed here: no index, no shard, no lease, no line in the ledger, no later epoch."""
    journals = (folder / "erasures.ledger", folder / "leases.journal")
    if named_indexes(folder) or any(path.exists() and path.stat().st_size for path in journals):
        return False
    if (folder / "shards").exists() and any((folder / "shards").iterdir()):
        return False
    slots = EpochSlots(folder / "epoch.slots")
    if slots.path.exists() and slots.path.stat().st_size == SLOTS * SLOT_BYTES:
        return all(epoch.number <= 1 for epoch in slots.read().values())
    return True
