"""Closure certificates: what the log states about the closing of an account, checkable offline.

As with erasures, the statement (`closure.unreadable`) goes into the log first and fixes what is known then; the
certificate repeats it beside the holders' receipts and gains the removal once that is in the log as well.
"""

from __future__ import annotations

import datetime as dt
import json
import time
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import rfc8785

from sealwire.evidence import reader
from sealwire.evidence.certificates import CertificatePending, certificate_id, receipts_told
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.log import queries
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.vocabulary import AccountId, ClosureId, ErasureId
from sealwire_verifier import certificate as form
from sealwire_verifier import closure as closure_form
from sealwire_verifier.proof import Proof

VERSION = 1
WAIT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosureCertificateRequest:
    """What custody knows of a closure. `kept` are `what`, `ground`, `until`, `records`, without personal data.

    `tables_left` are the tables that still name the account after the removal.
    """

    closure: ClosureId
    branches_kept: Sequence[int]
    kept: Sequence[Mapping[str, Any]]
    receipts: Sequence[Mapping[str, Any]]
    hidden_at: dt.datetime
    gone_from_backups_by: dt.date
    unreadable_at: dt.datetime
    removed_at: dt.datetime | None = None
    tables_left: Sequence[str] = ()

    @property
    def erasure(self) -> ErasureId:
        """The name under which holders and log know the closure."""
        return ErasureId(self.closure.value)


async def make_closure_certificate(
    database: Database,
    sequencer: SequencerClient,
    account: AccountId,
    request: ClosureCertificateRequest,
    *,
    clock: Clock,
) -> str:
    """Have what is missing stated in the log, then build the certificate. May be repeated; nothing is stated twice."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        async with database.account(account) as connection:
            stated = await connection.fetch(queries.statements, account.value, request.erasure.value)
            origin = (await reader.signed_head(connection, account)).origin
            missing = _missing(origin, request, {row["leaf_class"] for row in stated}, clock.now())
            if missing is None:
                with suppress(CertificatePending):
                    return (await build_closure_certificate(connection, account, request)).decode()
        if time.monotonic() > deadline_s:
            raise CertificatePending
        if missing is not None:
            await sequencer.include(account, leaf_class=missing[0], payload=missing[1])


def _missing(
    origin: str, request: ClosureCertificateRequest, told: set[int], now: dt.datetime
) -> tuple[LeafClass, dict[str, object]] | None:
    """The next thing to be said."""
    if LeafClass.CLOSURE_UNREADABLE not in told:
        return LeafClass.CLOSURE_UNREADABLE, unreadable_payload(origin, request, now)
    if request.removed_at is not None and LeafClass.CLOSURE_REMOVED not in told:
        return LeafClass.CLOSURE_REMOVED, removed_payload(origin, request)
    return None


def unreadable_payload(origin: str, request: ClosureCertificateRequest, now: dt.datetime) -> dict[str, object]:
    """What the log says once the keys are destroyed; later certificates must say the same."""
    told = receipts_told(request.receipts, request.unreadable_at, limits_of=closure_form.limits_of_closure)
    return {
        "account": origin,
        "at": max(rfc3339(now), str(told["unreadable_at"])),
        "certificate": certificate_id(request.erasure),
        "closure": str(request.closure),
        "erasure": str(request.erasure),
        "ground": closure_form.GROUND,
        "branches_kept": sorted(request.branches_kept),
        "kept_hash": form.digest([dict(entry) for entry in request.kept]),
        "hidden_at": rfc3339(request.hidden_at),
        "gone_from_backups_by": request.gone_from_backups_by.isoformat(),
        **told,
    }


def removed_payload(origin: str, request: ClosureCertificateRequest) -> dict[str, object]:
    """What the log says once rows, objects and tokens are removed and the stores compacted."""
    assert request.removed_at is not None
    return {
        "account": origin,
        "at": rfc3339(request.removed_at),
        "closure": str(request.closure),
        "erasure": str(request.erasure),
        "tables_left": sorted(request.tables_left),
    }


async def build_closure_certificate(
    connection: Connection, account: AccountId, request: ClosureCertificateRequest
) -> bytes:
    """The certificate as a `.tlog-proof` file; CertificatePending until what it shows is in a signed head."""
    head = await reader.signed_head(connection, account)
    statements = await connection.fetch(queries.statements, account.value, request.erasure.value)
    stated = _first(statements, LeafClass.CLOSURE_UNREADABLE, head.size)
    removal = _first(statements, LeafClass.CLOSURE_REMOVED, head.size)
    if stated is None or (removal is None and request.removed_at is not None):
        raise CertificatePending
    wanted = sorted({stated["idx"], *([removal["idx"]] if removal else [])})
    proofs = await reader.inclusion_proofs(connection, account, wanted, size=head.size)
    paths = {proof.index: proof.path for proof in proofs}
    statement = json.loads(stated["payload"])
    repeated = ("certificate", "closure", "erasure", "account", "ground", "branches_kept", "effaceability_class")
    body = {
        "version": VERSION,
        **{name: statement[name] for name in repeated},
        "kept": [dict(entry) for entry in request.kept],
        "levels": _levels(statement, removal, paths),
        "receipts": [dict(receipt) for receipt in request.receipts],
        "statement": _leaf(LeafClass.CLOSURE_UNREADABLE, stated),
        "witnessed": form.NOT_WITNESSED,
        "limits": closure_form.limits_of_closure(statement["effaceability_class"]),
    }
    return Proof(stated["idx"], tuple(paths[stated["idx"]]), head.checkpoint, rfc8785.dumps(body)).render()


def _levels(statement: dict[str, Any], removal: Any, paths: dict[int, list[bytes]]) -> dict[str, Any]:
    removed: dict[str, Any] = {"at": None, "state": "pending"}
    if removal is not None:
        place = {"index": removal["idx"], "path": [_base64(each) for each in paths[removal["idx"]]]}
        removed = {
            "at": json.loads(removal["payload"])["at"],
            "state": "removed",
            "statement": _leaf(LeafClass.CLOSURE_REMOVED, removal) | place,
        }
    unreadable = {"at": statement["unreadable_at"]}
    return {
        "hidden": {"at": statement["hidden_at"]},
        "unreadable": unreadable | {name: statement[name] for name in ("epoch_before", "epoch_after")},
        "removed": removed,
        "gone_from_backups": {"by": statement["gone_from_backups_by"]},
    }


def _leaf(leaf_class: LeafClass, row: Any) -> dict[str, Any]:
    return {"leaf_class": int(leaf_class), "salt": _base64(row["salt"]), "payload": _base64(row["payload"])}


def _first(rows: Iterable[Any], leaf_class: LeafClass, size: int) -> Any:
    """The first statement of this class that stands in the signed tree."""
    return next((row for row in rows if row["leaf_class"] == leaf_class and row["idx"] < size), None)


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
