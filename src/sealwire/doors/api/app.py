"""The application: every operation, the guard, the handler of errors, and the edge around them."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from sealwire.doors.api.authentication import require_scope
from sealwire.doors.api.bodies import StrictRequest
from sealwire.doors.api.edge import Edge, Limits
from sealwire.doors.api.openapi import CONFIGURATION, complete
from sealwire.doors.api.pace import Pace
from sealwire.doors.api.parameters import refuse_unknown_query
from sealwire.doors.api.parts import Parts, Visit
from sealwire.doors.api.problems import as_problem, name_methods
from sealwire.doors.api.reference import reference_pages
from sealwire.doors.api.resources import (
    accounts,
    agreements,
    applications,
    billing_records,
    calls,
    certificates,
    closures,
    credentials,
    erasures,
    health,
    holds,
    instructions,
    inventory,
    limits,
    live_calls,
    log,
    media,
    messages,
    numbers,
    opt_outs,
    programs,
    recipients,
    recordings,
    register,
    reports,
    retention,
    services,
    subject_requests,
    subjects,
    transport,
    trunks,
    usage,
    webhook_deliveries,
    webhooks,
)

OPERATIONS: list[HTTPRouteHandler] = [
    accounts.create_account,
    accounts.get_account,
    numbers.assign_number,
    numbers.remove_number,
    numbers.list_numbers,
    numbers.point_number,
    services.create_service,
    services.list_services,
    services.get_service_schema,
    services.get_service,
    services.change_service,
    services.remove_service,
    services.rotate_page_secret,
    trunks.create_trunk,
    trunks.list_trunks,
    trunks.get_trunk,
    trunks.change_trunk,
    trunks.remove_trunk,
    webhooks.create_webhook,
    webhooks.list_webhooks,
    webhooks.get_webhook,
    webhooks.change_webhook,
    webhooks.remove_webhook,
    webhooks.rotate_webhook_secret,
    webhooks.send_test_event,
    webhook_deliveries.list_webhook_deliveries,
    webhook_deliveries.list_pending_deliveries,
    webhook_deliveries.get_webhook_delivery,
    webhook_deliveries.open_webhook_delivery,
    webhook_deliveries.retry_webhook_delivery,
    applications.list_applications,
    applications.get_application,
    applications.open_application,
    applications.list_return_codes,
    agreements.get_standard_agreement,
    agreements.accept_agreement,
    agreements.list_agreements,
    credentials.create_credential,
    credentials.list_credentials,
    credentials.bind_credential,
    credentials.rotate_credential,
    credentials.revoke_credential,
    live_calls.start_call,
    live_calls.list_live_calls,
    live_calls.get_call_status,
    live_calls.cancel_call,
    live_calls.act_on_call,
    live_calls.redirect_call,
    calls.list_calls,
    calls.get_call,
    calls.open_call,
    messages.send_message,
    messages.list_messages,
    messages.get_message,
    messages.open_message,
    messages.get_message_settings,
    messages.put_message_settings,
    messages.allow_sender_name,
    opt_outs.list_opt_outs,
    opt_outs.add_opt_out,
    opt_outs.open_opt_out,
    opt_outs.erase_opt_out,
    recordings.list_recordings,
    recordings.get_recording,
    recordings.open_recording,
    recordings.play_recording,
    media.upload_media,
    media.list_media,
    media.get_media,
    media.open_media,
    media.download_media,
    media.erase_media,
    recipients.create_recipient,
    recipients.list_recipients,
    recipients.get_recipient,
    recipients.retire_recipient,
    programs.register_program,
    programs.list_programs,
    programs.get_program,
    programs.renew_program,
    programs.revoke_program,
    subjects.ask_subject,
    subject_requests.create_subject_request,
    subject_requests.list_subject_requests,
    subject_requests.get_subject_request,
    subject_requests.preview_subject_request,
    subject_requests.advance_subject_request,
    subject_requests.extend_subject_request,
    subject_requests.refuse_subject_request,
    subject_requests.answer_subject_request,
    subject_requests.archive_subject_request,
    inventory.get_inventory,
    register.get_register,
    retention.get_retention,
    retention.name_retention_class,
    retention.preview_retention,
    retention.change_retention,
    retention.get_retention_calendar,
    instructions.register_instruction_key,
    instructions.list_instruction_keys,
    instructions.retire_instruction_key,
    instructions.give_instruction,
    instructions.list_instructions,
    instructions.get_instruction,
    limits.get_limits,
    limits.set_limits,
    limits.set_destinations,
    limits.get_account_limits,
    limits.set_account_limits,
    limits.set_suspension,
    usage.get_usage,
    reports.create_report,
    reports.list_reports,
    reports.get_report,
    reports.fetch_report,
    billing_records.list_billing_records,
    billing_records.sum_billing_records,
    billing_records.get_billing_record,
    billing_records.open_billing_record,
    erasures.create_erasure,
    erasures.preview_erasure,
    erasures.list_erasures,
    erasures.get_erasure,
    certificates.get_certificate,
    holds.place_hold,
    holds.list_holds,
    holds.get_hold,
    holds.extend_hold,
    holds.release_hold,
    closures.begin_closure,
    closures.list_closures,
    closures.get_closure,
    closures.cancel_closure,
    closures.get_closure_certificate,
    closures.sum_closed_billing,
    log.get_log_key,
    log.get_checkpoint,
    log.get_tile,
    log.prove_inclusion,
    log.prove_consistency,
    transport.check_transport,
    health.get_health,
]


def openapi_document() -> dict[str, Any]:
    """The OpenAPI 3.1 document of every operation; needs no running part."""
    described = Litestar(OPERATIONS, openapi_config=CONFIGURATION, dependencies=DEPENDENCIES, logging_config=None)
    return dict(msgspec.to_builtins(complete(described.openapi_schema.to_schema(), OPERATIONS)))


def create_app(parts: Parts, *, limits: Limits | None = None, pace: Pace | None = None) -> ASGIApp:
    """The whole API on these parts, as an ASGI application."""
    document = openapi_document()
    pages = reference_pages(document, address=f"https://{parts.settings.api_listen}")
    application = Litestar(
        [*OPERATIONS, *pages],
        dependencies=DEPENDENCIES | {"parts": Provide(lambda: parts, sync_to_thread=False)},
        guards=[require_scope, refuse_unknown_query],
        before_request=name_methods,
        request_class=StrictRequest,
        exception_handlers={Exception: as_problem},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,  # bounded at the edge, before anything is read
    )
    return Edge(application, parts, limits=limits, pace=pace)


async def _visit(request: Request[Any, Any, Any]) -> Visit:
    visit: Visit = request.scope["state"]["visit"]
    return visit


async def _no_parts() -> None:
    """Stands for the parts where only the document is made."""


DEPENDENCIES = {"here": Provide(_visit), "parts": Provide(_no_parts)}
