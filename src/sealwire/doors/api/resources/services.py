"""Services: what answers a number or drives an outbound call."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta

from sealwire.communications.egress import AddressMalformed, AddressPlain, AddressRefused, require_usable
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import IdempotencyKey, Moment, MomentOrNull, NextCursor, ServicePath, id_in_address
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, Position, cut_page, read_cursor
from sealwire.doors.api.parts import Here, Parts
from sealwire.doors.api.problems import CursorMalformed, IdMalformed
from sealwire.governance import service_book
from sealwire.governance.principals import Scope
from sealwire.governance.service_book import (
    AddressHasNumber,
    NotSigned,
    ServiceChange,
    ServiceEntry,
    ServiceInUse,
    ServiceMissing,
    ServiceSettings,
)
from sealwire.governance.services import Logic, Pages
from sealwire.vocabulary import ServiceId

PageSecret = Annotated[
    str | None,
    Meta(
        description="The key page requests are signed with (Standard Webhooks); shown once, then null.",
        examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"],
    ),
]
NAME = "services"
WRONG = (AddressHasNumber, AddressMalformed, AddressPlain, AddressRefused)


class ServiceSeen(ServiceSettings, frozen=True, kw_only=True):
    """A service."""

    id: Annotated[str, Meta(description="The service's id.", examples=["svc_5f0c1e2d9a7b4c6e8f10213243546576"])]
    created_at: Moment
    changed_at: Moment
    signs_with_old_secret_until: MomentOrNull = None


class ServiceMade(ServiceSeen, frozen=True, kw_only=True):
    """A service and, once, its signing secret."""

    page_secret: PageSecret = None


class ServicePage(msgspec.Struct, kw_only=True):
    """A page of services, newest first."""

    items: list[ServiceSeen]
    next_cursor: NextCursor


class PageSecretMade(msgspec.Struct, kw_only=True):
    """A new signing secret."""

    page_secret: PageSecret
    signs_with_old_secret_until: MomentOrNull


@post(
    "/v1/services",
    **operation(
        "create-service", "Services", Scope.CONFIGURE, summary="Make a service",
        raises=(*WRONG, IdempotencyConflict, IdempotencyKeyMalformed),
        body={"name": "reception", "logic": {"kind": "pages", "first_page": "https://example.org/first"}},
    ),
)  # fmt: skip
async def create_service(
    here: Here,
    data: JSONBody[ServiceSettings],
    request: Request[Any, Any, Any],
    idempotency_key: IdempotencyKey = None,
) -> Response[ServiceMade]:
    """Then point a number to it, or start calls with it. The signing secret of its pages is in this answer only."""
    account, parts = here.account, here.parts
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen, secret = await once.seen(connection, account), None
        if seen is None:
            _require_usable(data.logic, parts)
            entry, secret = await service_book.create_service(
                connection, account, data, by=here.principal.credential, box=parts.secretbox, clock=parts.clock
            )
            await once.remember(connection, account, str(entry.service.service))
        else:
            entry = await service_book.find_entry(connection, account, ServiceId.parse(seen))
    made = ServiceMade(**_fields(entry), page_secret=secret)
    headers = {"Location": f"/v1/services/{entry.service.service}"}
    return Response(made, headers=headers | (REPLAYED if seen is not None else {}))


@get(
    "/v1/services",
    **operation("list-services", "Services", Scope.READ, summary="List services", raises=(CursorMalformed,)),
)
async def list_services(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> ServicePage:
    """Newest first, without their secrets."""
    before = read_cursor(NAME, cursor)
    async with here.parts.database.account(here.account) as connection:
        rows = await service_book.list_services(connection, here.account, before=before, limit=limit + 1)
    page, next_cursor = cut_page(NAME, rows, limit=limit, position=_position)
    return ServicePage(items=[ServiceSeen(**_fields(entry)) for entry in page], next_cursor=next_cursor)


@get(
    "/v1/services/schema",
    **operation("get-service-schema", "Services", Scope.READ, summary="The JSON Schema of a service"),
)
async def get_service_schema() -> dict[str, Any]:
    """What `create-service` takes, as a JSON Schema (2020-12), for editors and programs that make services."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(ServiceSettings)}


@get(
    "/v1/services/{service_id:str}",
    **operation(
        "get-service", "Services", Scope.READ, summary="Look at a service", raises=(ServiceMissing, IdMalformed)
    ),
)
async def get_service(here: Here, service_id: ServicePath) -> ServiceSeen:
    """As it is now."""
    async with here.parts.database.account(here.account) as connection:
        entry = await service_book.find_entry(connection, here.account, id_in_address(ServiceId, service_id))
    return ServiceSeen(**_fields(entry))


@patch(
    "/v1/services/{service_id:str}",
    **operation(
        "change-service", "Services", Scope.CONFIGURE, summary="Change a service",
        raises=(ServiceMissing, *WRONG, IdMalformed),
        body={"seconds_max": 1800, "recording": {"whole_call": True}},
    ),
)  # fmt: skip
async def change_service(here: Here, service_id: ServicePath, data: JSONBody[ServiceChange]) -> ServiceMade:
    """Fields that are left out stay. A secret is shown only when pages took the place of something else."""
    wanted, parts = id_in_address(ServiceId, service_id), here.parts
    if data.logic is not UNSET:
        _require_usable(data.logic, parts)
    async with parts.database.account(here.account) as connection:
        entry, secret = await service_book.change_service(
            connection, here.account, wanted, data, by=here.principal.credential, box=parts.secretbox,
            clock=parts.clock,
        )  # fmt: skip
    return ServiceMade(**_fields(entry), page_secret=secret)


@delete(
    "/v1/services/{service_id:str}",
    **operation(
        "remove-service", "Services", Scope.CONFIGURE, summary="Remove a service",
        raises=(ServiceMissing, ServiceInUse, IdMalformed),
    ),
)  # fmt: skip
async def remove_service(here: Here, service_id: ServicePath) -> None:
    """Only when no number points to it. What its calls left stays in custody."""
    wanted = id_in_address(ServiceId, service_id)
    async with here.parts.database.account(here.account) as connection:
        await service_book.remove_service(
            connection, here.account, wanted, by=here.principal.credential, clock=here.parts.clock
        )


@post(
    "/v1/services/{service_id:str}/page-secret",
    **operation(
        "rotate-page-secret", "Services", Scope.CONFIGURE, summary="Change the signing secret of a service's pages",
        raises=(ServiceMissing, NotSigned, IdMalformed, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def rotate_page_secret(
    here: Here, service_id: ServicePath, request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[PageSecretMade]:
    """For a day requests carry a signature by the old secret too, so that no page has to change in the same moment."""
    wanted, account, parts = id_in_address(ServiceId, service_id), here.account, here.parts
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen, secret = await once.seen(connection, account), None
        if seen is None:
            secret = await service_book.rotate_page_secret(
                connection, account, wanted, by=here.principal.credential, box=parts.secretbox, clock=parts.clock
            )
            await once.remember(connection, account, str(wanted))
        entry = await service_book.find_entry(connection, account, wanted)
    made = PageSecretMade(page_secret=secret, signs_with_old_secret_until=entry.old_secret_until)
    return Response(made, headers=REPLAYED if seen is not None else {})


def _require_usable(logic: Logic, parts: Parts) -> None:
    """A page that could never be asked is refused now, not in the middle of a call."""
    if isinstance(logic, Pages):
        for page in (logic.first_page, logic.error_page, logic.final_page):
            if page is not None:
                require_usable(page, parts.reach)


def _position(entry: ServiceEntry) -> Position:
    return entry.created_at, entry.service.service.value


def _fields(entry: ServiceEntry) -> dict[str, Any]:
    service = entry.service
    return {
        **{name: getattr(service, name) for name in ServiceSettings.__struct_fields__},
        "id": str(service.service),
        "created_at": entry.created_at,
        "changed_at": entry.changed_at,
        "signs_with_old_secret_until": entry.old_secret_until,
    }
