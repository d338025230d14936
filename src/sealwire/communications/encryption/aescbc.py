"""AES-CBC with PKCS#7 padding, as the reference product writes and reads it; `openssl enc -d -aes-128-cbc` opens it.

For people who migrate. It does not notice changed bytes: where that matters, use age.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from sealwire.errors import Malformed

_BLOCK_BITS = 128
_KEY_BYTES = (16, 24, 32)
_IV_BYTES = 16


class CipherMalformed(Malformed):
    """A cipher is {"key": ..., "iv": ...} in hex: a key of 16, 24 or 32 bytes and an iv of 16 bytes."""


class CipherWrong(Malformed):
    """With this key and iv the file does not open: it was encrypted with others, or its bytes were changed."""


class CbcEncryptor:
    """Encrypts one file as it comes; `update` as often as needed, `finalize` once."""

    def __init__(self, cipher: Mapping[str, str]) -> None:
        self._padder = PKCS7(_BLOCK_BITS).padder()
        self._encryptor: CipherContext = _cipher(cipher).encryptor()

    def update(self, plaintext: bytes) -> bytes:
        return self._encryptor.update(self._padder.update(plaintext))

    def finalize(self) -> bytes:
        return self._encryptor.update(self._padder.finalize()) + self._encryptor.finalize()


def open_cbc(sealed: bytes, cipher: Mapping[str, str]) -> bytes:
    """The whole file, in memory; CipherWrong when the padding shows that the key does not fit."""
    decryptor, unpadder = _cipher(cipher).decryptor(), PKCS7(_BLOCK_BITS).unpadder()
    try:
        padded = decryptor.update(sealed) + decryptor.finalize()
        return unpadder.update(padded) + unpadder.finalize()
    except ValueError:
        raise CipherWrong from None


def _cipher(cipher: Mapping[str, str]) -> Cipher[CBC]:
    try:
        key, iv = bytes.fromhex(cipher["key"]), bytes.fromhex(cipher["iv"])
    except (KeyError, TypeError, ValueError):
        raise CipherMalformed from None
    if len(key) not in _KEY_BYTES or len(iv) != _IV_BYTES or set(cipher) != {"key", "iv"}:
        raise CipherMalformed
    return Cipher(AES(key), CBC(iv))
