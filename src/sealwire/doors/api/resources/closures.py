"""Closures of accounts: begun and called off by the owner, followed by whoever has the retrieval token, and listed."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK
from msgspec import Meta

from sealwire.communications.accounting import billing
from sealwire.custody.backups.presence import is_gone_from, oldest_begun
from sealwire.custody.closure import book
from sealwire.custody.closure.book import (
    CONFIRMATION,
    GRACE_DAYS_MAX,
    Closure,
    ClosureMissing,
    ConfirmationMissing,
    GraceIsOver,
)
from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.fields import AccountIdText, IdempotencyKey, Moment, NextCursor, id_in_address, id_meta, in_path
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.pagination import LIMIT_DEFAULT, Cursor, Limit, cut_page, read_cursor
from sealwire.doors.api.parts import Here, Visit
from sealwire.doors.api.periods import From, PeriodWrong, To, period_of
from sealwire.doors.api.problems import CursorMalformed, IdMalformed, certificate_address
from sealwire.doors.api.resources.billing_records import BillingSums, TariffSums
from sealwire.doors.api.resources.erasures import Level, Levels
from sealwire.errors import Missing
from sealwire.governance.principals import Scope
from sealwire.governance.standing import AccountIsClosing
from sealwire.vocabulary import AccountId, ClosureId

_EXAMPLE = "clo_5f0c1e2d9a7b4c6e8f10213243546576"
_KEPT = "statutory retention, DE: AO 147(3), HGB 257(4), UStG 14b(1): vouchers and invoices 8 years (since 2025)"
ClosureIdText = Annotated[str, id_meta("clo", "The closure's id.")]
ClosurePath = Annotated[str, in_path("The closure's id.", _EXAMPLE)]
SHOWN_ONCE = (
    "Keep this token: it is shown once, and is the only way to read the certificate once the account is closed."
)


class ClosureCertificateNotReady(Missing):
    """The certificate is made when the account's keys are destroyed, within a minute after the grace; ask then."""


class NewClosure(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How an account is to be closed."""

    grace_days: Annotated[
        int,
        Meta(description="For how long it can still be read, and called off.", ge=0, le=GRACE_DAYS_MAX, examples=[14]),
    ]
    confirmation: Annotated[
        str, Meta(description=f'The sentence "{CONFIRMATION}", word for word.', max_length=200, examples=[CONFIRMATION])
    ]


class KeptAfterClosure(msgspec.Struct, kw_only=True):
    """What stays of a closed account, why, and until when."""

    what: Annotated[str, Meta(description="A category, or held-records.", examples=["billing-record"])]
    records: Annotated[int, Meta(examples=[312])]
    ground: Annotated[str, Meta(examples=[_KEPT])]
    until: Annotated[dt.date, Meta(description="The last day it is kept.", examples=["2034-12-31"])]


class ClosureSeen(msgspec.Struct, kw_only=True):
    """One closure and how far it has come."""

    id: ClosureIdText
    account_id: AccountIdText
    state: Annotated[str, Meta(description="grace, cancelled, hidden, unreadable or removed.", examples=["grace"])]
    begun_at: Moment
    ends_at: Annotated[
        dt.datetime, Meta(description="The end of the grace, UTC.", examples=["2026-12-07T11:30:00.000Z"])
    ]
    levels: Levels
    kept: list[KeptAfterClosure]
    export: Annotated[
        str,
        Meta(description="Where what the account has is exported from during the grace.", examples=["/v1/reports"]),
    ]
    certificate: Annotated[
        str | None,
        Meta(
            description="Where the certificate is; null until the account is unreadable.",
            examples=[f"/v1/closures/{_EXAMPLE}/certificate"],
        ),
    ]


class ClosureBegun(msgspec.Struct, kw_only=True):
    """A closure that has begun."""

    closure: ClosureSeen
    retrieval_token: Annotated[
        str | None,
        Meta(description="Shown once; null in a replayed answer.", examples=["sealwire_" + "x" * 43]),
    ]
    note: Annotated[str, Meta(examples=[SHOWN_ONCE])]


class ClosurePage(msgspec.Struct, kw_only=True):
    """A page of closures, newest first."""

    items: list[ClosureSeen]
    next_cursor: NextCursor


@post(
    "/v1/closures",
    **operation(
        "begin-closure", "Closure", Scope.OWNER, summary="Close the account",
        body={"grace_days": 14, "confirmation": CONFIRMATION},
        raises=(ConfirmationMissing, AccountIsClosing, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def begin_closure(
    here: Here, data: JSONBody[NewClosure], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[ClosureBegun]:
    """Until the end of the grace everything can be read, opened and exported, nothing new is kept, and the owner can
    call it off. Then calls are hung up and, within a minute, the keys of everything but invoices and what is held are
    destroyed: unreadable here and in every backup. Nobody can undo that.
    """
    once = await Once.of(request, here, idempotency_key)
    async with here.parts.database.account(here.account) as connection:
        if (seen := await once.seen(connection, here.account)) is not None:
            found, token, headers = await book.find(connection, here.account, ClosureId.parse(seen)), None, REPLAYED
        else:
            found, token = await book.begin(
                connection, here.account, grace_days=data.grace_days, confirmation=data.confirmation,
                by=here.principal.credential, clock=here.parts.clock,
            )  # fmt: skip
            await once.remember(connection, here.account, str(found.closure))
            headers = {}
    begun = ClosureBegun(closure=await _seen_now(here, found), retrieval_token=token, note=SHOWN_ONCE)
    return Response(begun, headers=headers | {"Location": f"/v1/closures/{found.closure}"})


@get(
    "/v1/closures",
    **operation(
        "list-closures", "Closure", Scope.OPERATOR, summary="List closures of all accounts", raises=(CursorMalformed,)
    ),
)
async def list_closures(here: Here, cursor: Cursor = None, limit: Limit = LIMIT_DEFAULT) -> ClosurePage:
    """Newest first: which accounts are closing or closed, what stays of them and until when."""
    before = read_cursor("closures", cursor)
    rows = await book.page_of_all(here.parts.database, before=before, limit=limit + 1)
    page, next_cursor = cut_page("closures", rows, limit=limit, position=lambda row: (row.begun_at, row.closure.value))
    oldest = await _oldest_backup(here)
    return ClosurePage(items=[_seen(row, oldest) for row in page], next_cursor=next_cursor)


@get(
    "/v1/closures/{closure_id:str}",
    **operation(
        "get-closure", "Closure", Who.CLOSURE_FOLLOWER, summary="Follow a closure", raises=(ClosureMissing, IdMalformed)
    ),
)
async def get_closure(here: Here, closure_id: ClosurePath) -> ClosureSeen:
    """How far it has come, level by level, and what stays. With the retrieval token also once the account is closed."""
    return await _seen_now(here, await _found(here, closure_id))


@post(
    "/v1/closures/{closure_id:str}/cancel",
    status_code=HTTP_200_OK,
    **operation(
        "cancel-closure", "Closure", Scope.OWNER, summary="Call a closure off",
        raises=(ClosureMissing, GraceIsOver, IdMalformed),
    ),
)  # fmt: skip
async def cancel_closure(here: Here, closure_id: ClosurePath) -> ClosureSeen:
    """Until the end of the grace: the account is open again at once, as if nothing had been asked."""
    wanted = id_in_address(ClosureId, closure_id)
    async with here.parts.database.account(here.account) as connection:
        found = await book.cancel(
            connection, here.account, wanted, by=here.principal.credential, clock=here.parts.clock
        )
    return await _seen_now(here, found)


@get(
    "/v1/closures/{closure_id:str}/certificate",
    media_type="text/plain",
    **operation(
        "get-closure-certificate", "Closure", Who.RETRIEVER_OR_OPERATOR, summary="Get a closure's certificate",
        raises=(ClosureMissing, ClosureCertificateNotReady, IdMalformed),
    ),
)  # fmt: skip
async def get_closure_certificate(here: Here, closure_id: ClosurePath) -> Response[str]:
    """A `.tlog-proof` file (C2SP) without personal data; made anew when the account's rows are removed. Check it with
    `python -m sealwire_verifier certificate FILE --policy POLICY`.
    """
    found = await _found(here, closure_id)
    if found.certificate is None:
        raise ClosureCertificateNotReady
    return Response(
        found.certificate, media_type="text/plain",
        headers={"Content-Disposition": f'attachment; filename="{found.closure}.tlog-proof"'},
    )  # fmt: skip


@get(
    "/v1/closures/{closure_id:str}/billing-sums",
    **operation(
        "sum-closed-billing", "Closure", Scope.OPERATOR, summary="Sum what a closed account was charged",
        raises=(ClosureMissing, PeriodWrong, IdMalformed),
    ),
)  # fmt: skip
async def sum_closed_billing(here: Here, closure_id: ClosurePath, from_: From = None, to: To = None) -> BillingSums:
    """Amounts by day, item and tariff, which the statute obliges the operator to keep; no numbers."""
    found, period = await _found(here, closure_id), period_of(from_, to, here.parts.clock)
    async with here.parts.database.account(found.account) as connection:
        rows = await billing.sums(connection, found.account, period)
    items = [msgspec.convert(row, TariffSums) for row in rows]
    total = sum(item.amount_millicents for item in items)
    return BillingSums(begins=period.begins, ends=period.ends, amount_millicents=total, items=items)


async def _found(here: Visit, closure_id: str) -> Closure:
    """The closure, of this account or, for the operator, of any; the retrieval token's own is the only one it sees."""
    wanted = id_in_address(ClosureId, closure_id)
    account = here.principal.account or await book.account_of(here.parts.database, wanted)
    async with here.parts.database.account(AccountId(account.value)) as connection:
        return await book.find(connection, account, wanted)


async def _oldest_backup(here: Visit) -> dt.datetime | None:
    return await asyncio.to_thread(oldest_begun, here.parts.settings.backups_dir)


async def _seen_now(here: Visit, row: Closure) -> ClosureSeen:
    return _seen(row, await _oldest_backup(here))


def _seen(row: Closure, oldest_backup: dt.datetime | None) -> ClosureSeen:
    levels = Levels(
        hidden=Level(reached=row.hidden_at is not None, at=row.hidden_at, by=row.ends_at.date()),
        unreadable=Level(reached=row.unreadable_at is not None, at=row.unreadable_at),
        removed=Level(reached=row.removed_at is not None, at=row.removed_at),
        gone_from_backups=Level(reached=is_gone_from(oldest_backup, row.removed_at), by=row.gone_from_backups_by),
    )
    return ClosureSeen(
        id=str(row.closure), account_id=str(row.account), state=row.state, begun_at=row.begun_at, ends_at=row.ends_at,
        levels=levels, kept=[msgspec.convert(entry, KeptAfterClosure) for entry in row.kept], export="/v1/reports",
        certificate=certificate_address(str(row.closure)) if row.certificate is not None else None,
    )  # fmt: skip
