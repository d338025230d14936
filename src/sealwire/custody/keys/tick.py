"""The forget tick: from epoch n to n+1, after which every older copy of anything is noise for what was destroyed.

(1) shards that changed are written anew, each under a fresh key; the old ones stay;
(2) epoch n+1 is written into the free slot and read back: both epochs are readable now;
(3) index n+1 is written beside the old one, with the acts of this tick in it;
(4) COMMIT: index n+1 gets its name and the folder is flushed. A crash before this leaves epoch n, nothing forgotten
    and nothing certified; a crash after it is rolled forward when the vault is opened again;
(5) the slot of epoch n is overwritten in place, flushed, read back: what was punctured cannot be opened any more;
(6) receipts are signed: never before (5);
(7) the ledger gets this epoch's line, receipts in it;
(8) the old index and the replaced shards are unlinked; they were noise from (5) on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sealwire.custody.keys.account import AccountKeys
from sealwire.custody.keys.epoch import Epoch
from sealwire.custody.keys.files import crash_point, sync_folder, write_durably
from sealwire.custody.keys.refusals import EpochNotDestroyed
from sealwire.custody.keys.vault import KEY_BYTES, Signer, Vault
from sealwire.custody.keys.vault_format import ShardPlace, VaultIndex, seal_index, seal_shard, shard_name
from sealwire.errors import Unavailable
from sealwire.ground.clock import Clock, rfc3339

CRASH_POINTS = (
    "shards-written", "epoch-half-prepared", "epoch-prepared", "index-written", "index-named", "index-committed",
    "epoch-half-destroyed", "epoch-destroyed", "receipts-signed", "ledger-half-written", "ledger-written",
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
) -> list[dict[str, Any]]:
    """Run one tick; the acts with their receipts. TickFailed: nothing changed. EpochNotDestroyed: stop the process.

    `seen_s` is the latest time that the calendar believes: the clock itself may be wrong.
    """
    epoch = Epoch(vault.epoch.number + 1, os.urandom(KEY_BYTES))
    try:
        places = _write_shards(vault, changed, epoch.number)  # (1)
        crash_point("shards-written")
        vault.slots.prepare(1 - vault.slot, epoch)  # (2)
        crash_point("epoch-prepared")
        index = VaultIndex(epoch.number, seen_s, {**vault.index.shards, **places}, acts)
        beside = vault.folder / f"index.{epoch.number}.new"
        write_durably(beside, seal_index(vault.root_key, epoch.key, index))  # (3)
        crash_point("index-written")
    except Exception as error:
        _roll_back(vault, epoch)
        raise TickFailed from error
    try:
        beside.rename(vault.index_path(epoch.number))  # (4)
        crash_point("index-named")
        sync_folder(vault.folder)
        crash_point("index-committed")
        vault.slots.destroy(vault.slot, vault.epoch.key)  # (5)
        crash_point("epoch-destroyed")
        signed = [sign(act, epoch.number) for act in acts]  # (6)
        crash_point("receipts-signed")
        vault.ledger.append(epoch=epoch.number, at=rfc3339(clock.now()), acts=signed)  # (7)
        crash_point("ledger-written")
    except OSError as error:
        raise EpochNotDestroyed from error
    replaced = [(account, vault.place_of(account.account)) for account in changed]
    old = vault.epoch.number
    vault.slot, vault.epoch, vault.index = 1 - vault.slot, epoch, index
    _unlink(vault, old, replaced)  # (8)
    return signed


def _write_shards(vault: Vault, changed: Sequence[AccountKeys], number: int) -> dict[bytes, ShardPlace]:
    places = {}
    for keys in changed:
        place = ShardPlace(number, os.urandom(KEY_BYTES))
        path = vault.shards_folder / shard_name(keys.account, number)
        write_durably(path, seal_shard(place.key, keys.account, number, keys.to_shard()))
        places[keys.account.value.bytes] = place
    if places:
        sync_folder(vault.shards_folder)
    return places


def _roll_back(vault: Vault, epoch: Epoch) -> None:
    """Undo what was prepared; when even that fails, the next opening of the vault does it."""
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
