"""Pages of a list: newest first, 1 to 200 entries, continued by an opaque cursor.

A cursor says where the last page ended and of which list it is. It holds no content and no secret: rows are found
with the account of the credential, so that a forged one leads nowhere else.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

from sealwire.doors.api.problems import CursorMalformed

LIMIT_MAX = 200
LIMIT_DEFAULT = 50
Position = tuple[dt.datetime, UUID]
T = TypeVar("T")

Cursor = Annotated[
    str | None, QueryParameter(description="`next_cursor` of the page before, passed on as it came.", max_length=200,
                               schema_extra={"pattern": "^[A-Za-z0-9_-]{1,200}$"})
]  # fmt: skip
Limit = Annotated[int, QueryParameter(ge=1, le=LIMIT_MAX, description="How many entries at most.")]


class _Mark(msgspec.Struct, array_like=True, frozen=True):
    """What a cursor holds: list, microseconds since 1970, id."""

    kind: str
    microseconds: int
    id: bytes


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def write_cursor(kind: str, position: Position) -> str:
    """The cursor that continues after this position of the list `kind`."""
    moment, identity = position
    mark = _Mark(kind, (moment - _EPOCH) // dt.timedelta(microseconds=1), identity.bytes)
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(mark)).decode().rstrip("=")


def read_cursor(kind: str, cursor: str | None) -> Position | None:
    """The position a cursor of the list `kind` stands for; CursorMalformed for anything else."""
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        mark = msgspec.msgpack.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=_Mark)
        if mark.kind != kind:
            raise CursorMalformed
        return _EPOCH + dt.timedelta(microseconds=mark.microseconds), UUID(bytes=mark.id)
    except (UnicodeEncodeError, binascii.Error, msgspec.DecodeError, OverflowError, ValueError):
        raise CursorMalformed from None


def cut_page(
    kind: str, rows: Sequence[T], *, limit: int, position: Callable[[T], Position]
) -> tuple[Sequence[T], str | None]:
    """From up to `limit + 1` rows: the page, and the cursor to the next one when there is one."""
    if len(rows) <= limit:
        return rows, None
    page = rows[:limit]
    return page, write_cursor(kind, position(page[-1]))
