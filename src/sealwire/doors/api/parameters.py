"""A misspelt parameter is an error, not a parameter without effect."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from sealwire.doors.api.problems import QueryWrong


def refuse_unknown_query(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar's guard on every operation: QueryWrong for a query parameter that is unknown or repeated."""
    known = handler.opt.get("query")
    if known is None:
        known = handler.opt["query"] = _query_names(handler)
    stated = [name for name, _ in connection.query_params.multi_items()]
    if not known.issuperset(stated) or len(stated) != len(set(stated)):
        listed = ", ".join(sorted(known)) or "none"
        raise QueryWrong(f"an unknown or repeated query parameter; this operation takes: {listed}")


def _query_names(handler: BaseRouteHandler) -> set[str]:
    fields = handler.parsed_fn_signature.parameters.items()
    declared = [(name, field.kwarg_definition) for name, field in fields]
    return {kwarg.name or name for name, kwarg in declared if isinstance(kwarg, QueryParameter)}
