"""A misspelt parameter is an error, not a parameter without effect."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, get_args

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from sealwire.doors.api.problems import QueryWrong

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:.*")


async def refuse_unknown_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar's guard on every operation: QueryWrong for a query parameter that is unknown or repeated."""
    known = handler.opt.get("query")
    if known is None:
        known = handler.opt["query"] = _query_names(handler)
    stated = [name for name, _ in connection.query_params.multi_items()]
    if not known.issuperset(stated) or len(stated) != len(set(stated)):
        listed = ", ".join(sorted(known)) or "none"
        raise QueryWrong(f"an unknown or repeated query parameter; this operation takes: {listed}")
    if any(value == "null" for _, value in connection.query_params.multi_items()):
        raise QueryWrong("a query parameter cannot be null; leave it out")
    moments = handler.opt.get("query_moments")
    if moments is None:
        moments = handler.opt["query_moments"] = _query_names(handler, of=dt.datetime)
    if not all(_MOMENT.fullmatch(value) for name, value in connection.query_params.multi_items() if name in moments):
        raise QueryWrong("a time is written as in RFC 3339, with its offset: 2026-11-23T11:30:00Z")


def _query_names(handler: BaseRouteHandler, *, of: type = object) -> set[str]:
    fields = handler.parsed_fn_signature.parameters.items()
    declared = [
        (name, field.kwarg_definition)
        for name, field in fields
        if of is object or of in (field.annotation, *get_args(field.annotation))
    ]
    return {kwarg.name or name for name, kwarg in declared if isinstance(kwarg, QueryParameter)}
