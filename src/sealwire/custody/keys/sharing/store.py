"""The customer's side: one slot file for each account's share, and how a share is destroyed.

A file has two slots, as the keeper's epoch file: the generation in use and the one that follows, whose public half the
keeper has already. Moving on, the numbers stand again at the code:
(1) the keeper says that the account is sealed to generation n, durably and at all of its holders;
(2) the older generation is overwritten in place, flushed, read back;
(3) generation n+1 is written into the free slot; only then is anything signed or answered.
A crash leaves at least the generation in use; opening the file finishes (3).

Destroying: (4) the wish is written, from then on nothing is lent; (5) both slots are overwritten and read back;
(6) the receipt is signed and written. A crash after (4) is finished at the next start. Every step is taken under one
lock file, so that the command and the running holder never meet in it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sealwire.custody.keys.epoch import Epoch, EpochSlots
from sealwire.custody.keys.files import crash_point, create_durably
from sealwire.custody.keys.receipts import HolderKey
from sealwire.custody.keys.refusals import VaultBroken
from sealwire.custody.keys.sharing.guard import PublicShare, lent_key, private_share
from sealwire.custody.keys.sharing.receipt import ShareReceipt, signed
from sealwire.custody.keys.sharing.refusals import (
    ShareBehind,
    ShareBroken,
    ShareDestroyed,
    ShareOfAnother,
    ShareUnknown,
)
from sealwire.vocabulary import AccountId

SHARE_CRASH_POINTS = (
    "share-made", "epoch-half-prepared", "share-followed", "share-half-destroyed", "share-older-destroyed",
)  # fmt: skip
DESTROY_CRASH_POINTS = ("share-wish-written", "share-slot-half-destroyed", "share-slots-destroyed",
                        "share-receipt-written")  # fmt: skip
_KEY_BYTES = 32


class ShareMeta(msgspec.Struct, frozen=True, kw_only=True):
    """Whose share it is, and since when."""

    account: str
    installation: str
    keeper_vkey: str
    joined_at: str
    released_at: str | None = None
    destroying: bool = False
    generation: int = 1


class ShareStore:
    """The folder of a customer's holder. Everything here blocks and is short."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "shares"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def metas(self) -> list[ShareMeta]:
        """Every share there is or was, by account."""
        return [self._read(path) for path in sorted(self.folder.glob("acc_*.json"))]

    def meta(self, account: AccountId) -> ShareMeta:
        path = self._path(account, "json")
        if not path.exists():
            raise ShareUnknown
        return self._read(path)

    def receipt(self, account: AccountId) -> ShareReceipt | None:
        """That the share was destroyed, if it was."""
        path = self._path(account, "destroyed")
        return msgspec.json.decode(path.read_bytes(), type=ShareReceipt) if path.exists() else None

    def add(self, meta: ShareMeta) -> None:
        """A share of generations 1 and 2; one that is there stays and belongs to this keeper from now on."""
        account = AccountId.parse(meta.account)
        with self._locked():
            if self._path(account, "json").exists():
                known = self._living(account)
                if known.installation != meta.installation:
                    raise ShareOfAnother
                meta = msgspec.structs.replace(known, keeper_vkey=meta.keeper_vkey, released_at=None)
            elif not (self._path(account, "slots").exists() and self._slots(account).read()):
                EpochSlots.create(self._path(account, "slots"), Epoch(1, os.urandom(_KEY_BYTES)))
                crash_point("share-made")
            self._write(meta)
            self._two(account)

    def shares(self, account: AccountId) -> list[PublicShare]:
        """The generation in use and the one that follows."""
        with self._locked():
            self._living(account)
            return [private_share(key, number)[1] for number, key in self._two(account)]

    def lend(self, account: AccountId, generation: int, ephemeral: bytes) -> bytes:
        """The key of one sealing; ShareBehind when this folder does not have its generation."""
        with self._locked():
            self._living(account)
            seeds = dict(self._two(account))
            if generation not in seeds:
                raise ShareBehind(f"the account is sealed to generation {generation}; here are {sorted(seeds)}")
            private, share = private_share(seeds[generation], generation)
            return lent_key(private, share, ephemeral)

    def move_on(self, account: AccountId, generation: int) -> PublicShare:
        """Destroy what is older than this generation; the one that follows it. The same again is harmless."""
        with self._locked():  # (1)
            meta = self._living(account)
            epochs = {epoch.number: slot for slot, epoch in self._slots(account).read().items()}
            if generation not in epochs:
                raise ShareBehind(f"generation {generation} is not here, so nothing was destroyed")
            slots = self._slots(account)
            other = 1 - epochs[generation]
            before = slots.read().get(other)
            if before is not None and before.number < generation:
                slots.destroy(other, before.key, crash_name="share-half-destroyed")  # (2)
                crash_point("share-older-destroyed")
            following = next(epoch for epoch in self._two(account) if epoch.number > generation)  # (3)
            if meta.generation != generation:
                self._write(msgspec.structs.replace(meta, generation=generation))
            return private_share(following.key, following.number)[1]

    def release(self, account: AccountId, at: str) -> None:
        """The account is guarded by this share no more; it stays until the customer destroys it."""
        with self._locked():
            self._write(msgspec.structs.replace(self._living(account), released_at=at))

    def destroy(
        self, account: AccountId, *, key: HolderKey, operator: str, effaceability_class: str, at: str
    ) -> ShareReceipt:
        """Steps (4) to (6), or what is left of them; the same again answers with the same receipt."""
        with self._locked():
            if (known := self.receipt(account)) is not None:
                return known
            meta = self.meta(account)
            self._write(msgspec.structs.replace(meta, destroying=True))  # (4)
            crash_point("share-wish-written")
            slots = self._slots(account)
            for slot in (0, 1):  # (5)
                epoch = slots.read().get(slot)
                slots.destroy(slot, epoch.key if epoch else b"", crash_name="share-slot-half-destroyed")
            crash_point("share-slots-destroyed")
            receipt = signed(
                ShareReceipt(
                    account=str(account), installation=meta.installation, generation=meta.generation, destroyed_at=at,
                    holder=key.name, operator=operator, effaceability_class=effaceability_class,
                    is_released=meta.released_at is not None,
                ), key,
            )  # fmt: skip
            create_durably(self._path(account, "destroyed"), msgspec.json.encode(receipt))  # (6)
            crash_point("share-receipt-written")
            return receipt

    def unfinished(self) -> list[AccountId]:
        """Shares whose destruction a crash interrupted."""
        wished = [AccountId.parse(meta.account) for meta in self.metas() if meta.destroying]
        return [account for account in wished if self.receipt(account) is None]

    def _living(self, account: AccountId) -> ShareMeta:
        meta = self.meta(account)
        if meta.destroying:
            raise ShareDestroyed
        return meta

    def _two(self, account: AccountId) -> list[Epoch]:
        """Both generations, the older first; finishes what a crash left."""
        slots = self._slots(account)
        found = slots.read()
        if not found:
            raise ShareBroken("no generation of this share can be read; nothing was overwritten. Check the disk")
        if len(found) == 1:
            ((slot, epoch),) = found.items()
            slots.prepare(1 - slot, Epoch(epoch.number + 1, os.urandom(_KEY_BYTES)))
            crash_point("share-followed")
            found = slots.read()
        return sorted(found.values())

    def _slots(self, account: AccountId) -> EpochSlots:
        return EpochSlots(self._path(account, "slots"))

    def _read(self, path: Path) -> ShareMeta:
        try:
            return msgspec.json.decode(path.read_bytes(), type=ShareMeta)
        except (OSError, msgspec.DecodeError):
            raise ShareBroken from None

    def _write(self, meta: ShareMeta) -> None:
        create_durably(self._path(AccountId.parse(meta.account), "json"), msgspec.json.encode(meta))

    def _path(self, account: AccountId, kind: str) -> Path:
        return self.folder / f"{account}.{kind}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        except VaultBroken as error:
            raise ShareBroken(str(error)) from None
        finally:
            os.close(descriptor)


__all__ = ["DESTROY_CRASH_POINTS", "SHARE_CRASH_POINTS", "ShareMeta", "ShareStore"]
