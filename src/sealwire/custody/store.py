"""Rows of records as custody sees them: plain fields, ciphertext, and where its key lives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from sealwire.custody.categories import Category
from sealwire.custody.categories.codec import reader_of, unpack_sealed
from sealwire.custody.plaintext import Opened
from sealwire.custody.sealing.envelope import Context
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, Day, RecordId

queries = load_queries(__package__)


@cache
def _plain_readers(category: Category) -> list[tuple[str, Callable[[Any], Any] | None]]:
    return [(field.name, reader_of(field.type)) for field in category.plain_fields]


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """One record as stored: what is in the clear, and the rest as ciphertext."""

    account: AccountId
    record: RecordId
    category: Category
    retention_class: int
    day: Day
    slot: int
    due_day: Day
    kept_at: dt.datetime
    sealed: bytes
    commitment: bytes
    plain: dict[str, Any]
    object_name: str | None
    media_bytes: int
    restricted: bool = False

    @classmethod
    def from_row(cls, account: AccountId, category: Category, row: Any) -> StoredRecord:
        plain = {}
        for name, read in _plain_readers(category):
            value = row[name]
            plain[name] = value if value is None or read is None else read(value)
        return cls(
            account=account, record=RecordId(row["record_id"]), category=category,
            retention_class=row["retention_class"], day=Day(row["day"]), slot=row["slot"], due_day=Day(row["due_day"]),
            kept_at=row["kept_at"], sealed=row["sealed"], commitment=row["commitment"], plain=plain,
            object_name=row["object_name"] if category.has_media else None,
            media_bytes=row["media_bytes"] if category.has_media else 0, restricted=row["restricted"],
        )  # fmt: skip

    @property
    def is_detached(self) -> bool:
        """Whether its person was erased, and what was sealed of it with them."""
        return not self.sealed

    @property
    def context(self) -> Context:
        return Context(self.account, self.category.code, self.retention_class, int(self.day), self.slot, 1)

    def opened(self, plaintext: bytes) -> OpenedRecord:
        """This record with its sealed fields, after the keeper opened them."""
        return OpenedRecord(self, Opened(unpack_sealed(self.category, plaintext)))


@dataclass(frozen=True, slots=True)
class OpenedRecord:
    """A record that was opened for a purpose."""

    stored: StoredRecord
    content: Opened[dict[str, Any]]


def uuids(records: list[RecordId]) -> list[UUID]:
    """Record ids as asyncpg takes them."""
    return [record.value for record in records]
