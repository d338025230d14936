"""What can be written into an account's log. A class is one byte in every leaf: never reused, never renumbered."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from uuid import UUID

import rfc8785

from sealwire.errors import Malformed
from sealwire.vocabulary import AccountId, ErasureId
from sealwire_verifier.leaf import leaf_bytes

PAYLOAD_BYTES_MAX = 256 * 1024
SALT_BYTES = 32


class LeafClass(IntEnum):
    """The kinds of act an account's log tells of."""

    ACCOUNT_CREATED = 1
    AGREEMENT_ACCEPTED = 2
    CREDENTIAL_ISSUED = 3
    CREDENTIAL_REVOKED = 4
    RECORD_KEPT = 5
    RECORD_OPENED = 6
    SUBJECT_SEARCHED = 7
    ERASURE_REQUESTED = 8
    ERASURE_UNREADABLE = 9
    ERASURE_REMOVED = 10
    RETENTION_RUN = 11
    BACKUP_MADE = 12
    BACKUP_VERIFIED = 13
    RESTORE_DRILLED = 14
    INDEX_REBUILT = 15
    CONFIGURATION_CHANGED = 16
    LOG_OPENED = 17
    RETENTION_CHANGED = 18
    RETENTION_MISSED = 19
    INSTRUCTION_GIVEN = 20
    HOLD_PLACED = 30
    HOLD_RELEASED = 31
    SUBJECT_REQUESTED = 24
    SUBJECT_ANSWERED = 25
    CLOSURE_BEGUN = 40
    CLOSURE_CANCELLED = 41
    CLOSURE_UNREADABLE = 42
    CLOSURE_REMOVED = 43
    BACKUP_DESTROYED = 50
    RESTORE_RECONCILED = 51
    HOLDER_JOINED = 60
    HOLDER_LEFT = 61

    @property
    def type(self) -> str:
        """How payloads name this class: `record.opened`."""
        return self.name.lower().replace("_", ".", 1)


_STATEMENTS = frozenset(
    {LeafClass.ERASURE_UNREADABLE, LeafClass.ERASURE_REMOVED, LeafClass.CLOSURE_UNREADABLE, LeafClass.CLOSURE_REMOVED}
)


class PayloadMalformed(Malformed):
    """A payload holds text, whole numbers and ids in plain JSON, at most 256 KiB of it."""


@dataclass(frozen=True, slots=True)
class SealedPayload:
    """Salt and payload under a leaf of the key tree, and where that leaf is."""

    day: int
    slot: int
    blob: bytes


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """The records one `record.kept` leaf commits to, in the order of their commitments."""

    records: tuple[UUID, ...]
    commitments: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NewLeaf:
    """A leaf that is ready to be appended, and what is stored beside the log for it."""

    leaf_class: LeafClass
    salt: bytes
    payload: bytes
    sealed: SealedPayload | None = None
    mentions: tuple[UUID, ...] = ()
    batch: KeptBatch | None = None

    @property
    def entry(self) -> bytes:
        return leaf_bytes(self.leaf_class, self.salt, self.payload)

    def erasure(self) -> UUID | None:
        """The erasure this leaf makes a statement about, when it makes one that certificates repeat."""
        if self.leaf_class not in _STATEMENTS:
            return None
        return ErasureId.parse(str(json.loads(self.payload).get("erasure"))).value


def read_payload(leaf_class: LeafClass, payload: bytes) -> dict[str, Any]:
    """A payload that came from elsewhere; PayloadMalformed unless it is a JSON object of this class."""
    try:
        whole = json.loads(payload)
        if not isinstance(whole, dict) or whole["type"] != leaf_class.type or len(payload) > PAYLOAD_BYTES_MAX:
            raise PayloadMalformed
        if leaf_class in _STATEMENTS:
            ErasureId.parse(str(whole.get("erasure")))
    except (ValueError, KeyError, RecursionError):
        raise PayloadMalformed from None
    return whole


def new_salt() -> bytes:
    """32 random bytes: without them a leaf tells nothing, not even to somebody who can guess its payload."""
    return secrets.token_bytes(SALT_BYTES)


def encode_payload(account: AccountId, leaf_class: LeafClass, payload: Mapping[str, object]) -> bytes:
    """A payload in canonical JSON (RFC 8785); its type and account are filled in."""
    whole: dict[str, Any] = {"type": leaf_class.type, "account": str(account), **payload}
    try:
        encoded = rfc8785.dumps(whole)
    except rfc8785.CanonicalizationError:
        raise PayloadMalformed from None
    if len(encoded) > PAYLOAD_BYTES_MAX:
        raise PayloadMalformed
    if leaf_class in _STATEMENTS:
        ErasureId.parse(str(whole.get("erasure")))
    return encoded
