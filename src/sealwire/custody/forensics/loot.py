"""What an attacker carries away: vault files, key candidates, trees. Found by content, not by where they lie."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sealwire.custody.keys.refusals import VaultBroken, VaultNewer
from sealwire.custody.keys.tree import Tree
from sealwire.custody.keys.vault import epoch_keys_in
from sealwire.custody.keys.vault_format import VaultIndex, open_index, open_shard
from sealwire.vocabulary import AccountId

KEY_BYTES = 32
_MAGIC = b"SWVAULT\n"
_KIND_AT = 9
_VAULT_FILE_BYTES_MAX = 64 << 20
_EVERY_OFFSET_BYTES_MAX = 64 << 10
_HEX_KEY = re.compile(rb"(?<![0-9A-Fa-f])[0-9A-Fa-f]{64}(?![0-9A-Fa-f])")
_BASE64_KEY = re.compile(rb"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{43}=?(?![A-Za-z0-9+/_=-])")


@dataclass(frozen=True, slots=True)
class FoundTree:
    """A key tree that could be opened, and by what."""

    account: AccountId
    tree: Tree
    how: str


@dataclass
class Loot:
    """Everything useful in a number of folders; windows are taken from the first folders first."""

    indexes: dict[bytes, str] = field(default_factory=dict)
    shards: dict[bytes, str] = field(default_factory=dict)
    slot_keys: dict[bytes, str] = field(default_factory=dict)
    windows: dict[bytes, str] = field(default_factory=dict)

    @classmethod
    def gather(cls, folders: Sequence[Path], *, windows_max: int) -> Loot:
        """Read every file: vault files by their first bytes, epoch keys from slots, and 32-byte windows of the rest."""
        loot = cls()
        for folder in folders:
            files = list(_files(folder))
            for file in files:
                loot._take(file)
            # Small files first: a key that was left behind lies in a slot file, a log, a temporary file.
            for file in sorted(files, key=_size):
                loot._take_windows(file, windows_max)
        return loot

    def open_trees(self, root_keys: Sequence[bytes]) -> list[FoundTree]:
        """Every index with every root key and every candidate for an epoch key; then every shard with its keys."""
        trees = []
        for data, where in self.indexes.items():
            for key, source in (self.slot_keys | self.windows).items():
                for root_key in root_keys:
                    if (index := _opened(root_key, key, data)) is not None:
                        how = f"{where} with the epoch key in {source}"
                        trees += [FoundTree(account, tree, how) for account, tree in self._trees_of(index)]
        return trees

    def _trees_of(self, index: VaultIndex) -> Iterator[tuple[AccountId, Tree]]:
        for raw, place in index.shards.items():
            account = AccountId.parse(f"{AccountId.prefix}_{raw.hex()}")
            for data in self.shards:
                try:
                    yield account, Tree.parse(open_shard(place.key, account, data).nodes)
                except (VaultBroken, VaultNewer):
                    continue

    def _take(self, file: Path) -> None:
        try:
            if file.stat().st_size > _VAULT_FILE_BYTES_MAX:
                return
            data = file.read_bytes()
        except OSError:
            return
        for at in _places(data, _MAGIC):
            kind = data[at + _KIND_AT : at + _KIND_AT + 1]
            into = {b"I": self.indexes, b"S": self.shards}.get(kind)
            if into is not None:
                into.setdefault(data[at:], str(file))
        try:
            self.slot_keys.update((key, str(file)) for key in epoch_keys_in(data))
        except VaultNewer:
            return

    def _take_windows(self, file: Path, windows_max: int) -> None:
        try:
            size = file.stat().st_size
            step = 1 if size <= _EVERY_OFFSET_BYTES_MAX else KEY_BYTES
            if size < KEY_BYTES or len(self.windows) + size // step > windows_max:
                return
            data = file.read_bytes()
        except OSError:
            return
        for key in _keys_in(data, step):
            self.windows.setdefault(key, str(file))


def _opened(root_key: bytes, epoch_key: bytes, data: bytes) -> VaultIndex | None:
    try:
        return open_index(root_key, epoch_key, data)
    except (VaultBroken, VaultNewer):
        return None


def _keys_in(data: bytes, step: int) -> Iterator[bytes]:
    """Every 32 bytes that could be a key: as they are, in hex, in base64."""
    for match in _HEX_KEY.finditer(data):
        yield bytes.fromhex(match[0].decode())
    for match in _BASE64_KEY.finditer(data):
        yield base64.urlsafe_b64decode(match[0].rstrip(b"=").translate(bytes.maketrans(b"+/", b"-_")) + b"=")
    for at in range(0, len(data) - KEY_BYTES + 1, step):
        yield data[at : at + KEY_BYTES]


def _places(data: bytes, magic: bytes) -> Iterator[int]:
    at = data.find(magic)
    while at != -1:
        yield at
        at = data.find(magic, at + 1)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _files(folder: Path) -> Iterator[Path]:
    for top, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(top) / name
            if path.is_file() and not path.is_symlink():
                yield path
