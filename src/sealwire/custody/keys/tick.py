"""The forget tick: from epoch n to n+1, after which every older copy of anything is noise for what was destroyed.

(1) shards that changed are written anew, each under a fresh key; the old ones stay;
(2) epoch n+1 is written into the free slot and read back: both epochs are readable now;
(3) index n+1 is written beside the old one, with the acts of this tick in it;
(4) every further holder that answers stores all of it beside its epoch n; too few of them: nothing happened;
(5) COMMIT: index n+1 gets its name and the folder is flushed. A crash before this leaves epoch n, nothing forgotten
    and nothing certified; a crash after it is rolled forward when the vault is opened again;
(6) the slot of epoch n is overwritten in place, flushed, read back: what was punctured cannot be opened here any more;
(7) a receipt is signed for each erasure: never before (6);
(8) the holders that prepared do the same and sign; who does not answer will when it has caught up, and until then
    nobody certifies the erasure;
(9) the ledger gets this epoch's line, with the receipts there are;
(10) the old index and the replaced shards are unlinked; they were noise from (6) on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec

from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.epoch import Epoch
from sealwire.custody.keys.files import crash_point, sync_folder, write_durably
from sealwire.custody.keys.holding.companions import Companions, NextEpoch
from sealwire.custody.keys.holding.protocol import Root
from sealwire.custody.keys.holding.refusals import HoldersTooFew
from sealwire.custody.keys.receipts import EraseReceipt, Signer
from sealwire.custody.keys.refusals import EpochNotDestroyed
from sealwire.custody.keys.vault import KEY_BYTES, Vault
from sealwire.custody.keys.vault_format import ShardPlace, VaultIndex, seal_index, seal_shard, shard_name
from sealwire.errors import Unavailable
from sealwire.ground.clock import Clock, rfc3339
from sealwire.vocabulary import AccountId

CRASH_POINTS = (
    "shards-written", "epoch-half-prepared", "epoch-prepared", "index-written", "holders-prepared", "index-named",
    "index-committed", "epoch-half-destroyed", "epoch-destroyed", "receipts-signed", "holders-committed",
    "ledger-half-written", "ledger-written",
    "old-shards-unlinked", "old-files-unlinked",
)  # fmt: skip


class TickFailed(Unavailable):
    """The vault could not be written, so nothing was changed: look at the disk's space and health, then try again."""


def forget(
    vault: Vault,
    changed: Sequence[AccountKeys],
    acts: list[dict[str, Any]],
    *,
    seen_s: float,
    clock: Clock,
    sign: Signer,
    companions: Companions | None = None,
    new_root: tuple[bytes, Root] | None = None,
) -> list[dict[str, Any]]:
    """Run one tick; the acts with their receipts. TickFailed: nothing changed. EpochNotDestroyed: stop the process.

    `seen_s` is the latest time that the calendar believes: the clock itself may be wrong. Under `new_root` the index
    is sealed from now on.
    """
    root_key, root = new_root or (vault.root_key, vault.roots.current)
    epoch = Epoch(vault.epoch.number + 1, os.urandom(KEY_BYTES))
    try:
        places = _write_shards(vault, changed, epoch.number)  # (1)
        crash_point("shards-written")
        vault.slots.prepare(1 - vault.slot, epoch)  # (2)
        crash_point("epoch-prepared")
        index = VaultIndex(epoch.number, seen_s, {**vault.index.shards, **places}, acts)
        beside = vault.folder / f"index.{epoch.number}.new"
        sealed = seal_index(root_key, epoch.key, index)
        write_durably(beside, sealed)  # (3)
        crash_point("index-written")
        if companions is not None:
            next_epoch = _for_holders(vault, epoch, index=index, sealed=sealed, places=places, root=root)
            companions.prepare(next_epoch)  # (4)
        crash_point("holders-prepared")
    except Exception as error:
        _roll_back(vault, epoch, companions)
        raise TickFailed(str(error) if isinstance(error, HoldersTooFew) else None) from error
    try:
        beside.rename(vault.index_path(epoch.number))  # (5)
        crash_point("index-named")
        sync_folder(vault.folder)
        crash_point("index-committed")
        vault.slots.destroy(vault.slot, vault.epoch.key)  # (6)
        crash_point("epoch-destroyed")
        signed = [sign(act, epoch.number) for act in acts]  # (7)
        crash_point("receipts-signed")
        if companions is not None:
            signed = _also(signed, companions.commit(epoch.number, sealed, acts))  # (8)
        crash_point("holders-committed")
        vault.ledger.append(epoch=epoch.number, at=rfc3339(clock.now()), acts=signed)  # (9)
        crash_point("ledger-written")
    except OSError as error:
        raise EpochNotDestroyed from error
    replaced = [(account, vault.place_of(account.account)) for account in changed]
    old = vault.epoch.number
    vault.slot, vault.epoch, vault.index, vault.root_key = 1 - vault.slot, epoch, index, root_key
    _unlink(vault, old, replaced)  # (10)
    return signed


def _write_shards(vault: Vault, changed: Sequence[AccountKeys], number: int) -> dict[bytes, ShardPlace]:
    places = {}
    for keys in changed:
        place = ShardPlace(number, os.urandom(KEY_BYTES), keys.first_end, keys.guard is not None)
        path = vault.shards_folder / shard_name(keys.account, number)
        write_durably(path, seal_shard(place.key, keys.account, number, keys.to_shard()))
        places[keys.account.value.bytes] = place
    if places:
        sync_folder(vault.shards_folder)
    return places


def _for_holders(
    vault: Vault, epoch: Epoch, *, index: VaultIndex, sealed: bytes, places: dict[bytes, ShardPlace], root: Root
) -> NextEpoch:
    names = {raw: shard_name(AccountId(UUID(bytes=raw)), place.written) for raw, place in places.items()}
    before = {raw: vault.index.shards[raw].written for raw in places if raw in vault.index.shards}
    return NextEpoch(
        number=epoch.number,
        key=epoch.key,
        index=sealed,
        changed={name: (vault.shards_folder / name).read_bytes() for name in names.values()},
        replaced=[shard_name(AccountId(UUID(bytes=raw)), written) for raw, written in before.items()],
        acts=index.acts,
        root=root,
    )


def _also(signed: list[dict[str, Any]], others: list[list[EraseReceipt]]) -> list[dict[str, Any]]:
    """The acts with the other holders' receipts beside our own."""
    both = zip(signed, others, strict=True)
    return [{**act, "receipts": [*act["receipts"], *msgspec.to_builtins(more)]} if more else act for act, more in both]


def _roll_back(vault: Vault, epoch: Epoch, companions: Companions | None) -> None:
    """Undo what was prepared; when even that fails, the next opening of the vault does it."""
    if companions is not None:
        companions.roll_back()
    with suppress(OSError, EpochNotDestroyed):
        vault.slots.destroy(1 - vault.slot, epoch.key)
        vault.remove_unnamed()


def _unlink(vault: Vault, old: int, replaced: list[tuple[AccountKeys, ShardPlace | None]]) -> None:
    with suppress(OSError):
        for keys, place in replaced:
            if place is not None:
                (vault.shards_folder / shard_name(keys.account, place.written)).unlink(missing_ok=True)
        crash_point("old-shards-unlinked")
        vault.index_path(old).unlink(missing_ok=True)
        crash_point("old-files-unlinked")
