"""C2SP tlog-proof: one file that shows offline that an entry stands in a log."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from sealwire_verifier import note
from sealwire_verifier.checkpoint import decimal
from sealwire_verifier.errors import NotProved

HEADER = "c2sp.org/tlog-proof@v1"
FILE_BYTES_MAX = 64 << 20


@dataclass(frozen=True)
class Proof:
    """Extra data (nobody vouches for it by itself), index, inclusion path and the checkpoint as it was signed."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def render(self) -> bytes:
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {b64encode(self.extra).decode()}")
        lines.append(f"index {self.index}")
        lines += [b64encode(step).decode() for step in self.path]
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, file: bytes) -> Proof:
        """Read a proof file; NotProved when it is not one."""
        head, separator, checkpoint = file.partition(b"\n\n")
        if len(file) > FILE_BYTES_MAX or not separator or not head.isascii():
            raise NotProved("this is not a tlog-proof file")
        lines = head.decode().split("\n")
        if lines.pop(0) != HEADER:
            raise NotProved(f"the first line is not {HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = note.decode(lines.pop(0).removeprefix("extra "))
        if not lines or not lines[0].startswith("index "):
            raise NotProved("the index line is missing")
        index = decimal(lines.pop(0).removeprefix("index "))
        path = tuple(note.decode(line) for line in lines)
        if len(path) > 64 or any(len(step) != 32 for step in path):
            raise NotProved("the inclusion path is malformed")
        return cls(index, path, checkpoint, extra)
