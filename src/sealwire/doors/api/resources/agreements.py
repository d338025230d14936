"""Data processing agreements: read, accepted, listed. None in force: no data is taken."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import JSONBody
from msgspec import Meta

from sealwire.custody.categories import AUDIT_CODE, BY_CODE, standard_periods
from sealwire.custody.retention.periods import periods_of
from sealwire.doors.api.authentication import Who, operation
from sealwire.doors.api.fields import AgreementIdText, CredentialIdText, IdempotencyKey, Moment, MomentOrNull, Sha256Hex
from sealwire.doors.api.idempotency import REPLAYED, IdempotencyConflict, IdempotencyKeyMalformed, Once
from sealwire.doors.api.parts import Here, Visit
from sealwire.governance import accounts, agreements
from sealwire.governance.agreements import Agreement, AgreementChanged
from sealwire.governance.principals import Scope
from sealwire.vocabulary import AgreementId

Annex = Annotated[
    dict[str, Any],
    Meta(
        description="What software can check and an auditor pins: log key, key holders, periods, backup cycle.",
        examples=[
            {
                "log_vkey": "sealwire.local/log/5f0c1e2d9a7b4c6e+1a2b3c4d+AbCd...",
                "holders": ["sealwire.holder/0a1b2c3d+5e6f7a8b+AbCd..."],
                "retention_days": {"call-record": 90, "recording": 28},
                "backup_cycle_days": 28,
                "effaceability_class": "unverified",
                "disaster_recoverable": False,
                "sub_processors": [],
            }
        ],
    ),
]


class StandardAgreement(msgspec.Struct, kw_only=True):
    """The standard agreement."""

    document: Annotated[str, Meta(examples=["standard-1"])]
    sha256: Sha256Hex
    text: Annotated[str, Meta(description="Markdown.", examples=["# Data processing agreement, standard form 1 ..."])]


class Acceptance(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Acceptance of the standard agreement."""

    sha256: Sha256Hex


class AgreementSeen(msgspec.Struct, kw_only=True):
    """One accepted agreement."""

    id: AgreementIdText
    document: Annotated[str, Meta(examples=["standard-1"])]
    sha256: Sha256Hex
    annex: Annex
    accepted_by: CredentialIdText
    accepted_at: Moment
    ended_at: MomentOrNull


class Agreements(msgspec.Struct, kw_only=True):
    """All agreements of the account, newest first."""

    items: list[AgreementSeen]


@get(
    "/v1/agreements/standard",
    **operation("get-standard-agreement", "Agreements", Who.ANY_OF_ACCOUNT, summary="Read the standard agreement"),
)
async def get_standard_agreement() -> StandardAgreement:
    """Its text, and the hash by which you accept exactly this text."""
    text = agreements.standard_document()
    return StandardAgreement(document=agreements.STANDARD, sha256=agreements.document_sha256(text), text=text)


@post(
    "/v1/agreements",
    **operation(
        "accept-agreement", "Agreements", Scope.OWNER, summary="Accept the standard agreement",
        raises=(AgreementChanged, IdempotencyConflict, IdempotencyKeyMalformed),
    ),
)  # fmt: skip
async def accept_agreement(
    here: Here, data: JSONBody[Acceptance], request: Request[Any, Any, Any], idempotency_key: IdempotencyKey = None
) -> Response[AgreementSeen]:
    """From here on calls are answered and records kept. The annex fixes the keys that an auditor pins."""
    account, parts = here.account, here.parts
    once = await Once.of(request, here, idempotency_key)
    async with parts.database.account(account) as connection:
        seen = await once.seen(connection, account)
    annex = await _annex(here) if seen is None else {}
    async with parts.database.account(account) as connection:
        if seen is None:
            accepted = await agreements.accept_standard(
                connection, account, sha256=data.sha256, annex=annex,
                accepted_by=here.principal.credential, clock=parts.clock,
            )  # fmt: skip
            await once.remember(connection, account, str(accepted))
        else:
            accepted = AgreementId.parse(seen)
        listed = await agreements.list_agreements(connection, account)
    (agreement,) = (each for each in listed if each.agreement == accepted)
    return Response(_seen(agreement), headers=REPLAYED if seen is not None else {})


@get("/v1/agreements", **operation("list-agreements", "Agreements", Who.ANY_OF_ACCOUNT, summary="List agreements"))
async def list_agreements(here: Here) -> Agreements:
    """Each with its annex as it was when it was accepted."""
    async with here.parts.database.account(here.account) as connection:
        listed = await agreements.list_agreements(connection, here.account)
    return Agreements(items=[_seen(each) for each in listed])


async def _annex(here: Visit) -> dict[str, Any]:
    async with here.parts.database.account(here.account) as connection:
        account = await accounts.find(connection, here.account)
        chosen = {each.category.name: each.days for each in await periods_of(connection, here.account)
                  if each.retention_class == 0}  # fmt: skip
    keeper = await here.parts.custody.keeper.status()
    periods = {int(key.partition("/")[0]): days for key, days in standard_periods().items()}
    names = {code: category.name for code, category in BY_CODE.items()} | {AUDIT_CODE: "evidence payloads"}
    return {
        "log_vkey": account.log_vkey,
        "holders": keeper.holder_vkeys,
        "retention_days": {names[code]: days for code, days in periods.items()} | chosen,
        "backup_cycle_days": here.parts.settings.backup_cycle_days,
        "effaceability_class": keeper.effaceability_class,
        "disaster_recoverable": keeper.disaster_recoverable,
        "sub_processors": [],
    }


def _seen(agreement: Agreement) -> AgreementSeen:
    return AgreementSeen(
        id=str(agreement.agreement), document=agreement.document, sha256=agreement.document_sha256,
        annex=agreement.annex, accepted_by=str(agreement.accepted_by), accepted_at=agreement.accepted_at,
        ended_at=agreement.ended_at,
    )  # fmt: skip
