"""The data processing agreement (GDPR Art. 28(3)): in force before any data is taken, with what an auditor pins."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from typing import Any

from sealwire.errors import Malformed, Refused
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.outbox import post_event
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection
from sealwire.ground.postgres.queries import load_queries
from sealwire.vocabulary import AccountId, AgreementId, CredentialId

_queries = load_queries(__package__)
STANDARD = "standard-1"


class NoAgreement(Refused):
    """No data processing agreement is in force for this account, so no data is taken: accept one first."""


class AgreementChanged(Malformed):
    """The document you hashed is not the one in force; read /v1/agreements/standard again and accept that."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One accepted agreement and the keys that its annex pins."""

    agreement: AgreementId
    document: str
    document_sha256: str
    annex: dict[str, Any]
    accepted_by: CredentialId
    accepted_at: datetime
    ended_at: datetime | None


def standard_document() -> str:
    """The text of the standard agreement, in our own words."""
    return (files(__package__) / "standard_agreement.md").read_text()


def document_sha256(text: str) -> str:
    """The hash by which an agreement's text is named, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


async def accept_standard(
    connection: Connection,
    account: AccountId,
    *,
    sha256: str,
    annex: dict[str, Any],
    accepted_by: CredentialId,
    clock: Clock,
) -> AgreementId:
    """Accept the standard agreement; the annex pins the log key and the key holders. With its leaf."""
    if sha256 != document_sha256(standard_document()):
        raise AgreementChanged
    agreement, now = AgreementId.new(), clock.now()
    await connection.execute(
        _queries.insert_agreement, account.value, agreement.value, STANDARD, bytes.fromhex(sha256),
        json.dumps(annex, sort_keys=True), accepted_by.value, now,
    )  # fmt: skip
    payload = {
        "agreement": str(agreement),
        "document_sha256": sha256,
        "annex_sha256": hashlib.sha256(json.dumps(annex, sort_keys=True).encode()).hexdigest(),
        "accepted_by": str(accepted_by),
        "at": rfc3339(now),
    }
    await post_event(connection, account, LeafClass.AGREEMENT_ACCEPTED, payload, mentions=[])
    return agreement


async def list_agreements(connection: Connection, account: AccountId) -> list[Agreement]:
    """Every agreement of the account, newest first."""
    rows = await connection.fetch(_queries.list_agreements, account.value)
    return [
        Agreement(
            AgreementId(row["agreement_id"]), row["document"], row["document_sha256"].hex(),
            json.loads(row["annex"]), CredentialId(row["accepted_by"]), row["accepted_at"], row["ended_at"],
        )
        for row in rows
    ]  # fmt: skip
