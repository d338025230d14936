"""What a key holder signs after it destroyed keys, and the Ed25519 key it signs with."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealwire.custody.keys.files import create_durably
from sealwire.custody.keys.refusals import VaultBroken
from sealwire.ground.clock import Clock, rfc3339
from sealwire_verifier.note import SigningKey

Signer = Callable[[dict[str, Any], int], dict[str, Any]]
METHOD = "epoch key overwritten in its slot, flushed and read back"
_PATHS_DOMAIN = b"sealwire/paths/v1\n"


class EraseReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One holder's signed word that the keys of these paths are destroyed. Holds no personal data."""

    version: int = 1
    erasure: str
    log: str
    epoch_before: int
    epoch_after: int
    destroyed_at: str
    holder: str
    method: str
    effaceability_class: str
    paths_root: str
    count: int
    held: int | msgspec.UnsetType = msgspec.UNSET
    operator: str | msgspec.UnsetType = msgspec.UNSET
    share: int | msgspec.UnsetType = msgspec.UNSET
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """RFC 8785 canonical JSON of everything but the signature."""
        fields = msgspec.to_builtins(self)
        del fields["signature"]
        return rfc8785.dumps(fields)


class HolderKey:
    """This holder's signing key; its name is `sealwire.holder/` and eight hex digits of its public key's hash."""

    def __init__(self, seed: bytes) -> None:
        private = Ed25519PrivateKey.from_private_bytes(seed)
        fingerprint = sha256(private.public_key().public_bytes_raw()).hexdigest()[:8]
        self._key = SigningKey(f"sealwire.holder/{fingerprint}", private)

    @classmethod
    def open(cls, path: Path, *, create: bool) -> HolderKey:
        """Read the 32-byte seed, or make one at the first start."""
        if create and not path.exists():
            create_durably(path, os.urandom(32))
        seed = path.read_bytes() if path.exists() else b""
        if len(seed) != 32:
            raise VaultBroken("the holder's signing key is missing or damaged; nothing was overwritten")
        return cls(seed)

    @property
    def name(self) -> str:
        return self._key.name

    @property
    def vkey(self) -> str:
        """The public key in C2SP signed-note form, for policies and agreements."""
        return str(self._key.vkey)

    def sign_bytes(self, data: bytes) -> bytes:
        """Ed25519 over bytes that begin with a domain of their own, never those of a receipt."""
        return self._key.private.sign(data)

    def sign(self, receipt: EraseReceipt) -> EraseReceipt:
        signature = self._key.private.sign(receipt.signed_bytes())
        return msgspec.structs.replace(receipt, signature=b64encode(signature).decode())


def signed_receipt(
    key: HolderKey,
    act: Mapping[str, Any],
    *,
    epochs: tuple[int, int],
    at: str,
    effaceability_class: str,
    operator: str,
) -> dict[str, Any]:
    """The receipt of one act of erasing, as plain values."""
    receipt = EraseReceipt(
        erasure=act["erasure"],
        log=act["log"],
        epoch_before=epochs[0],
        epoch_after=epochs[1],
        destroyed_at=at,
        holder=key.name,
        method=METHOD,
        effaceability_class=effaceability_class,
        paths_root=act["paths_root"],
        count=act["count"],
        held=act.get("held", msgspec.UNSET),
        operator=operator or msgspec.UNSET,
    )
    return dict(msgspec.to_builtins(key.sign(receipt)))


def receipt_signer(key: HolderKey, clock: Clock, *, effaceability_class: str, operator: str) -> Signer:
    """Completes an act of epoch n with this holder's receipt, if it is an erasure that somebody asked for."""

    def sign(act: dict[str, Any], epoch: int) -> dict[str, Any]:
        if act["act"] != "erased":
            return act
        receipt = signed_receipt(
            key, act, epochs=(epoch - 1, epoch), at=rfc3339(clock.now()),
            effaceability_class=effaceability_class, operator=operator,
        )  # fmt: skip
        return {**act, "receipts": [receipt]}

    return sign


def paths_root(texts: Iterable[str]) -> str:
    """The commitment of a receipt to what was destroyed: SHA-256 over the sorted path texts."""
    return b64encode(sha256(_PATHS_DOMAIN + "\n".join(sorted(texts)).encode()).digest()).decode()
