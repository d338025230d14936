"""Signed instructions about retention: make a key, sign what you instruct. Form: docs/formats/instruction.md."""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FIRST_LINE = "sealwire-instruction/v1"
_ED25519 = b"\x01"


@dataclass(frozen=True, slots=True)
class InstructionKey:
    """An Ed25519 key under a name of yours. Register `vkey` once; the private part stays with you."""

    name: str
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def new(cls, name: str) -> InstructionKey:
        """A new key; the name has neither space nor plus, as `example.org/privacy`."""
        if not name or any(character.isspace() or character == "+" for character in name):
            raise ValueError("a key's name has neither a space nor a plus")
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, file: Path) -> InstructionKey:
        """Read a key that `save` wrote."""
        name, private = file.read_text().split()
        return cls(name, Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private)))

    def save(self, file: Path) -> None:
        """Write the private key to a new file that only you can read."""
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(f"{self.name}\n{self.private.private_bytes_raw().hex()}\n")

    @property
    def vkey(self) -> str:
        """The verifier key (C2SP signed-note): name, key id, public key."""
        return f"{self.name}+{self._key_id.hex()}+{b64encode(_ED25519 + self._public).decode()}"

    def sign(self, text: str) -> str:
        """A signed note over a text that ends in a newline."""
        signature = b64encode(self._key_id + self.private.sign(text.encode())).decode()
        return f"{text}\n\N{EM DASH} {self.name} {signature}\n"

    @property
    def _public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def _key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + _ED25519 + self._public).digest()[:4]


def sign_instruction(
    key: InstructionKey,
    *,
    account: str,
    ground: str,
    retention: Iterable[tuple[str, int, int]],
    date: dt.date | None = None,
) -> str:
    """A signed note that says how many days (0: never) each category of a retention class is kept, and why."""
    lines = [FIRST_LINE, f"account {account}", f"date {date or dt.datetime.now(dt.UTC).date()}", f"ground {ground}"]
    lines += [f"retention {category} {retention_class} {days}" for category, retention_class, days in retention]
    return key.sign("\n".join(lines) + "\n")
