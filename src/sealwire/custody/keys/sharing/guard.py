"""An account's keys sealed to a share: what the operator has opens nothing without what the customer has. Pure.

A share is an X25519 key pair of one generation; its private half never leaves the customer's holder. The keeper seals
the guarded part of an account's tree to the public half, under a fresh key pair of its own, and stores that inside the
account's shard, which the vault index opens, which the epoch key opens: two of two. To open it the holder computes the
key of this one sealing and lends it.
Outside the guard stay invoices, which the operator must keep by law, and payloads of the log, which tell of every
opening: both must be written while the customer's holder is away.
"""

from __future__ import annotations

import os
from hmac import digest

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealwire.custody.keys.paths import AUDIT_CATEGORY, INDEX_CATEGORY, NodePath, category_node
from sealwire.custody.keys.sharing.refusals import ShareWrong
from sealwire.custody.keys.tree import Tree
from sealwire.vocabulary import AccountId

BILLING_CATEGORY = 3
OUTSIDE = (BILLING_CATEGORY, AUDIT_CATEGORY)
"""The categories that a share does not guard."""

_OUTSIDE_NODES = (
    category_node(BILLING_CATEGORY), category_node(AUDIT_CATEGORY), NodePath(12, INDEX_CATEGORY << 4 | BILLING_CATEGORY)
)  # fmt: skip
_NONCE_BYTES = 12


class PublicShare(msgspec.Struct, frozen=True, array_like=True):
    """What may be known of one generation of a share."""

    generation: int
    public: bytes


class Guard(msgspec.Struct, frozen=True, array_like=True):
    """Whose share guards an account, of which generation, and the sealed part of the tree.

    `is_reused`: a change was sealed to a generation that had sealed an older state, so another rotation must follow
    before the holder can attest the change.
    """

    vkey: str
    address: str
    pin: str
    operator: str
    share: PublicShare
    ephemeral: bytes
    sealed: bytes
    is_reused: bool = False

    @property
    def name(self) -> str:
        return self.vkey.partition("+")[0]


def private_share(seed: bytes, generation: int) -> tuple[X25519PrivateKey, PublicShare]:
    """The key pair of one generation from its 32 bytes."""
    private = X25519PrivateKey.from_private_bytes(seed)
    return private, PublicShare(generation, private.public_key().public_bytes_raw())


def lent_key(private: X25519PrivateKey, share: PublicShare, ephemeral: bytes) -> bytes:
    """What a holder lends: the key of the one sealing that was made under this ephemeral key."""
    try:
        agreed = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
    except ValueError:
        raise ShareWrong("this is no sealing's public key; nothing was lent") from None
    return _key(agreed, share, ephemeral)


def seal_tree(tree: Tree, guard: Guard, account: AccountId, *, to: PublicShare) -> tuple[Guard, bytes]:
    """The guard over this tree's guarded part, and the key that opens it while it is lent."""
    private = X25519PrivateKey.generate()
    ephemeral = private.public_key().public_bytes_raw()
    try:
        agreed = private.exchange(X25519PublicKey.from_public_bytes(to.public))
    except ValueError:
        raise ShareWrong("the holder's public share is not one; nothing was sealed to it") from None
    key, nonce = _key(agreed, to, ephemeral), os.urandom(_NONCE_BYTES)
    sealed = nonce + AESGCM(key).encrypt(nonce, guarded(tree).serialise(), _about(account, to))
    is_reused = to == guard.share and bool(guard.sealed)
    return msgspec.structs.replace(guard, share=to, ephemeral=ephemeral, sealed=sealed, is_reused=is_reused), key


def open_guard(key: bytes, guard: Guard, account: AccountId) -> Tree:
    """The guarded part; ShareWrong when the key is not that of this sealing."""
    nonce, sealed = guard.sealed[:_NONCE_BYTES], guard.sealed[_NONCE_BYTES:]
    try:
        return Tree.parse(AESGCM(key).decrypt(nonce, sealed, _about(account, guard.share)))
    except (InvalidTag, ValueError):
        raise ShareWrong from None


def outside(tree: Tree) -> Tree:
    """The part that stays open to the operator."""
    found: dict[int, bytes] = {}
    for place in _OUTSIDE_NODES:
        if tree.holds(place):
            found[place.number] = tree.derive(place)
        else:
            found |= {number: node for number, node in tree.nodes.items() if place.covers(_path_of(number))}
    return Tree(found)


def guarded(tree: Tree) -> Tree:
    """Everything else."""
    rest = tree.copy()
    for place in _OUTSIDE_NODES:
        rest.puncture(place)
    return rest


def joined(one: Tree, other: Tree) -> Tree:
    """Both parts as one tree again."""
    return Tree(one.nodes | other.nodes)


def _path_of(number: int) -> NodePath:
    depth = number.bit_length() - 1
    return NodePath(depth, number ^ (1 << depth))


def _key(agreed: bytes, share: PublicShare, ephemeral: bytes) -> bytes:
    extracted = digest(b"sealwire/share/v1", agreed, "sha256")
    return digest(extracted, ephemeral + share.public + share.generation.to_bytes(8, "big") + b"\x01", "sha256")


def _about(account: AccountId, share: PublicShare) -> bytes:
    return b"sealwire/guard/v1\n" + account.value.bytes + share.generation.to_bytes(8, "big")
