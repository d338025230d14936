"""Accounts: made by the operator, seen by themselves."""

from __future__ import annotations

from typing import Annotated, Any

import asyncpg
import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.custody.closure.closer import statutory_days
from sealwire.custody.retention.periods import admit
from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.fields import (
    AccountIdText,
    AccountPath,
    CredentialIdText,
    IdempotencyKey,
    Moment,
    MomentOrNull,
    id_in_address,
)
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.problems import IdMalformed
from sealwire.doors.api.resources.credentials import SHOWN_ONCE, SecretText
from sealwire.governance import accounts, credentials
from sealwire.governance.accounts import Account, AccountMissing
from sealwire.governance.billing.statutory import CountryUnknown, check_country
from sealwire.governance.principals import Scope
from sealwire.vocabulary import AccountId, CredentialId, Purpose

LogKey = Annotated[
    str,
    Meta(
        description="The key of the account's evidence log (C2SP vkey); an auditor pins it.",
        examples=["sealwire.local/log/5f0c1e2d9a7b4c6e+1a2b3c4d+AbCdEfGhIjKlMnOpQrStUvWxYz0123456789AbCdEfGhIjK="],
    ),
]


class NewAccount(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An account to be made."""

    name: Annotated[
        str, Meta(description="The controller's name.", examples=["Example Surgery"], min_length=1, max_length=200)
    ]
    country: Annotated[
        str | None,
        Meta(
            description="Where it is (ISO 3166-1): how long its invoices are kept; null: as the operator's own.",
            examples=["DE"],
            extra_json_schema={"pattern": "^[A-Z]{2}$"},
        ),
    ] = None
    default_purpose: Annotated[
        Purpose | None,
        Meta(description="The purpose its first credential opens content for.", examples=["service-operation"]),
    ] = None


class AccountSeen(msgspec.Struct, kw_only=True):
    """One account."""

    id: AccountIdText
    name: Annotated[str, Meta(examples=["Example Surgery"])]
    log_origin: Annotated[
        str, Meta(description="The name of its evidence log.", examples=["sealwire.local/log/5f0c1e2d9a7b4c6e"])
    ]
    log_vkey: LogKey
    created_at: Moment
    closed_at: MomentOrNull
    country: Annotated[str | None, Meta(description="ISO 3166-1; null: the operator's.", examples=["DE"])]


class FirstCredential(msgspec.Struct, kw_only=True):
    """The owner's credential, made with the account."""

    id: CredentialIdText
    secret: SecretText
    note: Annotated[str, Meta(examples=[SHOWN_ONCE])]


class AccountMade(msgspec.Struct, kw_only=True):
    """A new account and its owner's credential."""

    account: AccountSeen
    credential: FirstCredential


@post(
    "/v1/accounts",
    **operation(
        "create-account", "Accounts", Scope.OPERATOR, summary="Make an account",
        raises=(IdempotencyConflict, IdempotencyKeyMalformed, CountryUnknown),
    ),
)  # fmt: skip
async def create_account(
    here: Here, data: JSONBody[NewAccount], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[AccountMade]:
    """With its own evidence log, its own keys, and a first credential of scope `owner`, whose secret is shown once."""
    parts, by = here.parts, here.principal.credential
    once = await Once.of(request, here, idempotency_key)
    account_id = once.new_account_id()
    async with parts.database.account(account_id) as connection:
        if await once.seen(connection, account_id) is not None:
            return await _replayed(here, account_id)
    country = check_country(data.country) if data.country is not None else None
    log = await parts.sequencer.open_log(account_id)
    periods = parts.retention_policy.periods() | statutory_days(parts.closing_rules.period(country))
    await parts.custody.keeper.create_account(account_id, log_vkey=log.vkey, periods=periods)
    try:
        async with parts.database.account(account_id) as connection:
            account = await accounts.create(
                connection,
                account_id,
                name=data.name,
                log_origin=log.origin,
                log_vkey=log.vkey,
                clock=parts.clock,
                country=country,
            )
            await admit(connection, account_id, periods)
            issued = await credentials.issue(
                connection, account_id, label="owner", scopes=[Scope.OWNER], default_purpose=data.default_purpose,
                issued_by=by, clock=parts.clock,
            )  # fmt: skip
            await once.remember(connection, account_id, str(account_id))
    except asyncpg.UniqueViolationError:  # the key's row was forgotten after a day, the account was not
        raise IdempotencyConflict from None
    first = FirstCredential(id=str(issued.credential), secret=issued.secret, note=SHOWN_ONCE)
    return Response(_made(account, first), headers={"Location": f"/v1/accounts/{account_id}"})


@get(
    "/v1/accounts/{account_id:str}",
    **operation(
        "get-account",
        "Accounts",
        Who.ACCOUNT_OR_OPERATOR,
        summary="Look at an account",
        raises=(AccountMissing, IdMalformed),
    ),
)
async def get_account(here: Here, account_id: AccountPath) -> AccountSeen:
    """A credential sees its own account only; any other id is as unknown as a random one."""
    wanted = id_in_address(AccountId, account_id)
    if here.principal.account not in (None, wanted):
        raise AccountMissing
    async with here.parts.database.account(wanted) as connection:
        account = await accounts.find(connection, wanted)
    return _seen(account)


async def _replayed(here: Visit, account_id: AccountId) -> Response[AccountMade]:
    async with here.parts.database.account(account_id) as connection:
        account = await accounts.find(connection, account_id)
        first = (await credentials.list_credentials(connection, account_id))[0]
    seen = FirstCredential(id=str(CredentialId(first["credential_id"])), secret=None, note=SHOWN_ONCE)  # type: ignore[arg-type]
    return Response(_made(account, seen), headers=REPLAYED | {"Location": f"/v1/accounts/{account_id}"})


def _made(account: Account, first: FirstCredential) -> AccountMade:
    return AccountMade(account=_seen(account), credential=first)


def _seen(account: Account) -> AccountSeen:
    return AccountSeen(
        id=str(account.account), name=account.name, log_origin=account.log_origin, log_vkey=account.log_vkey,
        created_at=account.created_at, closed_at=account.closed_at, country=account.country,
    )  # fmt: skip
