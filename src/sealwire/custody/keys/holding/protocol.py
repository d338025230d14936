"""What keeper and holder say to each other, version 1. Every message is a frame of `ground.wire` inside TLS 1.3.

(1) The keeper connects and looks at the holder's certificate: only the pinned one is spoken to (HolderNotAuthentic).
(2) `hello`: the holder answers with its version, its name and a nonce of its own.
(3) `prove`: the keeper signs nonce, the holder's certificate and name with the key that the holder pinned at joining.
    The signature is good for this connection only, and not for another holder that passes it on.
(4) Only then is anything else answered: `put`, `prepare`, `commit`, `take_over`, `roll_back`, `fetch`.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

PROTOCOL = 1
CHUNK_BYTES = 4 << 20
SHARD_NAME = re.compile(r"acc_[0-9a-f]{32}\.[0-9]{1,20}")
INDEX_FILE, ACTS_FILE, LINES_FILE, HEADS_FILE = "index", "acts", "lines", "heads"
_PROOF_DOMAIN = b"sealwire/holder-link/v1\n"


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """How a holder introduces itself; the nonce is what the keeper has to sign."""

    protocol: int
    holder: str
    nonce: bytes
    is_paired: bool


class Pairing(msgspec.Struct, frozen=True, kw_only=True):
    """Whose holder this is."""

    installation: str
    keeper_vkey: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a holder stands: epoch 0 means that it holds nothing yet. `host` and `device` name its failure domain."""

    holder: str
    operator: str
    effaceability_class: str
    host: str
    device: str
    epoch: int
    digest: bytes
    prepared: int
    prepared_digest: bytes
    ledger_epoch: int
    memory_locked: bool


class Root(msgspec.Struct, frozen=True, kw_only=True):
    """The root key as its keeper keeps it: the key itself ("file") or wrapped by an OpenBao ("openbao-transit")."""

    kind: str
    data: bytes


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """All that belongs to one epoch but its key and the shards, which lie beside it under the names listed here.

    `lines` are those of the ledger that came with it when the holder had been away since the epoch `since` (0: new).
    """

    installation: str
    epoch: int
    index: bytes
    shards: dict[str, bytes]
    acts: list[dict[str, Any]]
    root: Root
    members: list[dict[str, Any]]
    heads: bytes
    lines: list[dict[str, Any]] | None = None
    since: int = 0


class Prepare(msgspec.Struct, frozen=True, kw_only=True):
    """Epoch n+1, to be stored beside epoch n. Everything long was sent by `put` and is named here by its hash."""

    epoch: int
    key: bytes
    index_digest: bytes
    acts_digest: bytes
    heads_digest: bytes
    changed: dict[str, bytes]
    replaced: list[str]
    root: Root
    members: list[dict[str, Any]]

    def __repr__(self) -> str:
        return f"Prepare(epoch={self.epoch})"


class TakeOver(msgspec.Struct, frozen=True, kw_only=True):
    """The current epoch for a holder that was away or is new, with every line of the ledger that it missed."""

    epoch: int
    key: bytes
    index_digest: bytes
    acts_digest: bytes
    heads_digest: bytes
    lines_digest: bytes
    shards: dict[str, bytes]
    root: Root
    members: list[dict[str, Any]]

    def __repr__(self) -> str:
        return f"TakeOver(epoch={self.epoch})"


def proof_bytes(nonce: bytes, certificate_pin: str, holder: str) -> bytes:
    """What a keeper signs to show that it is the one, here and now."""
    return _PROOF_DOMAIN + nonce + b"\n" + certificate_pin.encode() + b"\n" + holder.encode()
