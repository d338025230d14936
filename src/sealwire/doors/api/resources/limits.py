"""Limits: where an account may call and write to, what it may spend, and the suspension of outbound use."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get, put
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.communications.cardguard import CardPolicy
from sealwire.doors.api.authentication import operation
from sealwire.doors.api.fields import AccountPath, MomentOrNull, id_in_address
from sealwire.doors.api.parts import Here
from sealwire.doors.api.problems import IdMalformed
from sealwire.governance import accounts, spending
from sealwire.governance.accounts import AccountMissing
from sealwire.governance.destinations import Destination, DestinationMalformed
from sealwire.governance.principals import Scope
from sealwire.governance.service_book import note_change
from sealwire.governance.spending import (
    CapAboveMaximum,
    OperatorLimits,
    OwnerLimits,
    SpendingNow,
)
from sealwire.ground.clock import Clock
from sealwire.ground.postgres.database import Connection
from sealwire.vocabulary import AccountId, CredentialId

BIGGEST = 10**15
DESTINATIONS_MAX = 500
Millicents = Annotated[int, Meta(description="In 1/1000 cent.", ge=0, le=BIGGEST, examples=[5_000_000])]
OwnCap = Annotated[
    Annotated[int, Meta(ge=0, le=BIGGEST)] | None,
    Meta(description="In 1/1000 cent; null for the operator's maximum.", examples=[100]),
]
Calls = Annotated[
    int, Meta(description="Calls that are up at one time, both directions.", ge=0, le=10**6, examples=[9])
]
PerMinute = Annotated[int, Meta(ge=1, le=10**6, examples=[30])]


class DestinationSeen(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A range of numbers that may be called and written to."""

    destination: Annotated[
        str,
        Meta(
            description="A prefix of up to 9 digits (`+44`; `+` for all), a country (`GB`) or a short number (`2001`).",
            examples=["GB"],
            max_length=20,
            extra_json_schema={"pattern": r"^(\+([1-9][0-9]{0,8})?|[A-Z]{2}|[0-9*#]{2,8})$"},
        ),
    ]
    premium: Annotated[
        bool,
        Meta(description="Also its premium, shared-cost, personal and satellite numbers.", examples=[False]),
    ] = False


class Destinations(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """All ranges that are allowed; nothing else in the telephone network is."""

    items: Annotated[list[DestinationSeen], Meta(max_length=DESTINATIONS_MAX)]


class OwnLimits(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the owner chooses, never above the operator's maximum."""

    day_cap_millicents: OwnCap = None
    month_cap_millicents: OwnCap = None
    calls_at_once: Annotated[Annotated[int, Meta(ge=0, le=10**6)] | None, Meta(examples=[20])] = None
    card_numbers: Annotated[
        CardPolicy,
        Meta(description="What happens to payment card numbers in messages and parameters.", examples=["mask"]),
    ] = CardPolicy.MASK


class MaximumLimits(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the operator allows at most, and how much a minute is suspicious."""

    day_cap_millicents: Millicents
    month_cap_millicents: Millicents
    calls_at_once: Calls
    setups_per_second: Annotated[int, Meta(ge=0, le=10_000, examples=[30])]
    refused_per_minute: PerMinute
    premium_per_minute: PerMinute
    short_calls_per_minute: PerMinute


class LimitsSeen(msgspec.Struct, kw_only=True):
    """Limits and where the account stands."""

    maximum: MaximumLimits
    own: OwnLimits
    destinations: list[DestinationSeen]
    day_spent_millicents: Millicents
    month_spent_millicents: Millicents
    reserved_millicents: Annotated[int, Meta(description="Held for what is going on now.", examples=[2200])]
    calls_up: Annotated[int, Meta(examples=[2])]
    suspended_at: MomentOrNull
    suspended_for: Annotated[
        str | None,
        Meta(description="refusals, premium, short-calls or operator.", examples=[None]),
    ]


class Suspension(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether outbound calls and messages of an account are suspended."""

    suspended: Annotated[bool, Meta(examples=[False])]


@get("/v1/limits", **operation("get-limits", "Limits", Scope.OWNER, summary="Look at the account's limits"))
async def get_limits(here: Here) -> LimitsSeen:
    """Caps, destinations, and what was spent today and this month (UTC)."""
    async with here.parts.database.account(here.account) as connection:
        return await _seen(connection, here.account, here.parts.clock)


@put(
    "/v1/limits",
    **operation(
        "set-limits", "Limits", Scope.OWNER, summary="Choose the account's own limits", raises=(CapAboveMaximum,),
        body={"day_cap_millicents": 1_000_000, "calls_at_once": 20, "card_numbers": "refuse"},
    ),
)  # fmt: skip
async def set_limits(here: Here, data: JSONBody[OwnLimits]) -> LimitsSeen:
    """In place of those there were: what is left out is the operator's maximum again."""
    limits = OwnerLimits(
        day_cap=data.day_cap_millicents, month_cap=data.month_cap_millicents, calls=data.calls_at_once,
        card_policy=data.card_numbers.value,
    )  # fmt: skip
    account, clock = here.account, here.parts.clock
    async with here.parts.database.account(account) as connection:
        await spending.set_owner_limits(connection, account, limits, clock)
        await _note(connection, account, "limits.set", here.principal.credential, clock)
        return await _seen(connection, account, clock)


@put(
    "/v1/limits/destinations",
    **operation(
        "set-destinations", "Limits", Scope.OWNER, summary="Allow destinations",
        raises=(DestinationMalformed,),
        body={"items": [{"destination": "GB"}, {"destination": "+4930"}]},
    ),
)  # fmt: skip
async def set_destinations(here: Here, data: JSONBody[Destinations]) -> Destinations:
    """In place of the list there was. A new account has none, so it may call and write to nobody."""
    wanted = [Destination.parse(item.destination, premium=item.premium) for item in data.items]
    account, clock = here.account, here.parts.clock
    async with here.parts.database.account(account) as connection:
        await spending.allow_destinations(connection, account, wanted, clock)
        await _note(connection, account, "destinations.set", here.principal.credential, clock)
        return Destinations(items=await _destinations(connection, account))


@get(
    "/v1/accounts/{account_id:str}/limits",
    **operation(
        "get-account-limits", "Limits", Scope.OPERATOR, summary="Look at an account's limits as the operator",
        raises=(AccountMissing, IdMalformed),
    ),
)  # fmt: skip
async def get_account_limits(here: Here, account_id: AccountPath) -> LimitsSeen:
    """The same as its owner sees."""
    account = id_in_address(AccountId, account_id)
    async with here.parts.database.account(account) as connection:
        await accounts.find_open(connection, account)
        return await _seen(connection, account, here.parts.clock)


@put(
    "/v1/accounts/{account_id:str}/limits",
    **operation(
        "set-account-limits", "Limits", Scope.OPERATOR, summary="Set what an account may have at most",
        raises=(AccountMissing, IdMalformed),
        body={
            "day_cap_millicents": 5_000_000, "month_cap_millicents": 50_000_000, "calls_at_once": 250,
            "setups_per_second": 30, "refused_per_minute": 30, "premium_per_minute": 10, "short_calls_per_minute": 60,
        },
    ),
)  # fmt: skip
async def set_account_limits(here: Here, account_id: AccountPath, data: JSONBody[MaximumLimits]) -> LimitsSeen:
    """Takes effect at the next call or message, and for what is up within a minute."""
    account, clock = id_in_address(AccountId, account_id), here.parts.clock
    limits = OperatorLimits(
        day_cap=data.day_cap_millicents, month_cap=data.month_cap_millicents, calls=data.calls_at_once,
        setups_per_second=data.setups_per_second, refused_per_minute=data.refused_per_minute,
        premium_per_minute=data.premium_per_minute, short_per_minute=data.short_calls_per_minute,
    )  # fmt: skip
    async with here.parts.database.account(account) as connection:
        await accounts.find_open(connection, account)
        await spending.set_operator_limits(connection, account, limits, clock)
        await _note(connection, account, "limits.maximum-set", None, clock)
        return await _seen(connection, account, clock)


@put(
    "/v1/accounts/{account_id:str}/suspension",
    **operation(
        "set-suspension", "Limits", Scope.OPERATOR, summary="Suspend an account's outbound use, or lift that",
        raises=(AccountMissing, IdMalformed), body={"suspended": False},
    ),
)  # fmt: skip
async def set_suspension(here: Here, account_id: AccountPath, data: JSONBody[Suspension]) -> LimitsSeen:
    """Suspended: nothing outbound is started, and outbound legs that are up end within a minute. Inbound goes on."""
    account, clock = id_in_address(AccountId, account_id), here.parts.clock
    change = spending.suspend if data.suspended else spending.lift_suspension
    async with here.parts.database.account(account) as connection:
        await accounts.find_open(connection, account)
        await change(connection, account, clock)
        await _note(connection, account, "outbound.suspended" if data.suspended else "outbound.lifted", None, clock)
        return await _seen(connection, account, clock)


async def _note(connection: Connection, account: AccountId, what: str, by: CredentialId | None, clock: Clock) -> None:
    await note_change(connection, account, what, account, by=by, clock=clock)


async def _destinations(connection: Connection, account: AccountId) -> list[DestinationSeen]:
    allowed = await spending.allowed_destinations(connection, account)
    return [DestinationSeen(destination=each.text, premium=each.premium) for each in allowed]


async def _seen(connection: Connection, account: AccountId, clock: Clock) -> LimitsSeen:
    now: SpendingNow = await spending.spending_now(connection, account, clock)
    maximum, own = now.operator, now.owner
    return LimitsSeen(
        maximum=MaximumLimits(
            day_cap_millicents=maximum.day_cap, month_cap_millicents=maximum.month_cap, calls_at_once=maximum.calls,
            setups_per_second=maximum.setups_per_second, refused_per_minute=maximum.refused_per_minute,
            premium_per_minute=maximum.premium_per_minute, short_calls_per_minute=maximum.short_per_minute,
        ),
        own=OwnLimits(
            day_cap_millicents=own.day_cap, month_cap_millicents=own.month_cap, calls_at_once=own.calls,
            card_numbers=CardPolicy(own.card_policy),
        ),
        destinations=await _destinations(connection, account),
        day_spent_millicents=now.day_spent, month_spent_millicents=now.month_spent, reserved_millicents=now.reserved,
        calls_up=now.calls_up, suspended_at=now.suspended_at, suspended_for=now.suspended_for,
    )  # fmt: skip
