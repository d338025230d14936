"""C2SP tlog-checkpoint: a signed note that says how large a log is and what its root is."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass

from sealwire_verifier import note
from sealwire_verifier.errors import NotProved

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its origin, how many entries it has, the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> bytes:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n".encode()

    def sign(self, *keys: note.SigningKey) -> bytes:
        """This head as a signed note."""
        return note.sign(self.text(), *keys)


def decimal(text: str) -> int:
    """A number without sign or leading zeroes."""
    if not _DECIMAL.fullmatch(text):
        raise NotProved("a number is not written in plain decimal digits")
    return int(text)


def parse_text(text: bytes) -> Checkpoint:
    """Read the text of a checkpoint whose signatures were verified elsewhere."""
    lines = text.decode().split("\n")
    if len(lines) != 4 or not lines[0] or lines[3]:
        raise NotProved("a checkpoint has three lines: origin, size, root")
    head = Checkpoint(lines[0], decimal(lines[1]), note.decode(lines[2]))
    if len(head.root) != 32:
        raise NotProved("the root of a checkpoint is not 32 bytes long")
    return head


def parse_checkpoint(text: bytes | str, vkey: note.VerifierKey | str) -> Checkpoint:
    """Verify a checkpoint against one log key, whose name is the log's origin."""
    key = note.parse_vkey(vkey) if isinstance(vkey, str) else vkey
    signed = note.parse(text)
    note.verify(signed, [key])
    head = parse_text(signed.text)
    if head.origin != key.name:
        raise NotProved("the checkpoint is of another log than the key that signed it")
    return head
