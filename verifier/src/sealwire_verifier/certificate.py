"""Verification of an erasure certificate: a tlog-proof whose extra data is the certificate, in canonical JSON.

 (0) form         a proof file; the certificate in it is canonical JSON of version 1 with exactly its members; its ids
                  and whole days are well-formed
 (1) log          the checkpoint is signed by a log the policy pins, and the certificate is of that log's account
 (2) witnesses    the checkpoint is cosigned as the policy's quorum demands
 (3) inclusion    the statement `erasure.unreadable` stands in the log at the proof's index
 (4) statement    the statement says what the certificate says
 (5) holders      every receipt has exactly its members, is signed by a key holder the policy pins, and is of this
                  erasure and this log
 (6) levels       the times are in order and no receipt's is later; a removal is in the log as well
 (7) commitments  they are as many as the log states and no more than each receipt's paths, sorted, each once, and
                  give the stated root; up to a thousand are listed
 (8) kept         each listed commitment was kept: it is in a batch that stands in this log before the last statement
 (9) limits       the certificate says what it cannot prove, in these sentences and no others

Every failure names its step. What no step can show is said in the certificate's own limits.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from base64 import b64encode
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sealwire_verifier import leaf, merkle, note
from sealwire_verifier.checkpoint import Checkpoint
from sealwire_verifier.errors import NotProved, must, step
from sealwire_verifier.policy import Policy
from sealwire_verifier.proof import Proof

_ABOUT = ("version", "certificate", "account", "erasure", "ground", "days", "records", "levels", "limits", "witnessed")
_SHOWN = ("commitments", "commitments_root", "receipts", "kept", "statement", "effaceability_class")
MEMBERS = frozenset({*_ABOUT, *_SHOWN})
_DESTROYED = ("epoch_before", "epoch_after", "destroyed_at", "method", "effaceability_class", "paths_root", "count")
RECEIPT_MEMBERS = frozenset({"version", "erasure", "log", "holder", "signature", *_DESTROYED})
LEAF_MEMBERS = frozenset({"leaf_class", "salt", "payload"})
LISTED_MAX = 1_000
GROUNDS = ("subject-request", "retention", "account-closure", "instruction")
CLASSES = ("unverified", "verified in place", "hardware")
NOT_WITNESSED = "not yet witnessed"
LIMIT_ATTESTED = (
    "That the keys were destroyed is attested by their holders' signatures; no mathematics can prove an absence."
)
LIMIT_OPENED = "Content that was opened before the erasure and left the service is outside this certificate."
LIMIT_WITNESS = "Not yet witnessed: the operator could show this log to others with another history."
LIMIT_SNAPSHOT = (
    "Whether the epoch key was overwritten in place could not be verified on this storage: a snapshot of the whole "
    "machine taken before the erasure would open what was erased."
)
_CERTIFICATE, _ERASURE = (re.compile(kind + r"_[0-9a-f]{32}") for kind in ("crt", "ers"))
_WHOLE_DAY = re.compile(r"(0|[1-9][0-9]{0,2})/(0|[1-9][0-9]?)/(0|[1-9][0-9]{0,4})")
_WHOLE_DAY_MAX = (255, 15, 65_535)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class Verified:
    """What holds after all ten steps. `days` are `category/class/day`; records None: counted when they are removed.

    `held`: how many records or days of what was erased were held by law or dispute, and so were spared.
    """

    certificate: str
    erasure: str
    ground: str
    log: str
    size: int
    days: list[str]
    records: int | None
    records_listed: int
    hidden_at: str
    unreadable_at: str
    removed_at: str | None
    gone_from_backups_by: str
    effaceability_class: str
    holders: list[str]
    witnesses: list[str]
    limits: list[str]
    held: int | None = None


def limits_of(effaceability_class: str) -> list[str]:
    """What a certificate of this class cannot prove, in its order."""
    limits = [LIMIT_ATTESTED, LIMIT_OPENED, LIMIT_WITNESS]
    return [*limits, LIMIT_SNAPSHOT] if effaceability_class == CLASSES[0] else limits


def canonical(value: object) -> bytes:
    """RFC 8785 for what certificates hold: ASCII member names, text, whole numbers, no fractions."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(value: object) -> str:
    """SHA-256 over canonical JSON, base64."""
    return b64encode(sha256(canonical(value)).digest()).decode()


def parse_canonical(raw: bytes) -> dict[str, Any]:
    """Read a JSON object; NotProved unless its bytes are the canonical ones."""
    try:
        value = json.loads(raw, parse_float=_no_fraction, parse_constant=_no_fraction)
        same = isinstance(value, dict) and canonical(value) == raw
    except (ValueError, RecursionError):
        same = False
    if not same:
        raise NotProved("this is not an object in canonical JSON (RFC 8785)")
    return dict(value)


def _no_fraction(text: str) -> float:
    raise ValueError(text)


def verify(file: bytes, policy: Policy) -> Verified:
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
        statement = statement_at(body["statement"], leaf.ERASURE_UNREADABLE, proof.index, proof.path, head)
    with step(4):
        _check_statement(body, statement)
    with step(5):
        holders = [check_receipt(receipt, body, policy) for receipt in body["receipts"]]
        must(bool(holders), "no holder attests that keys were destroyed")
    with step(6):
        removal = _check_levels(body, statement, head, proof.index)
    with step(7):
        _check_commitments(body, statement, removal)
    with step(8):
        removed_index = body["levels"]["removed"]["statement"]["index"] if removal else proof.index
        _check_kept(body, head, removed_index)
    with step(9):
        _check_limits(body)
    levels, listed = body["levels"], body["commitments"] or []
    is_counted = removal is not None or not body["days"]
    return Verified(
        certificate=body["certificate"],
        erasure=body["erasure"],
        ground=body["ground"],
        log=head.origin,
        size=head.size,
        days=body["days"],
        records=body["records"] if is_counted else None,
        records_listed=len(listed),
        hidden_at=levels["hidden"]["at"],
        unreadable_at=levels["unreadable"]["at"],
        removed_at=levels["removed"]["at"],
        gone_from_backups_by=levels["gone_from_backups"]["by"],
        effaceability_class=body["effaceability_class"],
        holders=sorted(set(holders)),
        witnesses=witnesses,
        limits=body["limits"],
        held=max((receipt["held"] for receipt in body["receipts"] if "held" in receipt), default=None),
    )


def _check_form(body: dict[str, Any]) -> None:
    must(body.keys() == MEMBERS, "the certificate has other members than a certificate has")
    version, days = body["version"], body["days"]
    must(type(version) is int and version == 1, "the certificate is not of version 1")
    must(_ERASURE.fullmatch(body["erasure"]) is not None, "the erasure's id is malformed")
    must(_CERTIFICATE.fullmatch(body["certificate"]) is not None, "the certificate's id is malformed")
    must(body["ground"] in GROUNDS, "the ground is not known")
    must(type(body["records"]) is int and body["records"] >= 0, "the records are not counted in whole numbers")
    must(isinstance(days, list) and days == sorted(set(days)), "the whole days are not sorted, each once")
    must(all(_is_whole_day(day) for day in days), "a whole day is not category/class/day")


def _is_whole_day(text: str) -> bool:
    match = _WHOLE_DAY.fullmatch(text)
    return match is not None and all(
        int(part) <= most for part, most in zip(match.groups(), _WHOLE_DAY_MAX, strict=True)
    )


def statement_at(
    member: dict[str, Any], leaf_class: int, index: int, path: tuple[bytes, ...], head: Checkpoint
) -> dict[str, Any]:
    """The payload of a leaf of this class, which stands in the log at this index."""
    must(type(member["leaf_class"]) is int and member["leaf_class"] == leaf_class, "the leaf is of another class")
    must(member.keys() - {"index", "path"} == LEAF_MEMBERS, "a leaf has other members than a leaf has")
    payload = note.decode(member["payload"])
    entry = leaf.leaf_bytes(leaf_class, note.decode(member["salt"]), payload)
    merkle.verify_inclusion(merkle.leaf_hash(entry), index, head.size, path, head.root)
    return parse_canonical(payload)


def _check_statement(body: dict[str, Any], statement: dict[str, Any]) -> None:
    about = {"type": "erasure.unreadable", "days": body["days"]}
    check_stated({**about, **what_statements_share(body)}, statement, besides={"count", "commitments_root"})
    must(body["certificate"][4:] == body["erasure"][4:], "certificate and erasure do not match")


def what_statements_share(body: dict[str, Any]) -> dict[str, Any]:
    """What the statement about an erasure or a closure must repeat of its certificate."""
    levels = body["levels"]
    return {
        **{name: body[name] for name in ("certificate", "account", "erasure", "ground", "effaceability_class")},
        "receipts_hash": digest(body["receipts"]),
        "hidden_at": levels["hidden"]["at"],
        "unreadable_at": levels["unreadable"]["at"],
        "epoch_before": levels["unreadable"]["epoch_before"],
        "epoch_after": levels["unreadable"]["epoch_after"],
        "gone_from_backups_by": levels["gone_from_backups"]["by"],
        "limits_hash": digest(body["limits"]),
    }


def check_stated(stated: dict[str, Any], statement: dict[str, Any], *, besides: AbstractSet[str] = frozenset()) -> None:
    """The statement says what is stated, its own time, what `besides` names, and nothing else."""
    wrong = sorted(name for name, value in stated.items() if canonical(statement.get(name)) != canonical(value))
    must(not wrong, f"the logged statement says otherwise about: {', '.join(wrong)}")
    must(statement.keys() == {*stated, "at", *besides}, "the logged statement has other members than a statement has")


def check_receipt(receipt: dict[str, Any], body: dict[str, Any], policy: Policy) -> str:
    """The name of the holder that signed this receipt: raw Ed25519 over its canonical JSON without `signature`."""
    more = receipt.keys() & {"held", "operator", "share"}
    must(receipt.keys() - more == RECEIPT_MEMBERS, "a receipt has other members than a receipt has")
    share = receipt.get("share", 0)
    must(type(share) is int and share >= 0, "a share's generation is not a number")
    held = receipt.get("held", 1)
    must(type(held) is int and held > 0, "a receipt that names held records counts them")
    must(isinstance(receipt.get("operator", ""), str), "a holder's operator is not named by text")
    unsigned = {name: value for name, value in receipt.items() if name != "signature"}
    keys = [key for key in policy.holders if key.name == receipt["holder"]]
    must(len(keys) == 1, f"the holder {receipt['holder']} is not pinned in the policy")
    keys[0].check(canonical(unsigned), note.decode(receipt["signature"]))
    numbers = [receipt[name] for name in ("version", "epoch_before", "epoch_after", "count")]
    must(all(type(number) is int for number in numbers) and receipt["version"] == 1, "a receipt is not of version 1")
    must(receipt["erasure"] == body["erasure"], "a receipt is of another erasure")
    must(receipt["log"] == body["account"], "a receipt is of another log")
    must(0 <= receipt["epoch_before"] < receipt["epoch_after"], "a receipt's epoch does not advance")
    must(receipt["count"] > 0, "a receipt is of nothing")
    must(isinstance(receipt["method"], str) and receipt["effaceability_class"] in CLASSES, "the class is not known")
    must(len(note.decode(receipt["paths_root"])) == 32, "the root over the paths is not 32 bytes long")
    must(is_moment(receipt["destroyed_at"]), "not a time")
    return keys[0].name


def _check_levels(
    body: dict[str, Any], statement: dict[str, Any], head: Checkpoint, index: int
) -> dict[str, Any] | None:
    """The removal's own statement, when it is in the log."""
    check_levels(body)
    removed, removal = body["levels"]["removed"], None
    if removed["state"] == "removed":
        member, path = removed["statement"], tuple(note.decode(step) for step in removed["statement"]["path"])
        removal = statement_at(member, leaf.ERASURE_REMOVED, member["index"], path, head)
        about = {"type": "erasure.removed", "account": body["account"], "erasure": body["erasure"], "at": removed["at"]}
        wrong = [name for name, value in about.items() if removal[name] != value]
        must(not wrong and removal.keys() == {*about, "count", "commitments_root"}, "the removal says otherwise")
        must(member["index"] > index and len(removed) == 3, "the removal stands before the statement")
    check_times(body, statement)
    return removal


def check_levels(body: dict[str, Any]) -> None:
    """The levels have their members, agree with the receipts, and the removal is pending or was done."""
    levels, receipts = body["levels"], body["receipts"]
    hidden, unreadable, removed = levels["hidden"], levels["unreadable"], levels["removed"]
    members = [set(level) for level in (hidden, unreadable, levels["gone_from_backups"])]
    expected = [{"at"}, {"at", "epoch_before", "epoch_after"}, {"by"}]
    must(members == expected and len(levels) == 4, "the levels have other members than levels have")
    must(all(r["destroyed_at"] <= unreadable["at"] for r in receipts), "a key died later than the certificate says")
    must(unreadable["epoch_before"] == min(r["epoch_before"] for r in receipts), "the first epoch is not theirs")
    must(unreadable["epoch_after"] == max(r["epoch_after"] for r in receipts), "the last epoch is not theirs")
    is_pending = removed == {"at": None, "state": "pending"}
    must(removed["state"] == "removed" or is_pending, "the removal is neither pending nor removed")


def check_times(body: dict[str, Any], statement: dict[str, Any]) -> None:
    """Hidden, unreadable, stated, removed: in this order; gone from backups on a day after them."""
    levels = body["levels"]
    times = [levels["hidden"]["at"], levels["unreadable"]["at"], statement["at"]]
    times += [levels["removed"]["at"]] if levels["removed"]["state"] == "removed" else []
    last_day = levels["gone_from_backups"]["by"]
    must(all(is_moment(time) for time in times) and bool(DAY.fullmatch(last_day)), "not a time")
    dt.date.fromisoformat(last_day)
    must(times == sorted(times) and last_day >= levels["unreadable"]["at"][:10], "the times are not in order")


def is_moment(text: str) -> bool:
    """RFC 3339 in UTC with milliseconds, of a time that exists (ValueError otherwise)."""
    return _MOMENT.fullmatch(text) is not None and bool(dt.datetime.fromisoformat(text))


def _check_commitments(body: dict[str, Any], statement: dict[str, Any], removal: dict[str, Any] | None) -> None:
    counts = [body["records"], body["commitments_root"]]
    for said in (statement, removal):
        whole_days_are_counted_later = said is statement and bool(body["days"]) and removal is not None
        if said is not None and not whole_days_are_counted_later:
            must(canonical([said["count"], said["commitments_root"]]) == canonical(counts), "the log says otherwise")
    must(body["records"] > 0 or bool(body["days"]), "nothing was erased: neither a record nor a whole day")
    must(statement["count"] <= body["records"], "fewer records were removed than erased")
    paths = min(receipt["count"] for receipt in body["receipts"])
    must(paths >= body["records"] or bool(body["days"]), "a receipt is of fewer paths than there are records")
    root, listed = note.decode(body["commitments_root"]), body["commitments"]
    if listed is None:
        must(body["records"] > LISTED_MAX and len(root) == 32, "up to a thousand commitments are listed")
        must(body["kept"] == [], "proofs of keeping are given for commitments that are not listed")
        return
    raw = [note.decode(value) for value in listed]
    must(len(raw) == body["records"] and all(len(value) == 32 for value in raw), "not as many as stated")
    must(raw == sorted(set(raw)), "the commitments are not sorted, each once")
    must(merkle.root_of(raw) == root, "the commitments do not give the stated root")


def _check_kept(body: dict[str, Any], head: Checkpoint, last_index: int) -> None:
    listed = body["commitments"] or []
    must([kept["commitment"] for kept in body["kept"]] == listed, "not every listed commitment is shown as kept")
    batches: dict[bytes, dict[str, Any]] = {}
    for kept in body["kept"]:
        member, key = kept["leaf"], canonical([kept["leaf"], kept["path"]])
        if key not in batches:
            path = tuple(note.decode(step) for step in kept["path"])
            batches[key] = statement_at(member, leaf.RECORD_KEPT, member["index"], path, head)
        batch = batches[key]
        must(member["index"] < last_index, "kept after it was erased")
        must(batch["type"] == "record.kept" and batch["account"] == body["account"], "kept in another log")
        merkle.verify_inclusion(
            merkle.leaf_hash(note.decode(kept["commitment"])),
            kept["batch_index"],
            batch["count"],
            [note.decode(step) for step in kept["batch_path"]],
            note.decode(batch["commitments_root"]),
        )


def _check_limits(body: dict[str, Any]) -> None:
    check_limits(body, limits_of(weakest_class(body)))


def weakest_class(body: dict[str, Any]) -> str:
    """The effaceability class that all holders together deserve."""
    return CLASSES[min(CLASSES.index(receipt["effaceability_class"]) for receipt in body["receipts"])]


def check_limits(body: dict[str, Any], limits: list[str]) -> None:
    """The sentences were fixed by the statement, before any witness could sign: witnesses change nothing in them."""
    must(
        body["effaceability_class"] == weakest_class(body), "the effaceability class is not the weakest of the holders"
    )
    must(body["limits"] == limits, "the limits are not exactly those that apply")
    must(body["witnessed"] == NOT_WITNESSED, "witnesses are claimed")
