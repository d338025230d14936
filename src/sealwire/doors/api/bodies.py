"""JSON bodies are taken as they are written: 0 is not false and "5" is not 5, as the document says."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.exceptions import ValidationException

WHOLE_MAX = float(1 << 53)


class StrictRequest(Request[Any, Any, State]):
    """A request whose JSON must have the types of its operation; the framework would make them fit."""

    async def json(self) -> Any:
        """The body as JSON, after a look at its types; 5.0 is as good as 5 (JSON Schema 2020-12, 6.1.1)."""
        stated = await super().json()
        field = self.route_handler.parsed_fn_signature.parameters.get("data")
        if field is None:
            return stated
        stated = _whole(stated)
        try:
            msgspec.convert(stated, field.annotation, str_keys=True)
        except msgspec.ValidationError as error:
            message, _, where = str(error).partition(" - at `")
            key = where.rstrip("`").removeprefix("$").lstrip(".") or "data"
            extra = [{"message": message, "key": key, "source": "body"}]
            raise ValidationException(detail="", extra=extra) from None
        return stated


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer() and abs(value) < WHOLE_MAX:
            return int(value)
        case list():
            return [_whole(each) for each in value]
        case dict():
            return {name: _whole(each) for name, each in value.items()}
        case str() if "\x00" in value:  # no text of people has one, and the database cannot keep it
            extra = [{"message": "A text holds U+0000", "key": "data", "source": "body"}]
            raise ValidationException(detail="", extra=extra)
    return value
