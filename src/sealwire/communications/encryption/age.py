"""Sealing to age recipients as audio is spoken (age-encryption.org/v1, X25519). Pure: keys in, bytes out.

A file key of 128 random bits is wrapped for each recipient: ChaCha20-Poly1305 under HKDF-SHA-256 of an X25519 exchange
with a key made for this file. The payload is STREAM: chunks of 64 KiB, each sealed with its number and, the last one,
with a flag, so that a changed, moved or cut-off chunk does not open. The plain `age` program opens the file.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Sequence
from hmac import digest as hmac_digest

import pyrage
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealwire.errors import Malformed

CHUNK_BYTES = 1 << 16
RECIPIENTS_MAX = 8
MAGIC = b"age-encryption.org/v1\n"
_WRAP_INFO = b"age-encryption.org/v1/X25519"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_CHECKSUM_LETTERS = 6


class RecipientMalformed(Malformed):
    """This is not an age public key: send the line that begins with `age1`, as age-keygen prints it."""


class SecretKeySent(Malformed):
    """This is a secret key, not a public one. It was not kept, but it has left your hands: make a new pair."""


class Recipient:
    """A customer's public key (X25519), checked."""

    def __init__(self, text: str, point: bytes) -> None:
        self.text = text
        self.point = point

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """Read and try a public key; RecipientMalformed for one that nothing can be sealed to."""
        text = text.strip()
        if text.upper().startswith("AGE-SECRET-KEY-"):
            raise SecretKeySent
        try:
            pyrage.x25519.Recipient.from_str(text)
            recipient = cls(text, _point(text))
            recipient.wrap(bytes(16))
        except (pyrage.RecipientError, ValueError):
            raise RecipientMalformed from None
        return recipient

    def wrap(self, file_key: bytes) -> bytes:
        """The stanza that hands the file key to the holder of the secret key; ValueError for a point of low order."""
        ephemeral = X25519PrivateKey.generate()
        share = ephemeral.public_key().public_bytes_raw()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.point))
        key = HKDF(SHA256(), 32, salt=share + self.point, info=_WRAP_INFO).derive(shared)
        body = ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None)
        return b"-> X25519 " + _base64(share) + b"\n" + _base64(body) + b"\n"


class AgeSealer:
    """Seals one file; `update` as often as needed, `finalize` once. Holds at most one chunk of what it was given."""

    def __init__(self, recipients: Sequence[Recipient]) -> None:
        if not 0 < len(recipients) <= RECIPIENTS_MAX:
            raise ValueError("a file is sealed to 1 to 8 recipients")
        file_key, nonce = os.urandom(16), os.urandom(16)
        header = MAGIC + b"".join(recipient.wrap(file_key) for recipient in recipients) + b"---"
        mac = hmac_digest(_derived(file_key, salt=None, info=b"header"), header, "sha256")
        self._waiting = bytearray()
        self._aead = ChaCha20Poly1305(_derived(file_key, salt=nonce, info=b"payload"))
        self._chunks = 0
        self._out = header + b" " + _base64(mac) + b"\n" + nonce

    def update(self, plaintext: bytes) -> bytes:
        self._waiting += plaintext
        out, self._out = [self._out], b""
        while len(self._waiting) > CHUNK_BYTES:  # the last chunk is flagged, so a full one waits for more to come
            out.append(self._chunk(CHUNK_BYTES, is_last=False))
        return b"".join(out)

    def finalize(self) -> bytes:
        out, self._out = self._out, b""
        return out + self._chunk(len(self._waiting), is_last=True)

    def _chunk(self, size: int, *, is_last: bool) -> bytes:
        nonce = self._chunks.to_bytes(11, "big") + bytes([is_last])
        sealed = self._aead.encrypt(nonce, bytes(self._waiting[:size]), None)
        del self._waiting[:size]
        self._chunks += 1
        return sealed


def _derived(file_key: bytes, *, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=salt, info=info).derive(file_key)


def _base64(data: bytes) -> bytes:
    return b64encode(data).rstrip(b"=")


def _point(text: str) -> bytes:
    """The 32 bytes of a Bech32 key whose checksum was verified already."""
    letters = text.lower().removeprefix("age1")[:-_CHECKSUM_LETTERS]
    bits = "".join(format(_BECH32.index(letter), "05b") for letter in letters)
    return int(bits[:256], 2).to_bytes(32, "big")
