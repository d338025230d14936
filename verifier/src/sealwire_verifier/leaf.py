"""Sealwire's log entry: 34 bytes that say which class of event there was, and commit to the rest.

    leaf = 0x01 || class || C        C = SHA-256("sealwire/audit/c1" || salt (32 bytes) || payload)

Without salt and payload the leaf says nothing: once both are destroyed, C cannot be told from random bytes.
"""

from __future__ import annotations

from hashlib import sha256

from sealwire_verifier.errors import NotProved

LEAF_BYTES = 34
RECORD_KEPT = 5
ERASURE_UNREADABLE = 9
ERASURE_REMOVED = 10
CLOSURE_UNREADABLE = 42
CLOSURE_REMOVED = 43
_VERSION = 1
_DOMAIN = b"sealwire/audit/c1"


def commitment(salt: bytes, payload: bytes) -> bytes:
    """C, the salted commitment to a payload."""
    if len(salt) != 32:
        raise NotProved("a salt is not 32 bytes long")
    return sha256(_DOMAIN + salt + payload).digest()


def leaf_bytes(leaf_class: int, salt: bytes, payload: bytes) -> bytes:
    """The entry that stands in the log for this payload."""
    if not 1 <= leaf_class <= 255:
        raise NotProved(f"there is no leaf class {leaf_class}")
    return bytes((_VERSION, leaf_class)) + commitment(salt, payload)
