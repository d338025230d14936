"""Between the types of the vocabulary and what a column or a sealed blob can hold."""

from __future__ import annotations

import datetime as dt
import types
import typing
from collections.abc import Callable
from enum import IntEnum, StrEnum
from functools import cache
from typing import Any
from uuid import UUID

import msgspec

from sealwire.custody.categories.declaration import Category
from sealwire.vocabulary import OpaqueId, Party

_SQL_TYPES: dict[type, str] = {str: "text", bytes: "bytea", int: "bigint", bool: "boolean", dt.datetime: "timestamptz"}
_packer = msgspec.msgpack.Encoder()


@cache
def bare_type(hint: Any) -> tuple[type, bool]:
    """A field's type without `| None`, and whether None is allowed."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        inner = [option for option in typing.get_args(hint) if option is not type(None)]
        return inner[0], True
    return hint, False


def sql_type(hint: Any) -> str:
    """The column type for a plain field."""
    kind, optional = bare_type(hint)
    if issubclass(kind, OpaqueId):
        name = "uuid"
    elif issubclass(kind, IntEnum):
        name = "integer"
    else:
        name = _SQL_TYPES[kind]
    return name if optional else f"{name} NOT NULL"


def to_column(value: Any) -> Any:
    """A plain field's value as asyncpg takes it."""
    if isinstance(value, OpaqueId):
        return value.value
    if isinstance(value, Party):
        return value.text
    return int(value) if isinstance(value, IntEnum) else value


@cache
def reader_of(hint: Any) -> Callable[[Any], Any] | None:
    """What makes a column's value, unless it is NULL, one of the vocabulary's own type; None: it is one already."""
    kind, _ = bare_type(hint)
    if issubclass(kind, OpaqueId):
        return lambda value: kind(value if isinstance(value, UUID) else UUID(bytes=value))
    return kind if issubclass(kind, IntEnum | Party) else None


def from_column(hint: Any, value: Any) -> Any:
    """The value of a plain column in the vocabulary's own type."""
    read = reader_of(hint)
    return value if value is None or read is None else read(value)


def as_json(value: Any) -> Any:
    """A value of the vocabulary as JSON has it: ids and parties as text, hashes in hex, causes by name."""
    if isinstance(value, OpaqueId | Party):
        return str(value)
    if isinstance(value, IntEnum):
        return value.name.lower().replace("_", "-")
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    return value


def pack_sealed(category: Category, record: object) -> bytes:
    """The sealed fields of a record in declaration order: one msgpack array, sealed in one piece."""
    return pack_values([to_column(getattr(record, field.name)) for field in category.sealed_fields])


def pack_values(columns: list[Any]) -> bytes:
    """The same, from the values of the sealed fields as columns hold them."""
    return _packer.encode(columns)


def unpack_sealed(category: Category, plaintext: bytes) -> dict[str, Any]:
    """The sealed fields by name; fields appended to the declaration later are absent."""
    values = msgspec.msgpack.decode(plaintext)
    return {
        field.name: from_column(field.type, value) for field, value in zip(category.sealed_fields, values, strict=False)
    }


def findable_values(category: Category, record: object) -> list[str]:
    """The numbers under which this record can be found, each once."""
    values = [getattr(record, field.name) for field in category.sealed_fields if field.findable]
    return sorted({str(value) for value in values if str(value) != "anonymous"})
