"""GDPRbench's record: a key, nine metadata and 100 bytes of data; each value follows from the key's number."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha512
from uuid import UUID

from sealwire.vocabulary import E164, CallId

COUNTS = {
    "pur": 25, "ttl": 10, "usr": 10_000, "obj": 100, "dec": 2, "acl": 10, "shr": 10, "src": 10, "cat": 10,
}  # fmt: skip
"""How many values each metadata has in the original."""
TTLS_S = (30, 10_000, 12_000, 14_000, 16_000, 18_000, 20_000, 22_000, 24_000, 1_000_000)
VALUES = {name: TTLS_S if name == "ttl" else tuple(range(count)) for name, count in COUNTS.items()}
METADATA = ("pur", "ttl", "obj", "dec", "acl", "shr", "src", "cat")
"""What is in the clear with us: policy, not a person. `usr` is sealed and findable, the data is sealed."""
CHANGEABLE = METADATA[1:]
DATA_BYTES = 100


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `metadata` in the order of METADATA."""

    key: int
    usr: int
    metadata: tuple[int, ...]
    data: str


def record_of(key: int) -> Record:
    """The record of this number, as it is made."""
    values = (VALUES[name][key % COUNTS[name]] for name in METADATA)
    return Record(key, user_of(key), tuple(values), data_of(key, 0))


def user_of(key: int) -> int:
    """Whose record this is."""
    return key % COUNTS["usr"]


def data_of(key: int, version: int) -> str:
    """100 bytes that differ from any other's: digits, so that they can be what a caller dialled."""
    return f"{_bits('data', key, version):0{DATA_BYTES}d}"[:DATA_BYTES]


def number_of(user: int) -> E164:
    """A user as a telephone cloud knows one: by a number (of those reserved for drama)."""
    return E164(f"+4416329{user:05d}")


def call_of(key: int) -> CallId:
    """The opaque id under which this record is kept."""
    return CallId(UUID(int=_bits("key", key, 0) >> 384))


def _bits(what: str, key: int, version: int) -> int:
    return int.from_bytes(sha512(f"{what}/{key}/{version}".encode()).digest())
