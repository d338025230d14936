"""Opens what a customer encrypted before upload, with a secret given for this one use. Whole and in memory, or not."""

from __future__ import annotations

from collections.abc import Mapping

import pyrage

from sealwire.communications.encryption.aescbc import open_cbc
from sealwire.errors import Malformed, Refused


class IdentityMalformed(Malformed):
    """This is not an age identity: give the line that begins with AGE-SECRET-KEY-1, as age-keygen prints it."""


class NotForThisIdentity(Malformed):
    """This file is sealed to another key, or its bytes were changed or cut off; nothing of it was opened."""


class SecretNeeded(Refused):
    """This file was encrypted before upload: give its age identity or its cipher with the action that plays it."""


class SecretNotFitting(Refused):
    """The secret that was given is not of the kind this file was encrypted with."""


def open_age(sealed: bytes, identity: str) -> bytes:
    """The whole plaintext. Every chunk is verified before the first byte of it is given out."""
    try:
        secret = pyrage.x25519.Identity.from_str(identity.strip())
    except pyrage.IdentityError:
        raise IdentityMalformed from None
    try:
        return bytes(pyrage.decrypt(sealed, [secret]))
    except pyrage.DecryptError:
        raise NotForThisIdentity from None


def open_uploaded(sealed: bytes, *, encryption: str, secret: Mapping[str, str] | None) -> bytes:
    """A file as it was before its owner encrypted it. `secret` is {"age_identity": ...} or {"key": ..., "iv": ...}."""
    if encryption == "none":
        return sealed
    if not secret:
        raise SecretNeeded
    if encryption == "age" and set(secret) == {"age_identity"}:
        return open_age(sealed, secret["age_identity"])
    if encryption == "aes-cbc" and "age_identity" not in secret:
        return open_cbc(sealed, secret)
    raise SecretNotFitting
