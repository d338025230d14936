"""Rows of a report as CSV or JSON, piece by piece. Pure.

A spreadsheet takes a cell that begins with = + - or @ for a formula, so in CSV such a text begins with an apostrophe
(OWASP, CSV injection). JSON has every text as it is.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from sealwire.custody.categories.codec import as_json
from sealwire.ground.clock import rfc3339

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class RowWriter(Protocol):
    """Turns rows into bytes; `begin`, then `rows` any number of times, then `end`."""

    def begin(self) -> bytes: ...

    def rows(self, rows: Sequence[Sequence[Any]]) -> bytes: ...

    def end(self) -> bytes: ...


def plain_value(value: Any) -> Any:
    """A value of the vocabulary as reports have it: ids and parties as text, causes by name, times in RFC 3339."""
    return rfc3339(value) if isinstance(value, dt.datetime) else as_json(value)


def safe_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value


class CsvWriter:
    """RFC 4180, UTF-8, with a line of names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def begin(self) -> bytes:
        return self.rows([self._names])

    def rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows([safe_cell(plain_value(value)) for value in row] for row in rows)
        return text.getvalue().encode()

    def end(self) -> bytes:
        return b""


class JsonWriter:
    """One array of objects, one a line."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names, self._is_first = names, True

    def begin(self) -> bytes:
        return b"["

    def rows(self, rows: Sequence[Sequence[Any]]) -> bytes:
        pieces = bytearray()
        for row in rows:
            pieces += b"\n" if self._is_first else b",\n"
            pieces += msgspec.json.encode(dict(zip(self._names, map(plain_value, row), strict=True)))
            self._is_first = False
        return bytes(pieces)

    def end(self) -> bytes:
        return b"\n]\n"


def writer_for(form: str, names: Sequence[str]) -> RowWriter:
    """A writer of `csv` or `json`."""
    return CsvWriter(names) if form == "csv" else JsonWriter(names)
