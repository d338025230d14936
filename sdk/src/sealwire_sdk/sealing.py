"""Encryption on your side: media before they are uploaded, recordings after they are downloaded.

Two formats. age (age-encryption.org/v1) is what recordings are sealed to when your account has public keys; the plain
`age` program opens it as well. AES-CBC is for those who come from a service that uses it: what `openssl enc` writes
with -K and -iv. It keeps a secret and does not notice a change; prefer age.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyrage
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sealwire_sdk.errors import KeyWrong, NotSealed

KEY_BYTES = (16, 24, 32)
IV_BYTES = 16


@dataclass(frozen=True, slots=True)
class AgeKey:
    """A key pair. The recipient is public; whoever has the identity can open what is sealed to it."""

    recipient: str
    identity: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CbcKey:
    """A key and its initialisation vector, both in hex. Never use one for two files."""

    key: str = field(repr=False)
    iv: str = field(repr=False)

    @classmethod
    def new(cls) -> CbcKey:
        """A fresh AES-256 key."""
        return cls(secrets.token_hex(32), secrets.token_hex(IV_BYTES))

    def as_cipher(self) -> dict[str, str]:
        """As `play(..., cipher=...)` and `record(..., cipher=...)` take it."""
        return {"key": self.key, "iv": self.iv}


def new_age_key() -> AgeKey:
    """A fresh X25519 key pair: `age1...` and `AGE-SECRET-KEY-1...`."""
    identity = pyrage.x25519.Identity.generate()
    return AgeKey(str(identity.to_public()), str(identity))


def encrypt(data: bytes, recipients: Iterable[str]) -> bytes:
    """Seal to one or more age recipients (`age1...`)."""
    wanted = []
    for text in recipients:
        try:
            wanted.append(pyrage.x25519.Recipient.from_str(text))
        except pyrage.RecipientError:
            raise KeyWrong("an age recipient begins with age1") from None
    if not wanted:
        raise KeyWrong("name at least one age recipient")
    return bytes(pyrage.encrypt(data, wanted))


def decrypt(sealed: bytes, identities: str | Iterable[str]) -> bytes:
    """Open with an age identity (`AGE-SECRET-KEY-1...`), or with whichever of several fits."""
    held = []
    for text in [identities] if isinstance(identities, str) else identities:
        try:
            held.append(pyrage.x25519.Identity.from_str(text.strip()))
        except pyrage.IdentityError:
            raise KeyWrong("an age identity begins with AGE-SECRET-KEY-1") from None
    try:
        return bytes(pyrage.decrypt(sealed, held))
    except pyrage.DecryptError:
        raise NotSealed from None


def encrypt_cbc(data: bytes, key: CbcKey) -> bytes:
    """AES-CBC with PKCS #7 padding, as `openssl enc -aes-256-cbc -K KEY -iv IV`."""
    padder = padding.PKCS7(128).padder()
    encryptor = _cipher(key).encryptor()
    return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


def decrypt_cbc(sealed: bytes, key: CbcKey) -> bytes:
    """The other way. A wrong key is noticed by its padding only, and that not always."""
    decryptor, unpadder = _cipher(key).decryptor(), padding.PKCS7(128).unpadder()
    try:
        return unpadder.update(decryptor.update(sealed) + decryptor.finalize()) + unpadder.finalize()
    except ValueError:
        raise NotSealed from None


def _cipher(key: CbcKey) -> Cipher[modes.CBC]:
    try:
        secret, iv = bytes.fromhex(key.key), bytes.fromhex(key.iv)
    except ValueError:
        raise KeyWrong("key and iv are written in hex") from None
    if len(secret) not in KEY_BYTES or len(iv) != IV_BYTES:
        raise KeyWrong("AES-CBC takes a key of 16, 24 or 32 bytes and an iv of 16")
    return Cipher(algorithms.AES(secret), modes.CBC(iv))
