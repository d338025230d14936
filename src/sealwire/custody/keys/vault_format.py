"""The bytes of the vault. Pure, so that an attacker's tool can try copied files with the very same code.

Two levels: `index.<n>` is sealed under the root key and the key of epoch n together, and holds for each account the
key of its shard; `shards/<account>.<n>` holds that account's tree under a key that is new at every writing. So a
tick rewrites the shards that changed and the index, and an old shard opens with an old index only.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from hmac import digest
from typing import Any
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealwire.custody.keys.held import HeldShard
from sealwire.custody.keys.refusals import VaultBroken, VaultNewer
from sealwire.custody.keys.sharing.guard import Guard
from sealwire.custody.keys.tree import Tree
from sealwire.vocabulary import AccountId

VERSION = 3  # 2: a shard has holds and what is owed; 3: and a guard. Earlier files are read as having none
_HEADER = struct.Struct(">8sBcQ")
_MAGIC = b"SWVAULT\n"
_INDEX, _SHARD = b"I", b"S"
_NONCE_BYTES = 12


class ShardPlace(msgspec.Struct, frozen=True, array_like=True):
    """Where an account's shard lies (the epoch in its file name), the key that opens it, when a hold in it ends, and
    whether a customer's share guards it.
    """

    written: int
    key: bytes
    first_end: int | None = None
    is_guarded: bool = False


class VaultIndex(msgspec.Struct, frozen=True, array_like=True):
    """The upper level: every account's shard, when this was written, and the acts of the tick that wrote it."""

    epoch: int
    written_at: float
    shards: dict[bytes, ShardPlace]
    acts: list[dict[str, Any]]


class Shard(msgspec.Struct, frozen=True, array_like=True):
    """The lower level: what the keeper knows of one account."""

    log_vkey: str
    periods: dict[str, int]
    closed_keeping: list[int] | None
    nodes: bytes
    holds: dict[str, HeldShard] = {}
    owed: bytes = b""
    guard: Guard | None = None
    severed: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_index_decoder = msgspec.msgpack.Decoder(VaultIndex)
_shard_decoder = msgspec.msgpack.Decoder(Shard)


def index_key(root_key: bytes, epoch_key: bytes, number: int) -> bytes:
    """HKDF (RFC 5869) over both keys: either alone opens nothing."""
    extracted = digest(root_key, epoch_key, "sha256")
    return digest(extracted, b"sealwire/vault/v1" + number.to_bytes(8, "big") + b"\x01", "sha256")


def seal_index(root_key: bytes, epoch_key: bytes, index: VaultIndex) -> bytes:
    return _seal(index_key(root_key, epoch_key, index.epoch), _INDEX, index.epoch, b"", _encoder.encode(index))


def open_index(root_key: bytes, epoch_key: bytes, data: bytes) -> VaultIndex:
    """The index in these bytes; VaultBroken when they are damaged or the keys are others."""
    number = _header(data, _INDEX)
    plaintext = _open(index_key(root_key, epoch_key, number), data, b"")
    index = _index_decoder.decode(plaintext)
    if index.epoch != number:
        raise VaultBroken
    return index


def seal_shard(key: bytes, account: AccountId, number: int, shard: Shard) -> bytes:
    return _seal(key, _SHARD, number, account.value.bytes, _encoder.encode(shard))


def open_shard(key: bytes, account: AccountId, data: bytes) -> Shard:
    """The shard in these bytes; VaultBroken when they are damaged or of another account."""
    _header(data, _SHARD)
    return _shard_decoder.decode(_open(key, data, account.value.bytes))


def shard_name(account: AccountId, written: int) -> str:
    return f"{account}.{written}"


def open_vault_copy(
    root_key: bytes, epoch_key: bytes, index_bytes: bytes, shard_lookup: Callable[[str], bytes | None]
) -> dict[AccountId, Tree]:
    """All trees that a copy of a vault gives to whoever has both keys; VaultBroken when they do not open it.

    `shard_lookup` is asked for file names like `acc_<hex>.<n>` and may answer None; shards that are missing or do
    not open are left out.
    """
    trees = {}
    for raw, place in open_index(root_key, epoch_key, index_bytes).shards.items():
        account = AccountId(UUID(bytes=raw))
        data = shard_lookup(shard_name(account, place.written))
        if data is None:
            continue
        try:
            trees[account] = Tree.parse(open_shard(place.key, account, data).nodes)
        except VaultBroken:
            continue
    return trees


def _seal(key: bytes, kind: bytes, number: int, context: bytes, plaintext: bytes) -> bytes:
    header = _HEADER.pack(_MAGIC, VERSION, kind, number)
    nonce = os.urandom(_NONCE_BYTES)
    return header + nonce + AESGCM(key).encrypt(nonce, plaintext, header + context)


def _header(data: bytes, wanted: bytes) -> int:
    if len(data) < _HEADER.size + _NONCE_BYTES + 16:
        raise VaultBroken("a file of the vault is cut short; nothing was overwritten. Copy the folder aside first")
    magic, version, kind, number = _HEADER.unpack_from(data)
    if magic != _MAGIC or kind != wanted:
        raise VaultBroken
    if version > VERSION:
        raise VaultNewer
    return int(number)


def _open(key: bytes, data: bytes, context: bytes) -> bytes:
    nonce = data[_HEADER.size : _HEADER.size + _NONCE_BYTES]
    try:
        return AESGCM(key).decrypt(nonce, data[_HEADER.size + _NONCE_BYTES :], data[: _HEADER.size] + context)
    except InvalidTag:
        raise VaultBroken from None
