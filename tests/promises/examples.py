"""Records made from nothing but their declarations, so that a new category is covered as soon as it is declared."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from sealwire.custody.categories import Category
from sealwire.custody.categories.codec import bare_type
from sealwire.custody.forensics.patterns import Pattern, audio_patterns, number_patterns
from sealwire.custody.lifecycle import Custody, Kept
from sealwire.vocabulary import E164, AccountId, CallId, Day, OpaqueId, Party, RecordId

_numbers = itertools.chain(
    (f"+441632960{n:03d}" for n in range(101, 1000)), (f"+447700900{n:03d}" for n in range(1000))
)


@dataclass(frozen=True)
class Example:
    """One record that was kept: what was sealed of it, by field, and its audio where it has some."""

    category: Category
    kept: Kept
    call: CallId
    sealed: dict[str, Any]
    audio: bytes | None

    @property
    def record(self) -> RecordId:
        return self.kept.record

    @property
    def numbers(self) -> dict[str, str]:
        """The number in each field by which it can be found."""
        findable = {field.name for field in self.category.sealed_fields if field.findable}
        return {name: value.text for name, value in self.sealed.items() if name in findable}

    @property
    def patterns(self) -> list[Pattern]:
        """What of it must lie nowhere in the clear."""
        found: list[Pattern] = []
        for name, value in self.sealed.items():
            subject = f"{self.category.name}.{name}"
            if isinstance(value, Party):
                found += number_patterns(E164(value.text), subject=subject)
            else:
                raw = value if isinstance(value, bytes) else value.encode()
                found += [Pattern(raw, subject, "raw"), Pattern(raw.hex().encode(), subject, "hex")]
        if self.audio is not None:
            found += audio_patterns(self.audio, subject=f"{self.category.name} audio")
        return found


def values_for(category: Category, *, at: dt.datetime, call: CallId) -> dict[str, Any]:
    """A value for every field that was not appended later, by its type: all of one moment, of one call."""
    return {
        field.name: call if field.name == "call_id" else _value(field.type, f"{category.name} {field.name}", at)
        for field in category.fields
        if field.is_sealed or not bare_type(field.type)[1] or field.name == "call_id"
    }


def _value(hint: Any, name: str, at: dt.datetime) -> Any:
    kind, _ = bare_type(hint)
    if issubclass(kind, OpaqueId):
        return kind.new()
    if issubclass(kind, IntEnum):
        return next(iter(kind))
    made = {
        Party: lambda: Party(next(_numbers)),
        dt.datetime: lambda: at,
        bool: lambda: True,
        int: lambda: 1,
        bytes: lambda: secrets.token_bytes(32),
        str: lambda: f"{name} {secrets.token_hex(12)}",
    }
    return made[kind]()


async def keep_example(
    custody: Custody, account: AccountId, category: Category, *, days_ago: int = 0, call: CallId | None = None
) -> Example:
    """Keep one record of a category whose retention clock started so many days ago; audio where it has some."""
    at, call = custody.clock.now() - dt.timedelta(days=days_ago), call or CallId.new()
    values = values_for(category, at=at, call=call)
    values |= {field.name: None for field in category.plain_fields if field.name not in values}
    sealed = {field.name: values[field.name] for field in category.sealed_fields}
    if not category.has_media:
        kept = await custody.keep(account, category.record(**values))
        return Example(category, kept, call, sealed, None)
    media = await custody.begin_media(account, category.record, starts_at_day=Day.of(at), call=call)
    audio = _noise()
    await media.write(audio)
    digest = await media.finish()
    if category.identified_by is not None:
        kind = type(values[category.identified_by])
        values[category.identified_by] = kind(media.record.value)
    hashes = [field.name for field in category.sealed_fields if "sha256" in field.name]
    sealed |= dict.fromkeys(hashes, digest)
    kept = await custody.keep(account, category.record(**(values | sealed)), media=media)
    return Example(category, kept, call, sealed, audio)


def _noise() -> bytes:
    """A quarter of a second of noise as loud as speech, and like nothing else."""
    seed = int.from_bytes(os.urandom(8))
    return np.clip(np.random.default_rng(seed).normal(0, 3000, 2000), -32000, 32000).astype("<i2").tobytes()
