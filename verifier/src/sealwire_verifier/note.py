"""C2SP signed-note: text, an empty line, and signature lines. Ed25519 (type 1) and cosignatures (type 4)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sealwire_verifier.errors import NotProved

ED25519 = 0x01
COSIGNATURE = 0x04
SIGNATURES_MAX = 64
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NAME = re.compile(r"[^\s+]+")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key under a name, written `name+key id+base64` (a vkey)."""

    name: str
    public: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or _CONTROL.search(self.name):
            raise NotProved("a key name is empty or holds a space or a plus")
        if self.kind not in (ED25519, COSIGNATURE) or len(self.public) != 32:
            raise NotProved(f"key type {self.kind} is not supported, only Ed25519 and its cosignatures")

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes((self.kind,)) + self.public).digest()[:4]

    @property
    def identity(self) -> tuple[str, bytes]:
        return self.name, self.key_id

    def check(self, text: bytes, signature: bytes) -> None:
        """Raise NotProved unless this key made this signature over the text."""
        if self.kind == COSIGNATURE:
            if len(signature) != 72:
                raise NotProved(f"the cosignature of {self.name} has the wrong length")
            time = int.from_bytes(signature[:8])
            text, signature = b"cosignature/v1\ntime %d\n%s" % (time, text), signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        except InvalidSignature:
            raise NotProved(f"the signature of {self.name} does not hold") from None

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes((self.kind,)) + self.public).decode()}"


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 key under a name; `vkey` is what others pin."""

    name: str
    private: Ed25519PrivateKey

    @property
    def vkey(self) -> VerifierKey:
        return VerifierKey(self.name, self.private.public_key().public_bytes_raw())


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note, not yet verified."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart. The text means nothing until `verify` has accepted it."""

    text: bytes
    signatures: tuple[Signature, ...]


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey; its key id must be the right one."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = decode(encoded)
    if not raw:
        raise NotProved("a vkey is not of the form name+key id+base64")
    key = VerifierKey(name, raw[1:], raw[0])
    if key.key_id.hex() != key_id:
        raise NotProved(f"the key id of {name} is not the hash of its key")
    return key


def parse(note: bytes | str) -> Note:
    """Take a note apart; NotProved when it is not one."""
    raw = note.encode() if isinstance(note, str) else note
    try:
        whole = raw.decode()
    except UnicodeDecodeError:
        raise NotProved("the note is not UTF-8") from None
    if _CONTROL.search(whole):
        raise NotProved("the note holds a control character")
    text, separator, block = whole.rpartition("\n\n")
    if not separator or not text or not block.endswith("\n"):
        raise NotProved("the note has no signatures")
    lines = block[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NotProved(f"the note has more than {SIGNATURES_MAX} signatures")
    return Note(text.encode() + b"\n", tuple(_signature(line) for line in lines))


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = decode(encoded)
    if dash != "—" or not _NAME.fullmatch(name) or len(raw) < 5:
        raise NotProved("a signature line is malformed")
    return Signature(name, raw[:4], raw[4:])


def verify(note: bytes | str | Note, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """The known keys that signed; unknown signatures are ignored, a false one of a known key refuses all."""
    note = note if isinstance(note, Note) else parse(note)
    known = {key.identity: key for key in keys}
    signed = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            key.check(note.text, signature.value)
            signed[key.identity] = key
    if not signed:
        raise NotProved("no key that is known here has signed")
    return list(signed.values())


def sign(text: bytes | str, *keys: SigningKey) -> bytes:
    """Make a note: the text, which ends in a newline, signed by each key."""
    raw = text.encode() if isinstance(text, str) else text
    if not raw.endswith(b"\n") or _CONTROL.search(raw.decode()):
        raise NotProved("the text of a note ends in a newline and holds no control characters")
    lines = [f"— {key.name} {b64encode(key.vkey.key_id + key.private.sign(raw)).decode()}\n".encode() for key in keys]
    return raw + b"\n" + b"".join(lines)


def decode(text: str) -> bytes:
    """Base64 (RFC 4648, 4) in its one canonical spelling."""
    try:
        raw = b64decode(text, validate=True)
    except ValueError:
        raise NotProved("a value is not base64") from None
    if b64encode(raw).decode() != text:
        raise NotProved("a value is not in canonical base64")
    return raw
