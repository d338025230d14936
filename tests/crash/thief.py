"""An attacker with the root key, copies of the vault from before without its epoch slots, and a whole disk of now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from uuid import UUID

import msgspec

from sealwire.custody.keys.client import SealedItem
from sealwire.custody.keys.holding.protocol import Copy
from sealwire.custody.keys.refusals import Punctured, VaultBroken
from sealwire.custody.keys.tree import Tree, leaf_keys
from sealwire.custody.keys.vault import epoch_keys_in
from sealwire.custody.keys.vault_format import open_index, open_shard
from sealwire.custody.sealing.envelope import Context, open_record
from sealwire.vocabulary import AccountId
from tests.unit.keys.house import leaf_of

Files = Mapping[str, bytes]
_KEY_AT, _KEY_END, _SLOT = 17, 49, 4096


class Thief:
    """Every tree that any epoch key, any index and any shard of these disks give together."""

    def __init__(self, root_key: bytes, disks: Iterable[Files]) -> None:
        keys, indexes, shards = set[bytes](), set[bytes](), set[bytes]()
        for name, data in ((name, data) for disk in disks for name, data in disk.items()):
            file = name.rpartition("/")[2]
            if file == "epoch.slots":
                keys |= {*epoch_keys_in(data), *_torn_keys_in(data)}
            elif file.startswith("index"):
                indexes.add(data)
            elif file.startswith("copy."):
                with suppress(msgspec.DecodeError):
                    indexes.add(msgspec.msgpack.decode(data, type=Copy).index)
            elif file.startswith("acc_"):
                shards.add(data)
        self._trees: dict[AccountId, list[Tree]] = {}
        for key in keys:
            for index in indexes:
                with suppress(VaultBroken):
                    self._take(open_index(root_key, key, index).shards, shards)

    def _take(self, places: Mapping[bytes, object], shards: set[bytes]) -> None:
        """Old shards are tried with new keys too: a shard key that is used twice would open them."""
        for raw, place in places.items():
            account = AccountId(UUID(bytes=raw))
            for shard in shards:
                with suppress(VaultBroken):
                    nodes = open_shard(place.key, account, shard).nodes  # type: ignore[attr-defined]
                    self._trees.setdefault(account, []).append(Tree.parse(nodes))

    def reads(self, item: SealedItem) -> bytes | None:
        context = Context.parse(item.context)
        for tree in self._trees.get(context.account, []):
            with suppress(Punctured):
                return open_record(leaf_keys(tree.derive(leaf_of(item))).record, context, item.blob)
        return None


def _torn_keys_in(slots: bytes) -> list[bytes]:
    """What stands where a key stands, even if the rest of its slot was overwritten."""
    return [slots[start + _KEY_AT : start + _KEY_END] for start in range(0, len(slots), _SLOT)]
