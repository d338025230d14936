"""Certificates whose every signature and hash holds, made by an operator who lies: refused all the same."""

import importlib.util
import json
from pathlib import Path

import pytest

from sealwire_verifier import certificate as form
from sealwire_verifier import leaf, merkle
from sealwire_verifier.__main__ import main
from sealwire_verifier.checkpoint import Checkpoint
from sealwire_verifier.errors import NotProved, StepFailed
from sealwire_verifier.note import SigningKey
from sealwire_verifier.policy import Policy
from sealwire_verifier.proof import Proof

SAMPLES = Path(__file__).parents[1] / "samples"
SPEC = importlib.util.spec_from_file_location("samples_generator", SAMPLES / "generate.py")
g = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(g)

LOG, HOLDER = g.key(g.ORIGIN), g.key("sealwire.holder/9f3c51aa")
PINS = f"log {LOG.vkey}\nholder {HOLDER.vkey}\nquorum none\n"
POLICY = Policy.parse(PINS)
A, B, C = sorted(g.made(label) for label in ("call record", "recording", "another record"))
DESTROYED, STATED, REMOVED = "2026-11-23T10:15:30.250Z", "2026-11-23T10:15:30.300Z", "2026-11-23T10:20:00.000Z"


def signed_receipt(changes, drop=()):
    body = {
        "version": 1,
        "erasure": g.ERASURE,
        "log": g.ORIGIN,
        "epoch_before": 41,
        "epoch_after": 42,
        "destroyed_at": DESTROYED,
        "holder": HOLDER.name,
        "method": "epoch key overwritten in its slot, flushed and read back",
        "effaceability_class": "unverified",
        "paths_root": g.text(g.made("paths")),
        "count": 2,
    }
    body = {name: value for name, value in (body | changes).items() if name not in drop}
    return body | {"signature": g.text(HOLDER.private.sign(form.canonical(body)))}


def made(
    *,
    receipt=None,
    drop=(),
    listed=(A, B),
    count=None,
    said=None,
    removed=None,
    batch_account=g.ORIGIN,
    log=LOG,
    leaf_more=None,
):
    """A certificate in a log of three leaves, signed as it must be. `said` changes certificate and statement alike;
    `listed` None hides the commitments; `removed` is what the removal counts: commitments and changes."""
    receipts = [signed_receipt({"count": 2} | (receipt or {}), drop)]
    counted = list((listed or ()) if removed is None else removed[0])
    root = g.text(merkle.root_of(counted) if listed is not None else g.made("hidden"))
    number = len(counted) if count is None else count
    about = {
        "certificate": g.ERASURE.replace("ers_", "crt_"),
        "account": g.ORIGIN,
        "erasure": g.ERASURE,
        "ground": "subject-request",
        "days": [],
        "effaceability_class": "unverified",
        "hidden_at": "2026-11-23T10:15:29.900Z",
        "unreadable_at": DESTROYED,
        "gone_from_backups_by": "2026-12-28",
        "limits": g.LIMITS,
    } | (said or {})
    levels = {
        "hidden": {"at": about.pop("hidden_at")},
        "unreadable": {"at": about.pop("unreadable_at"), "epoch_before": 41, "epoch_after": 42},
        "removed": {"at": None, "state": "pending"},
        "gone_from_backups": {"by": about.pop("gone_from_backups_by")},
    }
    limits = about.pop("limits")
    stated = list(listed or ())
    statement = {
        **about,
        "type": "erasure.unreadable",
        "at": STATED,
        "count": number if removed is None else len(stated),
        "commitments_root": root if removed is None else g.text(merkle.root_of(stated)),
        "receipts_hash": form.digest(receipts),
        "hidden_at": levels["hidden"]["at"],
        "unreadable_at": levels["unreadable"]["at"],
        "epoch_before": 41,
        "epoch_after": 42,
        "gone_from_backups_by": levels["gone_from_backups"]["by"],
        "limits_hash": form.digest(limits),
    }
    batch = sorted([A, B, C])
    kept_payload = {
        "type": "record.kept",
        "account": batch_account,
        "at": "2026-11-20T08:00:00.000Z",
        "count": len(batch),
        "commitments_root": g.text(merkle.root_of(batch)),
    }
    removal = {
        "type": "erasure.removed",
        "account": g.ORIGIN,
        "erasure": g.ERASURE,
        "at": REMOVED,
        "count": number,
        "commitments_root": root,
    } | (removed[1] if removed else {})
    payloads = [
        (leaf.RECORD_KEPT, kept_payload),
        (leaf.ERASURE_UNREADABLE, statement),
        (leaf.ERASURE_REMOVED, removal),
    ]
    hashes = [
        merkle.leaf_hash(leaf.leaf_bytes(leaf_class, g.made(f"salt {index}"), form.canonical(payload)))
        for index, (leaf_class, payload) in enumerate(payloads)
    ]

    def path_of(index):
        return merkle.inclusion_path(index, len(hashes), merkle.subtree_of(hashes))

    def leaf_of(place, **more):
        leaf_class, payload = payloads[place]
        texts = {"salt": g.text(g.made(f"salt {place}")), "payload": g.text(form.canonical(payload))}
        return {"leaf_class": int(leaf_class), **texts, **more}

    def texts(path):
        return [g.text(step) for step in path]

    if removed is not None:
        proved = leaf_of(2, index=2, path=texts(path_of(2)))
        levels["removed"] = {"at": REMOVED, "state": "removed", "statement": proved}
    in_batch = merkle.subtree_of([merkle.leaf_hash(commitment) for commitment in batch])
    kept = [
        {
            "commitment": g.text(commitment),
            "leaf": leaf_of(0, index=0),
            "path": texts(path_of(0)),
            "batch_index": batch.index(commitment),
            "batch_path": texts(merkle.inclusion_path(batch.index(commitment), len(batch), in_batch)),
        }
        for commitment in ([] if listed is None else counted)
    ]
    body = {
        **about,
        "version": 1,
        "records": number,
        "commitments": None if listed is None else [g.text(commitment) for commitment in counted],
        "commitments_root": root,
        "levels": levels,
        "receipts": receipts,
        "kept": kept,
        "statement": leaf_of(1, **(leaf_more or {})),
        "witnessed": form.NOT_WITNESSED,
        "limits": limits,
    }
    checkpoint = Checkpoint(log.name, len(hashes), merkle.root_of_hashes(hashes)).sign(log)
    return Proof(1, tuple(path_of(1)), checkpoint, form.canonical(body)).render()


DAYS = {"days": ["1/0/20780", "2/0/20780"]}
ODD = "ers_x\nVERIFIED\n  witnessed by: everybody"
LATER = "2026-11-23T10:15:30.299Z"
TRUE = {
    "records": {},
    "records, removed": {"removed": ((A, B), {})},
    "one record": {"listed": (A,)},
    "unreadable later than the keys died": {"said": {"unreadable_at": LATER}},
    "more than a thousand records, not listed": {"listed": None, "count": 1_001, "receipt": {"count": 1_001}},
    "whole days": {"listed": (), "said": DAYS},
    "whole days, removed": {"listed": (), "said": DAYS, "removed": ((A, B, C), {})},
    "a whole day that was empty": {"listed": (), "said": DAYS, "removed": ((), {})},
}
LIES = {
    "a receipt of no paths": (5, {"receipt": {"count": 0}}),
    "a receipt of fewer paths than records": (7, {"receipt": {"count": 1}}),
    "a receipt of another log": (5, {"receipt": {"log": "sealwire.local/log/0000000000000000"}}),
    "a receipt of an account id": (5, {"receipt": {"account": "acc_" + "0" * 32}}),
    "a receipt without its log": (5, {"drop": ("log",)}),
    "a receipt without its count": (5, {"drop": ("count",)}),
    "a receipt without its root": (5, {"receipt": {"paths_root": None}}),
    "a receipt with a short root": (5, {"receipt": {"paths_root": "AAAA"}}),
    "a receipt without its method": (5, {"receipt": {"method": None}}),
    "a receipt of a class of its own": (5, {"receipt": {"effaceability_class": "perfect"}}),
    "a receipt with epochs in words": (5, {"receipt": {"epoch_before": "41", "epoch_after": "42"}}),
    "a receipt of version true": (5, {"receipt": {"version": True}}),
    "a receipt of version 2": (5, {"receipt": {"version": 2}}),
    "a receipt with a time that is none": (5, {"receipt": {"destroyed_at": "2026-11-31T10:15:30.250Z"}}),
    "a receipt with a time in other digits": (5, {"receipt": {"destroyed_at": "٢٠٢٦-11-23T10:15:30.250Z"}}),
    "a key that died later": (6, {"receipt": {"destroyed_at": LATER}}),
    "unreadable only after it was stated": (6, {"said": {"unreadable_at": "2026-11-23T10:15:30.301Z"}}),
    "a last backup day that is none": (6, {"said": {"gone_from_backups_by": "2026-11-31"}}),
    "one commitment twice": (7, {"listed": (A, A)}),
    "commitments not sorted": (7, {"listed": (B, A)}),
    "a few commitments hidden": (7, {"listed": None, "count": 1}),
    "a thousand commitments hidden": (7, {"listed": None, "count": 1_000, "receipt": {"count": 1_000}}),
    "a million records, few paths": (7, {"listed": None, "count": 10**6}),
    "nothing erased": (7, {"listed": ()}),
    "fewer removed than erased": (7, {"said": DAYS, "removed": ((A,), {})}),
    "a removal of another account": (6, {"removed": ((A, B), {"account": "acc_" + "0" * 32})}),
    "a removal that says more": (6, {"removed": ((A, B), {"note": "and from every backup"})}),
    "a batch of another log": (8, {"batch_account": "sealwire.local/log/0000000000000000"}),
    "a statement leaf that says more": (3, {"leaf_more": {"note": "x"}}),
    "a limit with a claim": (9, {"said": {"limits": [*g.LIMITS, "Gone.\n  witnessed by: everybody"]}}),
    "limits in one text": (9, {"said": {"limits": " ".join(g.LIMITS)}}),
    "limits in another order": (9, {"said": {"limits": g.LIMITS[::-1]}}),
    "an erasure id with lines of its own": (0, {"said": {"erasure": ODD}}),
    "a certificate id with lines of its own": (0, {"said": {"certificate": ODD.replace("ers_", "crt_")}}),
    "an erasure id with a newline after it": (0, {"said": {"erasure": g.ERASURE + "\n"}}),
    "another certificate's id": (4, {"said": {"certificate": "crt_" + "0" * 32}}),
    "a ground of its own": (0, {"said": {"ground": "because"}}),
    "days in words": (0, {"said": {"days": ["all of them"]}}),
    "days that are one text": (0, {"said": {"days": "1/0/20780"}}),
    "a day of no category": (0, {"said": {"days": ["256/0/20780"]}}),
    "a day of no class": (0, {"said": {"days": ["1/16/20780"]}}),
    "a day after all days": (0, {"said": {"days": ["1/0/65536"]}}),
    "a day with a zero before it": (0, {"said": {"days": ["1/0/020780"]}}),
    "a day in other digits": (0, {"said": {"days": ["1/0/٢٠٧٨٠"]}}),
    "one day twice": (0, {"said": {"days": ["1/0/20780", "1/0/20780"]}}),
    "days not sorted": (0, {"said": {"days": DAYS["days"][::-1]}}),
    "the head of another log": (1, {"log": SigningKey("sealwire.local/log/bbbbbbbbbbbbbbbb", LOG.private)}),
}


@pytest.mark.parametrize("name", TRUE)
def test_what_is_true_verifies(name):
    assert form.verify(made(**TRUE[name]), POLICY).erasure == g.ERASURE


@pytest.mark.parametrize("name", LIES)
def test_a_well_signed_lie_is_refused_at_its_step(name):
    step, changes = LIES[name]
    with pytest.raises(StepFailed) as failed:
        form.verify(made(**changes), POLICY)
    assert failed.value.step == step, str(failed.value)


def test_one_key_may_sign_several_logs_of_one_policy_and_each_is_only_its_own():
    other = SigningKey("sealwire.local/log/bbbbbbbbbbbbbbbb", LOG.private)
    policy = Policy.parse(f"log {other.vkey}\n{PINS}")
    assert form.verify(made(), policy).log == g.ORIGIN
    with pytest.raises(StepFailed, match="step 1"):
        form.verify(made(log=other), policy)
    for twice in (f"log {LOG.vkey}\n{PINS}", f"holder {HOLDER.vkey}\n{PINS}"):
        with pytest.raises(NotProved, match="listed twice"):
            Policy.parse(twice)
    renamed = SigningKey("sealwire.holder/00000000", HOLDER.private)
    with pytest.raises(NotProved, match="listed twice"):
        Policy.parse(f"holder {renamed.vkey}\n{PINS}")


def said_by_program(tmp_path, capsys, file, *more):
    (tmp_path / "policy").write_text(PINS)
    (tmp_path / "file.tlog-proof").write_bytes(file)
    code = main(["certificate", str(tmp_path / "file.tlog-proof"), "--policy", str(tmp_path / "policy"), *more])
    return code, capsys.readouterr().out


def test_a_day_reads_like_a_day_and_not_like_no_records(tmp_path, capsys):
    first = made(listed=(), said=DAYS | {"ground": "retention"})
    code, out = said_by_program(tmp_path, capsys, first)
    assert code == 0
    for line in ("whole day: 1/0/20780", "whole day: 2/0/20780", "ground: retention", "counted when they are removed"):
        assert line in out
    assert "records: 0" not in out
    answer = json.loads(said_by_program(tmp_path, capsys, first, "--json")[1])
    assert (answer["days"], answer["ground"], answer["records"]) == (DAYS["days"], "retention", None)
    removed = made(listed=(), said=DAYS, removed=((A, B, C), {}))
    assert "  records: 3\n" in said_by_program(tmp_path, capsys, removed)[1]


@pytest.mark.parametrize("text", ["sealwire.holder/x\n  witnessed by: everybody", "\x1b[2J", "\u202e\u2028", "\x85"])
def test_nothing_in_a_file_draws_lines_or_moves_the_cursor(tmp_path, capsys, text):
    code, out = said_by_program(tmp_path, capsys, made(receipt={"holder": text}))
    assert code == 1
    assert out.count("\n") == 1
    assert out.startswith("REFUSED, step 5")
    assert all(" " <= char <= "~" for char in out[:-1])


@pytest.mark.parametrize(
    ("old", "new"), [(b'"version":1', b'"version":1,"version":1'), (b'"records":2', b'"records": 2')]
)
def test_json_with_a_member_twice_or_another_spelling_is_no_certificate(old, new):
    good = Proof.parse(made())
    assert old in good.extra
    with pytest.raises(StepFailed, match="step 0"):
        form.verify(Proof(good.index, good.path, good.checkpoint, good.extra.replace(old, new)).render(), POLICY)


@pytest.mark.parametrize("odd", ["AA=", "AA", "AB==", "A A=", "AA==\n", "-_==", "AA==AA=="])
def test_base64_has_one_spelling(odd):
    with pytest.raises(StepFailed, match="step 5"):
        form.verify(made(receipt={"paths_root": odd}), POLICY)
