"""Verification of a closure certificate: a tlog-proof whose extra data says how an account was closed.

 (0) form         a proof file; the certificate in it is canonical JSON of version 1 with exactly its members
 (1) log          the checkpoint is signed by a log the policy pins, and the certificate is of that log's account
 (2) witnesses    the checkpoint is cosigned as the policy's quorum demands
 (3) inclusion    the statement `closure.unreadable` stands in the log at the proof's index
 (4) statement    the statement says what the certificate says
 (5) holders      every receipt is signed by a key holder the policy pins, is of this closure and this log, and of the
                  whole account: the root over its paths is that of "everything but the branches that were kept"
 (6) levels       the times are in order and no receipt's is later; a removal is in the log as well and says what stayed
 (7) kept         what was kept has a ground and a last day, and is in the branches that were kept, or is held
 (8) limits       the certificate says what it cannot prove, in these sentences and no others

Every failure names its step. What no step can show is said in the certificate's own limits.
"""

from __future__ import annotations

import datetime as dt
import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sealwire_verifier import certificate as erasure
from sealwire_verifier import leaf, note
from sealwire_verifier.certificate import DAY, digest, limits_of, parse_canonical
from sealwire_verifier.errors import NotProved, must, step
from sealwire_verifier.policy import Policy
from sealwire_verifier.proof import Proof

GROUND = "account-closure"
MEMBERS = frozenset({
    "version", "closure", "certificate", "erasure", "account", "ground", "branches_kept", "kept", "levels", "receipts",
    "statement", "effaceability_class", "witnessed", "limits",
})  # fmt: skip
KEPT_MEMBERS = frozenset({"what", "ground", "until", "records"})
LIMIT_KEPT = (
    "What a statute or a hold kept is listed; it is readable until the day that is named, for that ground alone."
)
_IDS = {name: re.compile(kind + r"_[0-9a-f]{32}") for name, kind in
        {"closure": "clo", "certificate": "crt", "erasure": "ers"}.items()}  # fmt: skip
_WHAT = re.compile(r"[a-z][a-z-]{0,39}")
_PATHS_DOMAIN = b"sealwire/paths/v1\n"


@dataclass(frozen=True)
class VerifiedClosure:
    """What holds after all nine steps. `kept` are sentences: what, how many, until when, on which ground."""

    certificate: str
    closure: str
    ground: str
    log: str
    size: int
    hidden_at: str
    unreadable_at: str
    removed_at: str | None
    gone_from_backups_by: str
    kept: list[str]
    effaceability_class: str
    holders: list[str]
    witnesses: list[str]
    limits: list[str]


def limits_of_closure(effaceability_class: str) -> list[str]:
    """What a closure certificate of this class cannot prove, in its order."""
    return [*limits_of(effaceability_class), LIMIT_KEPT]


def paths_root_of_closure(branches_kept: list[int]) -> str:
    """What a receipt commits to when a whole account but these branches was destroyed."""
    text = "-".join(["*", *map(str, sorted(branches_kept))])
    return b64encode(sha256(_PATHS_DOMAIN + text.encode()).digest()).decode()


def is_closure(file: bytes) -> bool:
    """Whether this file claims to be a closure certificate; any other is judged as an erasure's."""
    try:
        return b'"closure":' in (Proof.parse(file).extra or b"")
    except NotProved:
        return False


def verify_closure(file: bytes, policy: Policy) -> VerifiedClosure:
    """Take all steps; StepFailed names the first that does not hold."""
    with step(0):
        proof = Proof.parse(file)
        body = parse_canonical(proof.extra or b"")
        _check_form(body)
    with step(1):
        head, signed = policy.signed_head(proof.checkpoint)
        must(body["account"] == head.origin, "the certificate is of another account than the log")
    with step(2):
        witnesses = policy.cosigned(signed)
    with step(3):
        statement = erasure.statement_at(body["statement"], leaf.CLOSURE_UNREADABLE, proof.index, proof.path, head)
    with step(4):
        _check_statement(body, statement)
    with step(5):
        holders = [_check_receipt(receipt, body, policy) for receipt in body["receipts"]]
        must(bool(holders), "no holder attests that keys were destroyed")
    with step(6):
        removal = _check_levels(body, statement)
        if removal is not None:
            member, path = removal["statement"], tuple(note.decode(each) for each in removal["statement"]["path"])
            told = erasure.statement_at(member, leaf.CLOSURE_REMOVED, member["index"], path, head)
            _check_removal(body, told, is_later=member["index"] > proof.index)
    with step(7):
        kept = [_check_kept(entry, body) for entry in body["kept"]]
    with step(8):
        _check_limits(body)
    levels = body["levels"]
    return VerifiedClosure(
        certificate=body["certificate"],
        closure=body["closure"],
        ground=body["ground"],
        log=head.origin,
        size=head.size,
        hidden_at=levels["hidden"]["at"],
        unreadable_at=levels["unreadable"]["at"],
        removed_at=levels["removed"]["at"],
        gone_from_backups_by=levels["gone_from_backups"]["by"],
        kept=kept,
        effaceability_class=body["effaceability_class"],
        holders=sorted(set(holders)),
        witnesses=witnesses,
        limits=body["limits"],
    )


def _check_form(body: dict[str, Any]) -> None:
    must(body.keys() == MEMBERS, "the certificate has other members than a closure certificate has")
    must(type(body["version"]) is int and body["version"] == 1, "the certificate is not of version 1")
    for name, pattern in _IDS.items():
        must(
            isinstance(body[name], str) and pattern.fullmatch(body[name]) is not None, f"the id of {name} is malformed"
        )
    must(len({body[name][4:] for name in _IDS}) == 1, "closure, certificate and erasure do not match")
    must(body["ground"] == GROUND, "the ground is not the closing of an account")
    branches = body["branches_kept"]
    must(all(type(each) is int and 0 < each < 256 for each in branches), "a branch is no number of a category")
    must(branches == sorted(set(branches)), "the branches that were kept are not sorted, each once")


def _check_statement(body: dict[str, Any], statement: dict[str, Any]) -> None:
    about = {"type": "closure.unreadable", "closure": body["closure"], "branches_kept": body["branches_kept"]}
    kept = {"kept_hash": digest(body["kept"])}
    erasure.check_stated({**about, **kept, **erasure.what_statements_share(body)}, statement)


def _check_receipt(receipt: dict[str, Any], body: dict[str, Any], policy: Policy) -> str:
    name = erasure.check_receipt(receipt, body, policy)
    whole = paths_root_of_closure(body["branches_kept"])
    must(receipt["paths_root"] == whole and receipt["count"] == 1, "a receipt is not of the whole account")
    return name


def _check_levels(body: dict[str, Any], statement: dict[str, Any]) -> dict[str, Any] | None:
    """The removal as the certificate shows it; None while it is pending."""
    erasure.check_levels(body)
    erasure.check_times(body, statement)
    removed: dict[str, Any] = body["levels"]["removed"]
    return removed if removed["state"] == "removed" else None


def _check_removal(body: dict[str, Any], told: dict[str, Any], *, is_later: bool) -> None:
    stated = {
        "type": "closure.removed",
        "account": body["account"],
        "closure": body["closure"],
        "erasure": body["erasure"],
        "at": body["levels"]["removed"]["at"],
        "tables_left": told.get("tables_left"),
    }
    must(told == stated, "the removal says otherwise")
    must(isinstance(told["tables_left"], list), "the removal does not say which tables still name the account")
    must(is_later and len(body["levels"]["removed"]) == 3, "the removal stands before the statement")


def _check_kept(entry: dict[str, Any], body: dict[str, Any]) -> str:
    must(entry.keys() == KEPT_MEMBERS, "what was kept has other members than it has")
    what, ground, until, records = (entry[name] for name in ("what", "ground", "until", "records"))
    must(isinstance(what, str) and _WHAT.fullmatch(what) is not None, "what was kept is no category")
    must(isinstance(ground, str) and 0 < len(ground) <= 300, "what was kept has no ground")
    must(type(records) is int and records > 0, "what was kept is not counted")
    must(isinstance(until, str) and DAY.fullmatch(until) is not None, "what was kept has no last day")
    dt.date.fromisoformat(until)
    is_held = any(receipt.get("held") for receipt in body["receipts"])
    must(len(body["branches_kept"]) > 1 or is_held, "something was kept, and neither a branch nor a hold was")
    return f"{records} of {what} until {until}: {ground}"


def _check_limits(body: dict[str, Any]) -> None:
    erasure.check_limits(body, limits_of_closure(erasure.weakest_class(body)))
