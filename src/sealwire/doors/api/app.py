"""The application: every operation, the guard, the handler of errors, and the edge around them."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from sealwire.doors.api.authentication import require_scope
from sealwire.doors.api.edge import Edge, Limits
from sealwire.doors.api.openapi import CONFIGURATION, complete
from sealwire.doors.api.parameters import refuse_unknown_query
from sealwire.doors.api.parts import Parts, Visit
from sealwire.doors.api.problems import as_problem
from sealwire.doors.api.reference import reference_pages
from sealwire.doors.api.resources import (
    accounts,
    agreements,
    calls,
    certificates,
    credentials,
    erasures,
    health,
    inventory,
    log,
    recordings,
    subjects,
)

OPERATIONS: list[HTTPRouteHandler] = [
    accounts.create_account,
    accounts.get_account,
    accounts.assign_number,
    accounts.list_numbers,
    agreements.get_standard_agreement,
    agreements.accept_agreement,
    agreements.list_agreements,
    credentials.create_credential,
    credentials.list_credentials,
    credentials.revoke_credential,
    calls.list_calls,
    calls.get_call,
    calls.open_call,
    recordings.list_recordings,
    recordings.get_recording,
    recordings.open_recording,
    recordings.play_recording,
    subjects.ask_subject,
    inventory.get_inventory,
    erasures.create_erasure,
    erasures.list_erasures,
    erasures.get_erasure,
    certificates.get_certificate,
    log.get_log_key,
    log.get_checkpoint,
    log.get_tile,
    log.prove_inclusion,
    log.prove_consistency,
    health.get_health,
]


def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of every operation; needs no running part."""
    described = Litestar(OPERATIONS, openapi_config=CONFIGURATION, dependencies=DEPENDENCIES, logging_config=None)
    return complete(described.openapi_schema.to_schema(), OPERATIONS)


def create_app(parts: Parts, *, limits: Limits | None = None) -> ASGIApp:
    """The whole API on these parts, as an ASGI application."""
    document = openapi_document()
    pages = reference_pages(document, address=f"https://{parts.settings.api_listen}")
    application = Litestar(
        [*OPERATIONS, *pages],
        dependencies=DEPENDENCIES | {"parts": Provide(lambda: parts, sync_to_thread=False)},
        guards=[require_scope, refuse_unknown_query],
        exception_handlers={Exception: as_problem},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,  # bounded at the edge, before anything is read
    )
    return Edge(application, parts, limits=limits)


async def _visit(request: Request[Any, Any, Any]) -> Visit:
    visit: Visit = request.scope["state"]["visit"]
    return visit


async def _no_parts() -> None:
    """Stands for the parts where only the document is made."""


DEPENDENCIES = {"here": Provide(_visit), "parts": Provide(_no_parts)}
