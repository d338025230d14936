"""How one record is sealed: AES-256-GCM for small records, Cobblestone-256 for media. Pure: keys in, bytes out.

A blob is 0x01, a random 96-bit nonce and the AES-256-GCM ciphertext; its associated data is the record's context,
so that a blob moved to another account, day or slot does not open. The key is used for one record only.
"""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest as hmac_digest

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealwire.errors import Broken, Malformed
from sealwire.vocabulary import AccountId

RECORD_VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16
KEY_BYTES = 32
BLOB_OVERHEAD = 1 + NONCE_BYTES + TAG_BYTES
LOOKUP_SALT_BYTES = 32
_ITEMS_DOMAIN = b"sealwire/items/v1\n"
_LOOKUP_DOMAIN = b"sealwire/lookup/v1\n"


class SealBroken(Broken):
    """A seal does not open: the stored bytes are not what was sealed, or they were moved from another place."""


class ContextMalformed(Malformed):
    """This is not a record's context: write account|category|class|day|slot|version in plain decimal numbers."""


class LookupSaltMalformed(Malformed):
    """The salt of a lookup is 32 random bytes; make a fresh one for each lookup."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a record belongs; bound into its seal as associated data."""

    account: AccountId
    category: int
    retention_class: int
    day: int
    slot: int
    version: int = RECORD_VERSION

    @property
    def text(self) -> str:
        numbers = (self.category, self.retention_class, self.day, self.slot, self.version)
        return "|".join((str(self.account), *map(str, numbers)))

    @classmethod
    def parse(cls, text: str) -> Context:
        """Read a context; exactly the text that `text` prints, so that there is one spelling only."""
        account, *numbers = text.split("|")
        if len(numbers) != 5 or not all(number.isascii() and number.isdigit() for number in numbers):
            raise ContextMalformed
        category, retention_class, day, slot, version = map(int, numbers)
        context = cls(
            account=AccountId.parse(account),
            category=category,
            retention_class=retention_class,
            day=day,
            slot=slot,
            version=version,
        )
        in_range = category < 1 << 8 and retention_class < 1 << 4 and day < 1 << 16 and slot < 1 << 24
        if not in_range or version > 255 or context.text != text:
            raise ContextMalformed
        return context


def seal_record(k_record: bytes, context: Context, plaintext: bytes) -> bytes:
    """Seal one small record under its own key."""
    nonce = os.urandom(NONCE_BYTES)
    return b"\x01" + nonce + AESGCM(k_record).encrypt(nonce, plaintext, context.text.encode())


def open_record(k_record: bytes, context: Context, blob: bytes) -> bytes:
    """Open what `seal_record` made; SealBroken when a byte, the key or the context differs."""
    if len(blob) < BLOB_OVERHEAD or blob[0] != RECORD_VERSION:
        raise SealBroken(f"the sealed record at {context.text} has no known form; its stored bytes are damaged")
    nonce = blob[1 : 1 + NONCE_BYTES]
    try:
        return AESGCM(k_record).decrypt(nonce, blob[1 + NONCE_BYTES :], context.text.encode())
    except InvalidTag:
        raise SealBroken(f"the seal at {context.text} does not open; its stored bytes were changed or moved") from None


class MediaSealer:
    """Seals media as they come (C2SP Cobblestone-256); `update` as often as needed, `finalize` once."""

    def __init__(self, k_media: bytes, context: Context) -> None:
        self._inner = Cobblestone256Encryptor(k_media, context.text.encode())

    def update(self, plaintext: bytes) -> bytes:
        return self._inner.update(plaintext)

    def finalize(self) -> bytes:
        return self._inner.finalize()


class MediaOpener:
    """Opens sealed media as they come; only verified bytes come out, and `finalize` tells a cut-off end."""

    def __init__(self, k_media: bytes, context: Context) -> None:
        self._context = context.text
        self._inner = Cobblestone256Decryptor(k_media, self._context.encode())

    def update(self, sealed: bytes) -> bytes:
        try:
            return self._inner.update(sealed)
        except InvalidTag:
            raise self._broken() from None

    def finalize(self) -> bytes:
        try:
            return self._inner.finalize()
        except (InvalidTag, ValueError):
            raise self._broken() from None

    def _broken(self) -> SealBroken:
        return SealBroken(f"the media at {self._context} do not open; the stored bytes were changed, moved or cut off")


def items_root(contexts: Iterable[str | Context]) -> str:
    """What an opening leaf commits to: the set of contexts that may be opened under it, as base64 of SHA-256."""
    texts = sorted(item if isinstance(item, str) else item.text for item in contexts)
    return b64encode(sha256(_ITEMS_DOMAIN + "\n".join(texts).encode()).digest()).decode()


def lookup_commitment(salt: bytes, number: str, days: Iterable[Sequence[int]]) -> str:
    """What the leaf of a lookup commits to: the number and the days (category, class, day), as base64 of HMAC-SHA-256.

    The salt is 32 fresh random bytes, shown to the keeper and kept nowhere, so that the log tells no number.
    """
    if len(salt) != LOOKUP_SALT_BYTES:
        raise LookupSaltMalformed
    places = sorted("/".join(str(int(part)) for part in day) for day in days)
    text = "\n".join((number, *places))
    return b64encode(hmac_digest(salt, _LOOKUP_DOMAIN + text.encode(), "sha256")).decode()
