"""A holder's folder: the current epoch's key in its slot, that epoch's copy, its shards, and the ledger.

Taking a new epoch, at the holder; the numbers stand again at the code:
(1) the shards that changed lie beside the old ones;
(2) `copy.<n+1>.new` is written beside `copy.<n>`;
(3) the key of n+1 goes into the free slot and is read back: prepared, and acknowledged;
(4) COMMIT, on the keeper's word only: `copy.<n+1>` gets its name;
(5) the slot of n is overwritten in place, flushed, read back;
(6) the ledger gets the line, with this holder's own receipts in it; only now are they given out;
(7) what epoch n named is unlinked: noise from (5) on.

A crash before (4) leaves both epochs, and the keeper's next word decides; a crash after it is rolled forward when
the folder is opened again, before anything is answered. The epoch only ever rises.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from sealwire.custody.keys.epoch import Epoch, EpochSlots
from sealwire.custody.keys.files import crash_point, create_durably, sync_folder, write_durably
from sealwire.custody.keys.holding.protocol import (
    ACTS_FILE,
    HEADS_FILE,
    INDEX_FILE,
    LINES_FILE,
    SHARD_NAME,
    Copy,
    Pairing,
    Prepare,
    TakeOver,
)
from sealwire.custody.keys.holding.refusals import CopyRefused, EpochLower, HolderStateBroken, NothingPrepared
from sealwire.custody.keys.ledger import Ledger
from sealwire.custody.keys.refusals import KeeperAlreadyRunning, VaultBroken
from sealwire.custody.keys.vault_format import open_index, shard_name
from sealwire.vocabulary import AccountId

HOLDER_CRASH_POINTS = (
    "holder-staged", "holder-copy-written", "epoch-half-prepared", "holder-prepared", "holder-named",
    "holder-committed", "epoch-half-destroyed", "holder-destroyed", "ledger-half-written", "holder-ledger-written",
    "holder-unlinked",
)  # fmt: skip
EMPTY = Epoch(0, b"")
_STAGED_BESIDE = frozenset({INDEX_FILE, ACTS_FILE, LINES_FILE, HEADS_FILE})
_acts = msgspec.json.Decoder(list[dict[str, Any]])
_line = msgspec.json.Decoder(dict[str, Any])

Sign = Callable[[dict[str, Any], int, int], dict[str, Any]]
"""Completes an act (epoch before, epoch after) with this holder's receipt."""


class HolderState:
    """The open folder. Everything here blocks, so it runs in a thread, one call at a time."""

    def __init__(self, folder: Path, lock: int, sign: Sign) -> None:
        self.folder, self.shards, self.staged = folder, folder / "shards", folder / "staged"
        self.slots = EpochSlots(folder / "epoch.slots")
        self.slot, self.epoch = 0, EMPTY
        self.copy: Copy | None = None
        self.prepared: tuple[Epoch, Copy] | None = None
        self.ledger: Ledger
        self._lock, self._sign = lock, sign
        self._signed: list[dict[str, Any]] | None = None

    @classmethod
    def open(cls, folder: Path, sign: Sign, *, at: str) -> HolderState:
        """Lock and open the folder, or fill it; finishes what a crash interrupted after a commit."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "holder.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            state = cls(folder, lock, sign)
            state._open(at)
        except BlockingIOError:
            os.close(lock)
            raise KeeperAlreadyRunning("another holder process has this folder open; stop it first") from None
        except BaseException:
            os.close(lock)
            raise
        return state

    def close(self) -> None:
        self.ledger.close()
        os.close(self._lock)

    @property
    def pairing(self) -> Pairing | None:
        path = self.folder / "pairing.json"
        return msgspec.json.decode(path.read_bytes(), type=Pairing) if path.exists() else None

    def pair(self, pairing: Pairing) -> None:
        create_durably(self.folder / "pairing.json", msgspec.json.encode(pairing))

    @property
    def digest(self) -> bytes:
        """The hash of the current index; nothing before the first copy."""
        return b"" if self.copy is None else sha256(self.copy.index).digest()

    def stage(self, name: str, data: bytes, *, is_first: bool) -> None:
        """Take a piece of a file that a later message will name by its hash."""
        if name not in _STAGED_BESIDE and not SHARD_NAME.fullmatch(name):
            raise CopyRefused("a file of that name is nothing that a holder stores")
        self.staged.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if is_first else os.O_APPEND)
        descriptor = os.open(self.staged / name, flags, 0o600)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def lacks(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if not (SHARD_NAME.fullmatch(name) and (self.shards / name).exists())]

    def prepare(self, wanted: Prepare) -> None:
        """Steps (1) to (3). The same epoch again replaces what was prepared; a lower one is refused."""
        if wanted.epoch <= self.epoch.number or self.copy is None:
            raise EpochLower
        if wanted.epoch != self.epoch.number + 1:
            raise NothingPrepared("this holder missed an epoch and has to catch up before it prepares another")
        kept = {name: value for name, value in self.copy.shards.items() if name not in wanted.replaced}
        self._prepare(wanted, {**kept, **wanted.changed}, wanted.changed)

    def commit(self, epoch: int, digest: bytes, *, at: str) -> list[dict[str, Any]]:
        """Steps (4) to (7); the acts with this holder's receipts. The same again answers the same."""
        if self.prepared is not None and self.prepared[0].number == epoch:
            if sha256(self.prepared[1].index).digest() != digest:
                raise NothingPrepared
            self._commit(at)
        if self.copy is None or self.epoch.number != epoch or self.digest != digest:
            raise NothingPrepared
        return self._settle_ledger(at)

    def take_over(self, wanted: TakeOver, *, at: str) -> list[dict[str, Any]]:
        """Go straight to the keeper's epoch, destroying the old key; the acts that were missed, with receipts."""
        if wanted.epoch <= self.epoch.number:
            raise EpochLower
        lines = [_line.decode(line) for line in self._checked(LINES_FILE, wanted.lines_digest).splitlines()]
        fetched = {name: value for name, value in wanted.shards.items() if not (self.shards / name).exists()}
        self._prepare(wanted, wanted.shards, fetched, lines)
        return self._commit(at)

    def roll_back(self) -> None:
        """Forget what was prepared and not committed."""
        if self.prepared is not None:
            epoch, _ = self.prepared
            self.prepared = None
            self.slots.destroy(1 - self.slot, epoch.key)
        self._remove_unnamed()

    def _open(self, at: str) -> None:
        self.shards.mkdir(mode=0o700, exist_ok=True)
        if not self.slots.path.exists():
            if any(self.folder.glob("copy.*")):
                raise HolderStateBroken
            EpochSlots.create(self.slots.path, Epoch(0, os.urandom(32)))
            Ledger.open(self.folder / "erasures.ledger", create=True).close()
        readable = self.slots.read()
        named = {slot: epoch for slot, epoch in readable.items() if self._copy_path(epoch.number).exists()}
        self.ledger = Ledger.open(self.folder / "erasures.ledger", create=True)
        if named:
            self.slot = max(named, key=lambda slot: named[slot].number)
            self.epoch = named[self.slot]
            self.copy = self._read_copy(self._copy_path(self.epoch.number))
        elif any(path.suffix[1:].isdigit() for path in self.folder.glob("copy.*")):
            raise HolderStateBroken("the epoch key of this holder's copy cannot be read; nothing was overwritten")
        else:
            self.slot = next((slot for slot, epoch in readable.items() if epoch.number == 0), 0)
        self._settle(readable.get(1 - self.slot))
        self._remove_unnamed()
        if self.copy is not None:
            self._settle_ledger(at)

    def _settle(self, other: Epoch | None) -> None:
        """What stands in the other slot: prepared (the keeper decides), or to be destroyed now, before serving."""
        if other is not None and other.number == self.epoch.number + 1 and self.copy is not None:
            beside = self._beside(other.number)
            if beside.exists():
                with suppress(HolderStateBroken):
                    self.prepared = (other, self._read_copy(beside))
                    return
        self.slots.destroy(1 - self.slot, other.key if other else b"", crash_name="stale-half-destroyed")

    def _prepare(
        self,
        wanted: Prepare | TakeOver,
        shards: dict[str, bytes],
        fetched: Mapping[str, bytes],
        lines: list[dict[str, Any]] | None = None,
    ) -> None:
        if self.prepared is not None:
            self.roll_back()
        index = self._checked(INDEX_FILE, wanted.index_digest)
        for name, expected in fetched.items():
            self._checked(name, expected)
        copy = Copy(
            installation=self.pairing.installation if self.pairing else "",
            epoch=wanted.epoch, index=index, shards=shards, root=wanted.root, members=wanted.members,
            acts=_acts.decode(self._checked(ACTS_FILE, wanted.acts_digest)),
            heads=self._checked(HEADS_FILE, wanted.heads_digest), lines=lines, since=self.epoch.number,
        )  # fmt: skip
        _require_whole(copy, wanted.key)
        for name in fetched:
            (self.staged / name).rename(self.shards / name)  # (1)
        missing = self.lacks(list(shards))
        if missing:
            raise CopyRefused(f"{len(missing)} shards of the new epoch were neither sent nor here")
        sync_folder(self.shards)
        crash_point("holder-staged")
        write_durably(self._beside(wanted.epoch), msgspec.msgpack.encode(copy))  # (2)
        sync_folder(self.folder)
        crash_point("holder-copy-written")
        epoch = Epoch(wanted.epoch, wanted.key)
        self.slots.prepare(1 - self.slot, epoch)  # (3)
        crash_point("holder-prepared")
        self.prepared = (epoch, copy)

    def _commit(self, at: str) -> list[dict[str, Any]]:
        assert self.prepared is not None
        epoch, copy = self.prepared
        self._beside(epoch.number).rename(self._copy_path(epoch.number))  # (4)
        crash_point("holder-named")
        sync_folder(self.folder)
        crash_point("holder-committed")
        old, self.prepared, self._signed = self.epoch, None, None
        self.slots.destroy(self.slot, old.key)  # (5)
        self.slot, self.epoch, self.copy = 1 - self.slot, epoch, copy
        crash_point("holder-destroyed")
        signed = self._settle_ledger(at)  # (6)
        crash_point("holder-ledger-written")
        self._remove_unnamed()  # (7)
        crash_point("holder-unlinked")
        return signed

    def _settle_ledger(self, at: str) -> list[dict[str, Any]]:
        """The ledger's lines up to this epoch, unless they stand there; the acts that are this holder's to sign."""
        assert self.copy is not None
        if self._signed is not None and self.ledger.epoch >= self.epoch.number:
            return self._signed
        copy, number = self.copy, self.epoch.number
        if copy.lines is None:
            self._signed = [self._sign(act, number - 1, number) for act in copy.acts]
            self._append(number, at, self._signed)
            return self._signed
        signed: list[dict[str, Any]] = []
        for line in copy.lines:
            acts = line["acts"]
            if line["epoch"] > copy.since > 0:
                acts = [self._sign(act, copy.since, number) for act in acts]
                signed += acts
            self._append(line["epoch"], line["at"], acts)
        self._signed = signed
        return signed

    def _append(self, epoch: int, at: str, acts: list[dict[str, Any]]) -> None:
        if self.ledger.epoch < epoch <= self.epoch.number:
            self._whole_line(lambda: self.ledger.append(epoch=epoch, at=at, acts=acts))

    def _whole_line(self, append: Callable[[], None]) -> None:
        try:
            append()
        except OSError:
            path = self.ledger.path
            self.ledger.close()
            self.ledger = Ledger.open(path)
            raise

    def _checked(self, name: str, expected: bytes) -> bytes:
        path = self.staged / name
        data = path.read_bytes() if path.exists() else b""
        if sha256(data).digest() != expected:
            raise CopyRefused("a file came to this holder with other bytes than announced; nothing of it was taken")
        return data

    def _remove_unnamed(self) -> None:
        copies = [copy for copy in (self.copy, self.prepared[1] if self.prepared else None) if copy is not None]
        named = {name for copy in copies for name in copy.shards}
        kept = {self._copy_path(self.epoch.number)} | {self._beside(copy.epoch) for copy in copies[1:]}
        for path in self.shards.iterdir():
            if path.name not in named:
                path.unlink()
        for path in self.folder.glob("copy.*"):
            if path not in kept:
                path.unlink()
        for path in self.staged.iterdir() if self.staged.exists() else ():
            path.unlink()
        sync_folder(self.folder)

    def _copy_path(self, epoch: int) -> Path:
        return self.folder / f"copy.{epoch}"

    def _beside(self, epoch: int) -> Path:
        return self.folder / f"copy.{epoch}.new"

    def _read_copy(self, path: Path) -> Copy:
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=Copy)
        except (OSError, msgspec.DecodeError):
            raise HolderStateBroken from None


def _require_whole(copy: Copy, key: bytes) -> None:
    """With the root key at hand the holder sees for itself that key, index and shards belong together."""
    if len(key) != 32:
        raise CopyRefused("an epoch key has 32 bytes; this has not, so it was not taken")
    if copy.root.kind != "file":
        return
    try:
        index = open_index(copy.root.data, key, copy.index)
    except VaultBroken:
        raise CopyRefused("the index does not open with the key that came with it, so it was not taken") from None
    places = {shard_name(AccountId.parse(f"acc_{raw.hex()}"), place.written) for raw, place in index.shards.items()}
    if index.epoch != copy.epoch or places != set(copy.shards):
        raise CopyRefused("the index is of another epoch or names other shards than were announced; not taken")
