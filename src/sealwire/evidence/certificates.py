"""Erasure certificates: what the log states about an erasure, with everything needed to check it offline.

The statement (`erasure.unreadable`) goes into the log first and fixes what is known then; a certificate repeats it
beside the holders' receipts and the proofs that each record was kept. It is built anew whenever it is asked for, so
the same erasure's certificate gains the removal once that is in the log.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import rfc8785

from sealwire.errors import Unavailable
from sealwire.evidence import reader
from sealwire.evidence.client import SequencerClient
from sealwire.evidence.leaves import LeafClass
from sealwire.evidence.log import queries
from sealwire.ground.clock import Clock, rfc3339
from sealwire.ground.postgres.database import Connection, Database
from sealwire.vocabulary import AccountId, ErasureId, RecordId
from sealwire_verifier import certificate as form
from sealwire_verifier.merkle import root_of
from sealwire_verifier.proof import Proof

VERSION = 1
WAIT_S = 10.0
POLL_S = 0.05


class CertificatePending(Unavailable):
    """The certificate is not ready: its statements are on their way into the log; ask again in a second."""


def certificate_id(erasure: ErasureId) -> str:
    """An erasure has one certificate, named after it."""
    return f"crt_{erasure.value.hex}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRequest:
    """What custody knows of an erasure. `days` are whole days of a category: `category/class/day`.

    `unreadable_at` is when tokens were gone too, which may be later than when the last key was destroyed.
    """

    erasure: str
    ground: str
    records: Sequence[RecordId]
    commitments: Sequence[bytes]
    receipts: Sequence[Mapping[str, Any]]
    hidden_at: dt.datetime
    gone_from_backups_by: dt.date
    days: Sequence[str] = ()
    unreadable_at: dt.datetime | None = None
    removed_at: dt.datetime | None = None


async def make_certificate(
    database: Database, sequencer: SequencerClient, account: AccountId, request: CertificateRequest, *, clock: Clock
) -> str:
    """Have what is missing stated in the log, then build the certificate. May be repeated; nothing is stated twice.

    A statement waits until every record it lists is in the log as kept; CertificatePending when that takes longer
    than a moment.
    """
    erasure, deadline_s = ErasureId.parse(request.erasure), time.monotonic() + WAIT_S
    while True:
        async with database.account(account) as connection:
            stated = await connection.fetch(queries.statements, account.value, erasure.value)
            told = {row["leaf_class"] for row in stated}
            missing = await _next_statement(connection, account, request, told, clock.now())
            if missing is None:
                with suppress(CertificatePending):
                    return (await build_certificate(connection, account, request)).decode()
        if missing is not None and missing.is_ready:
            await sequencer.include(account, leaf_class=missing.leaf_class, payload=missing.payload)
        elif time.monotonic() > deadline_s:
            raise CertificatePending
        else:
            await sequencer.nudge()
            await asyncio.sleep(POLL_S)


@dataclass(frozen=True, slots=True)
class _Statement:
    """The next thing to be said; `is_ready` once every listed record's own batch stands before it."""

    leaf_class: LeafClass
    payload: dict[str, object]
    is_ready: bool


async def _next_statement(
    connection: Connection, account: AccountId, request: CertificateRequest, told: set[int], now: dt.datetime
) -> _Statement | None:
    origin = (await reader.signed_head(connection, account)).origin
    if LeafClass.ERASURE_UNREADABLE not in told:
        leaf_class, payload = LeafClass.ERASURE_UNREADABLE, unreadable_payload(origin, request, now)
    elif request.removed_at is not None and LeafClass.ERASURE_REMOVED not in told:
        leaf_class, payload = LeafClass.ERASURE_REMOVED, removed_payload(origin, request)
    else:
        return None
    shown = _listed(request) or []
    kept = await reader.kept_proofs(connection, account, request.records) if shown else []
    return _Statement(leaf_class, payload, set(shown) <= {proof.commitment for proof in kept})


def unreadable_payload(origin: str, request: CertificateRequest, now: dt.datetime) -> dict[str, object]:
    """What the log says once the keys are destroyed; later certificates must say the same."""
    return {
        "account": origin,
        "at": rfc3339(now),
        "certificate": certificate_id(ErasureId.parse(request.erasure)),
        "erasure": request.erasure,
        "ground": request.ground,
        "days": sorted(request.days),
        "count": len(request.commitments),
        "commitments_root": _base64(root_of(sorted(request.commitments))),
        "hidden_at": rfc3339(request.hidden_at),
        "gone_from_backups_by": request.gone_from_backups_by.isoformat(),
        **receipts_told(request.receipts, request.unreadable_at, limits_of=form.limits_of),
    }


def receipts_told(
    receipts: Sequence[Mapping[str, Any]], unreadable_at: dt.datetime | None, *, limits_of: Callable[[str], list[str]]
) -> dict[str, object]:
    """What a statement says because of the holders' receipts: the last time, the epochs, the weakest class."""
    told = [dict(receipt) for receipt in receipts]
    weakest = form.CLASSES[min(form.CLASSES.index(receipt["effaceability_class"]) for receipt in told)]
    gone_at = [] if unreadable_at is None else [rfc3339(unreadable_at)]
    return {
        "receipts_hash": form.digest(told),
        "unreadable_at": max([*gone_at, *(receipt["destroyed_at"] for receipt in told)]),
        "epoch_before": min(receipt["epoch_before"] for receipt in told),
        "epoch_after": max(receipt["epoch_after"] for receipt in told),
        "effaceability_class": weakest,
        "limits_hash": form.digest(limits_of(weakest)),
    }


def removed_payload(origin: str, request: CertificateRequest) -> dict[str, object]:
    """What the log says once the ciphertext is removed; for whole days this is where the records are counted."""
    assert request.removed_at is not None
    return {
        "account": origin,
        "at": rfc3339(request.removed_at),
        "erasure": request.erasure,
        "count": len(request.commitments),
        "commitments_root": _base64(root_of(sorted(request.commitments))),
    }


async def build_certificate(connection: Connection, account: AccountId, request: CertificateRequest) -> bytes:
    """The certificate as a `.tlog-proof` file; CertificatePending until everything it shows is in a signed head.

    Up to a thousand records are listed, each with the proof that it was kept; beyond that their Merkle root stands
    for them.
    """
    head = await reader.signed_head(connection, account)
    statements = await connection.fetch(queries.statements, account.value, ErasureId.parse(request.erasure).value)
    stated = _first(statements, LeafClass.ERASURE_UNREADABLE, head.size)
    removal = _first(statements, LeafClass.ERASURE_REMOVED, head.size)
    if stated is None or (removal is None and request.removed_at is not None):
        raise CertificatePending
    last, shown = removal or stated, _listed(request)
    kept = await _kept(connection, account, request.records, shown, last["idx"]) if shown else []
    wanted = {stated["idx"], *(proof.index for proof in kept), *([removal["idx"]] if removal else [])}
    proofs = await reader.inclusion_proofs(connection, account, sorted(wanted), size=head.size)
    paths = {proof.index: proof.path for proof in proofs}
    statement, counted = json.loads(stated["payload"]), json.loads(last["payload"])
    body = {
        "version": VERSION,
        "certificate": statement["certificate"],
        "account": statement["account"],
        "erasure": statement["erasure"],
        "ground": statement["ground"],
        "days": statement["days"],
        "records": counted["count"],
        "commitments": None if shown is None else [_base64(value) for value in shown],
        "commitments_root": counted["commitments_root"],
        "levels": _levels(statement, removal, paths),
        "receipts": [dict(receipt) for receipt in request.receipts],
        "kept": [_kept_member(proof, paths[proof.index]) for proof in kept],
        "statement": _leaf(LeafClass.ERASURE_UNREADABLE, stated["salt"], stated["payload"]),
        "effaceability_class": statement["effaceability_class"],
        "witnessed": form.NOT_WITNESSED,
        "limits": form.limits_of(statement["effaceability_class"]),
    }
    return Proof(stated["idx"], tuple(paths[stated["idx"]]), head.checkpoint, rfc8785.dumps(body)).render()


def _listed(request: CertificateRequest) -> list[bytes] | None:
    """The commitments a certificate lists, in its order; None when they are too many."""
    return sorted(request.commitments) if len(request.commitments) <= form.LISTED_MAX else None


async def _kept(
    connection: Connection, account: AccountId, records: Sequence[RecordId], commitments: list[bytes], before: int
) -> list[reader.KeptProof]:
    """One proof for each commitment, in their order; CertificatePending when one is not before the last statement."""
    found = {proof.commitment: proof for proof in await reader.kept_proofs(connection, account, records)}
    if any(value not in found or found[value].index >= before for value in commitments):
        raise CertificatePending
    return [found[value] for value in commitments]


def _levels(statement: dict[str, Any], removal: Any, paths: dict[int, list[bytes]]) -> dict[str, Any]:
    removed: dict[str, Any] = {"at": None, "state": "pending"}
    if removal is not None:
        leaf = _leaf(LeafClass.ERASURE_REMOVED, removal["salt"], removal["payload"])
        removed = {
            "at": json.loads(removal["payload"])["at"],
            "state": "removed",
            "statement": {**leaf, "index": removal["idx"], "path": [_base64(step) for step in paths[removal["idx"]]]},
        }
    return {
        "hidden": {"at": statement["hidden_at"]},
        "unreadable": {
            "at": statement["unreadable_at"],
            "epoch_before": statement["epoch_before"],
            "epoch_after": statement["epoch_after"],
        },
        "removed": removed,
        "gone_from_backups": {"by": statement["gone_from_backups_by"]},
    }


def _kept_member(proof: reader.KeptProof, path: list[bytes]) -> dict[str, Any]:
    return {
        "commitment": _base64(proof.commitment),
        "leaf": {**_leaf(LeafClass.RECORD_KEPT, proof.salt, proof.payload), "index": proof.index},
        "path": [_base64(step) for step in path],
        "batch_index": proof.batch_index,
        "batch_path": [_base64(step) for step in proof.batch_path],
    }


def _leaf(leaf_class: LeafClass, salt: bytes, payload: bytes) -> dict[str, Any]:
    return {"leaf_class": int(leaf_class), "salt": _base64(salt), "payload": _base64(payload)}


def _first(rows: Iterable[Any], leaf_class: LeafClass, size: int) -> Any:
    """The first statement of this class that stands in the signed tree."""
    return next((row for row in rows if row["leaf_class"] == leaf_class and row["idx"] < size), None)


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
