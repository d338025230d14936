"""Numbers: given and taken by the operator, pointed to services by their account. No address holds one."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import (
    AccountPath,
    IdempotencyKey,
    Moment,
    NumberIdText,
    NumberPath,
    NumberText,
    id_in_address,
    id_pattern,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import IdMalformed
from sealwire.governance import accounts
from sealwire.governance.accounts import AccountMissing, AssignedNumber, NumberMissing, NumberTaken
from sealwire.governance.principals import Scope
from sealwire.governance.service_book import ServiceMissing
from sealwire.vocabulary import E164, AccountId, NumberId, ServiceId

ServiceOrBuiltIn = Annotated[
    Annotated[str, Meta(max_length=40)] | None,
    Meta(
        description="A service's id (`svc_...`) or a built-in's name (`greeting`, `voicemail`, `echo`, "
        "`not-in-service`); null for none.",
        examples=["greeting"],
    ),
]


class NewNumber(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A number and what answers it."""

    number: NumberText
    service: ServiceOrBuiltIn = None
    caller_only: Annotated[
        bool,
        Meta(
            description="The account may show it as caller, as the operator has verified; calls to it are not routed.",
            examples=[False],
        ),
    ] = False


class NumberChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where calls to a number lead from now on."""

    service_id: Annotated[
        Annotated[str, Meta(max_length=40, extra_json_schema=id_pattern("svc"))] | None,
        Meta(
            description="A service that takes inbound calls; null: calls are turned away.",
            examples=["svc_5f0c1e2d9a7b4c6e8f10213243546576"],
        ),
    ]


class NumberSeen(msgspec.Struct, kw_only=True):
    """A number of the account."""

    id: NumberIdText
    number: NumberText
    service: Annotated[str | None, Meta(description="The service's name.", examples=["greeting"])]
    service_id: Annotated[str | None, Meta(examples=["svc_5f0c1e2d9a7b4c6e8f10213243546576"])]
    caller_only: Annotated[bool, Meta(examples=[False])]
    assigned_at: Moment


class Numbers(msgspec.Struct, kw_only=True):
    """All numbers of the account."""

    items: list[NumberSeen]


@post(
    "/v1/accounts/{account_id:str}/numbers",
    **operation(
        "assign-number", "Numbers", Scope.OPERATOR, summary="Give an account a number",
        raises=(AccountMissing, NumberTaken, ServiceMissing, IdMalformed, IdempotencyConflict, IdempotencyKeyMalformed),
        body={"number": "+441632960123", "service": "greeting"},
    ),
)  # fmt: skip
async def assign_number(
    here: Here,
    account_id: AccountPath,
    data: JSONBody[NewNumber],
    request: Request[Any, Any, Any],
    idempotency_key: IdempotencyKey = None,
) -> Response[NumberSeen]:
    """Calls to this number are answered by the service, on this account's behalf, from the next call on."""
    account, number = id_in_address(AccountId, account_id), E164.parse(data.number)
    is_id = data.service is not None and data.service.startswith(f"{ServiceId.prefix}_")
    service = ServiceId.parse(data.service) if is_id and data.service is not None else data.service
    once = await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(account) as connection:
        await accounts.find_open(connection, account)
        seen = await once.seen(connection, account)
        if seen is None:
            assigned = await accounts.assign_number(
                connection, account, number, service=service, caller_only=data.caller_only, clock=here.parts.clock
            )
            await once.remember(connection, account, str(assigned))
        else:
            assigned = NumberId.parse(seen)
        found = await accounts.find_number(connection, account, assigned)
    return Response(_seen(found), headers=REPLAYED if seen is not None else {})


@delete(
    "/v1/accounts/{account_id:str}/numbers/{number_id:str}",
    **operation(
        "remove-number", "Numbers", Scope.OPERATOR, summary="Take a number back",
        raises=(AccountMissing, NumberMissing, IdMalformed),
    ),
)  # fmt: skip
async def remove_number(here: Here, account_id: AccountPath, number_id: NumberPath) -> None:
    """The next call to it is not routed any more; one that is up goes on to its end."""
    account, number = id_in_address(AccountId, account_id), id_in_address(NumberId, number_id)
    async with here.parts.database.account(account) as connection:
        await accounts.find_open(connection, account)
        await accounts.remove_number(connection, account, number, clock=here.parts.clock)


@get("/v1/numbers", **operation("list-numbers", "Numbers", Scope.READ, summary="List the account's numbers"))
async def list_numbers(here: Here) -> Numbers:
    """All of them: an account has few. For another one, ask the operator."""
    async with here.parts.database.account(here.account) as connection:
        listed = await accounts.list_numbers(connection, here.account)
    return Numbers(items=[_seen(each) for each in listed])


@patch(
    "/v1/numbers/{number_id:str}",
    **operation(
        "point-number", "Numbers", Scope.CONFIGURE, summary="Point a number to a service",
        raises=(NumberMissing, ServiceMissing, IdMalformed),
    ),
)  # fmt: skip
async def point_number(here: Here, number_id: NumberPath, data: JSONBody[NumberChange]) -> NumberSeen:
    """From the next call on. Calls that are up stay with the service that took them."""
    number = id_in_address(NumberId, number_id)
    service = ServiceId.parse(data.service_id) if data.service_id is not None else None
    async with here.parts.database.account(here.account) as connection:
        found = await accounts.point_number(
            connection, here.account, number, service=service, by=here.principal.credential, clock=here.parts.clock
        )
    return _seen(found)


def _seen(number: AssignedNumber) -> NumberSeen:
    return NumberSeen(
        id=str(number.id), number=number.number, service=number.service_name,
        service_id=str(number.service) if number.service else None, caller_only=number.caller_only,
        assigned_at=number.assigned_at,
    )  # fmt: skip
