"""Synthetic records made from nothing but their declarations: incompressible, and like nothing else in the world.

Both ends of the sweep make them from a seed and a serial number: the process that keeps them, and the one that
searches for them. So what is searched for is never handed from one to the other.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from sealwire.custody.categories import Category
from sealwire.custody.categories.codec import bare_type
from sealwire.custody.forensics.patterns import (
    Pattern,
    audio_patterns,
    bytes_patterns,
    number_patterns,
    text_patterns,
)
from sealwire.ground.clock import SystemClock
from sealwire.vocabulary import E164, CallId, OpaqueId, Party

PARTIES_MAX = 4
_AUDIO_SAMPLES = 4000
_RANGES = ("+447700900", "+441144960", "+441314960", "+441134960")
"""Numbers that Ofcom keeps for drama: nobody has them. Not the range of the control, nor of the account's own."""


@dataclass(frozen=True, slots=True)
class Canaries:
    """All that is made up of one sweep, by serial number of the record."""

    seed: bytes

    def number(self, serial: int, party: int = 0) -> str:
        """A reserved number; no two of a thousand records share one."""
        at = serial * PARTIES_MAX + party
        prefix = _RANGES[at // 1000 % len(_RANGES)]
        return f"{prefix}{at % 1000:03d}"

    def token(self, serial: int, field: str) -> str:
        """128 random bits as 26 characters."""
        return base64.b32encode(self._bytes(serial, field, 16)).decode().rstrip("=")

    def audio(self, serial: int) -> bytes:
        """Half a second of noise as loud as speech."""
        seed = int.from_bytes(self._bytes(serial, "audio", 8))
        noise = np.random.default_rng(seed).normal(0, 3000, _AUDIO_SAMPLES)
        return np.clip(noise, -32000, 32000).astype("<i2").tobytes()

    def values(self, category: Category, serial: int, *, at: dt.datetime, call: CallId) -> dict[str, Any]:
        """A value for every field of a category, by its type. What may be empty and is plain, is."""
        parties = iter(range(PARTIES_MAX))
        made: dict[str, Any] = {}
        for field in category.fields:
            kind, may_be_empty = bare_type(field.type)
            if field.name == "call_id":
                made[field.name] = call
            elif may_be_empty and not field.is_sealed:
                made[field.name] = None
            else:
                made[field.name] = self._value(kind, serial, field.name, at, parties)
        return made

    def patterns(self, category: Category, serial: int, *, subject: str) -> list[Pattern]:
        """What of this record must lie nowhere in the clear. Hashes of audio are known only once it is kept."""
        found: list[Pattern] = []
        values = self.values(category, serial, at=SystemClock().now(), call=CallId.new())
        for field in category.sealed_fields:
            value = values[field.name]
            if isinstance(value, Party):
                found += number_patterns(E164(value.text), subject=subject)
            elif isinstance(value, str):
                found += text_patterns(value, subject=subject)
            elif isinstance(value, bytes):
                found += bytes_patterns(value, subject=subject)
        if category.has_media:
            found += audio_patterns(self.audio(serial), subject=subject)
        return found

    def _value(self, kind: type, serial: int, name: str, at: dt.datetime, parties: Iterator[int]) -> Any:
        if issubclass(kind, OpaqueId):
            return kind.new()
        if issubclass(kind, IntEnum):
            return next(iter(kind))
        if kind is Party:
            return Party(self.number(serial, next(parties)))
        plain: dict[type, Any] = {dt.datetime: at, bool: False, int: 1}
        if kind in plain:
            return plain[kind]
        return self._bytes(serial, name, 32) if kind is bytes else self.token(serial, name)

    def _bytes(self, serial: int, label: str, count: int) -> bytes:
        return hmac.digest(self.seed, f"{serial} {label}".encode(), hashlib.sha256)[:count]
