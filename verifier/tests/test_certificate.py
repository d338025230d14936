"""A certificate verifies; whatever is changed in it is refused, with the number of the step that does not hold."""

import base64
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sealwire_verifier import certificate as form
from sealwire_verifier.__main__ import main
from sealwire_verifier.errors import StepFailed
from sealwire_verifier.log import verify_consistency, verify_log
from sealwire_verifier.note import COSIGNATURE, VerifierKey
from sealwire_verifier.policy import Policy
from sealwire_verifier.proof import Proof

SAMPLES = Path(__file__).parents[1] / "samples"
FILE = SAMPLES / "erasure.tlog-proof"
GOOD = FILE.read_bytes()
POLICY = Policy.parse((SAMPLES / "policy").read_text())
PROOF = Proof.parse(GOOD)
BODY = json.loads(PROOF.extra)


def changed(**members):
    """The sample with other members in its certificate, canonical again: what a forger would send."""
    return Proof(PROOF.index, PROOF.path, PROOF.checkpoint, form.canonical({**BODY, **members})).render()


def step_of(file, policy=POLICY):
    with pytest.raises(StepFailed) as failed:
        form.verify(file, policy)
    return failed.value.step


def deep(**paths):
    """The body's members with values replaced deep inside: deep(levels__hidden__at="...")."""
    body = json.loads(PROOF.extra)
    for path, value in paths.items():
        at, *rest = path.split("__")
        target = body
        for part in rest:
            target, at = target[int(at) if at.isdigit() else at], part
        target[int(at) if at.isdigit() else at] = value
    return body


def test_the_sample_verifies_and_says_its_limits():
    verified = form.verify(GOOD, POLICY)
    assert (verified.records, verified.records_listed, verified.witnesses) == (2, 2, [])
    assert form.LIMIT_WITNESS in verified.limits


def test_verification_takes_less_than_fifty_milliseconds():
    started = time.perf_counter()
    for _ in range(10):
        form.verify(GOOD, POLICY)
    assert (time.perf_counter() - started) / 10 < 0.05


def test_the_generator_makes_exactly_the_samples(tmp_path):
    subprocess.run(
        [sys.executable, SAMPLES / "generate.py", tmp_path],
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    names = {
        file.relative_to(SAMPLES)
        for file in SAMPLES.rglob("*")
        if file.is_file() and file.suffix not in {".py", ".pyc"}
    }
    assert names == {file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()}
    for name in names:
        assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes(), name


@pytest.mark.parametrize("seed", range(8))
def test_no_byte_anywhere_in_the_file_can_be_changed(seed):
    dice = random.Random(seed)  # noqa: S311 - a test that can be repeated
    for _ in range(150):
        at = dice.randrange(len(GOOD))
        byte = dice.randrange(256)
        if byte != GOOD[at]:
            step_of(GOOD[:at] + bytes([byte]) + GOOD[at + 1 :])


def test_each_region_of_the_file_fails_with_its_own_step():
    lines = GOOD.split(b"\n")
    regions = {0: 0, 1: 0, 2: 3, 3: 3, len(lines) - 6: 1, len(lines) - 5: 1, len(lines) - 4: 1, len(lines) - 2: 1}
    for number, step in regions.items():
        line = lines[number]
        digit = line[-3:-2]
        other = line[:-3] + (b"A" if digit != b"A" else b"B") + line[-2:] if number != 2 else b"index 271"
        assert step_of(b"\n".join([*lines[:number], other, *lines[number + 1 :]])) == step, number


OTHER = base64.b64encode(b"\x07" * 32).decode()
FORGERIES = {
    "not the version": (0, {"version": 2}),
    "an unknown member": (0, {"set_of": []}),
    "another account's log": (1, {"account": "sealwire.local/log/0000000000000000"}),
    "another salt": (3, deep(statement__salt=OTHER)),
    "another statement": (3, deep(statement__payload=base64.b64encode(b"{}").decode())),
    "a leaf of another class": (3, deep(statement__leaf_class=6)),
    "another erasure": (4, {"erasure": "ers_" + "0" * 32}),
    "another certificate id": (4, {"certificate": "crt_" + "0" * 32}),
    "another ground": (4, {"ground": "retention"}),
    "a day added": (4, {"days": ["1/0/20780"]}),
    "an earlier hiding": (4, deep(levels__hidden__at="2026-11-01T00:00:00.000Z")),
    "an earlier unreadable": (4, deep(levels__unreadable__at="2026-11-01T00:00:00.000Z")),
    "another epoch": (4, deep(levels__unreadable__epoch_after=43)),
    "an earlier end of backups": (4, deep(levels__gone_from_backups__by="2026-11-28")),
    "a better class": (4, {"effaceability_class": "hardware"}),
    "a limit left out": (4, {"limits": BODY["limits"][:-1]}),
    "a receipt left out": (4, {"receipts": []}),
    "a receipt changed": (4, deep(receipts__0__count=3)),
    "a removal that is not in the log": (6, deep(levels__removed__statement__salt=OTHER)),
    "an earlier removal": (6, deep(levels__removed__at="2026-11-23T10:16:00.000Z")),
    "a removal without its statement": (
        6,
        deep(levels__removed={"at": "2026-11-23T10:20:00.000Z", "state": "removed"}),
    ),
    "an odd state": (6, deep(levels__removed={"at": None, "state": "pending "})),
    "another count": (7, {"records": 3}),
    "another root": (7, {"commitments_root": OTHER}),
    "a commitment changed": (7, deep(commitments__0=OTHER)),
    "commitments turned round": (7, {"commitments": BODY["commitments"][::-1]}),
    "commitments hidden": (7, {"commitments": None}),
    "a proof of keeping left out": (8, {"kept": BODY["kept"][:1]}),
    "another place in the batch": (8, deep(kept__0__batch_index=2)),
    "another batch path": (8, deep(kept__0__batch_path__0=OTHER)),
    "another batch leaf": (8, deep(kept__1__leaf__salt=OTHER)),
    "another batch position": (8, deep(kept__1__path__0=OTHER)),
    "witnesses claimed": (9, {"witnessed": "witnessed by everybody"}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_certificate_fails_at_its_step(name):
    step, members = FORGERIES[name]
    assert step_of(changed(**members)) == step


def test_keys_that_are_not_pinned_count_for_nothing():
    log, holder = str(POLICY.logs[0]), str(POLICY.holders[0])
    assert step_of(GOOD, Policy.parse(f"holder {holder}\nquorum none\n")) == 1
    assert step_of(GOOD, Policy.parse(f"log {log}\nquorum none\n")) == 5


def test_a_quorum_that_did_not_cosign_is_step_2():
    witness = VerifierKey(
        "witness.example/w", Ed25519PrivateKey.generate().public_key().public_bytes_raw(), COSIGNATURE
    )
    text = (SAMPLES / "policy").read_text().replace("quorum none", f"witness W {witness}\nquorum W")
    assert step_of(GOOD, Policy.parse(text)) == 2


@pytest.mark.parametrize("extra", [b"", b"[]", b'{"version":1}', b'{"a":1.5}', b'{"a":1,"a":1}', b"[" * 100_000])
def test_extra_data_that_is_no_certificate_is_step_0(extra):
    assert step_of(Proof(PROOF.index, PROOF.path, PROOF.checkpoint, extra).render()) == 0


def test_the_program_says_verified_refused_or_unreadable(tmp_path, capsys):
    policy = str(SAMPLES / "policy")
    assert main(["certificate", str(FILE), "--policy", policy]) == 0
    assert "VERIFIED" in capsys.readouterr().out
    bad = tmp_path / "bad.tlog-proof"
    bad.write_bytes(changed(records=3))
    assert main(["certificate", str(bad), "--policy", policy, "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "verified": False,
        "step": 7,
        "reason": "the log says otherwise",
    }
    assert main(["certificate", str(tmp_path / "nothing"), "--policy", policy]) == 2
    (tmp_path / "policy").write_text("log rubbish\n")
    assert main(["certificate", str(FILE), "--policy", str(tmp_path / "policy")]) == 2
    assert main(["log", str(tmp_path / "nothing"), "--policy", policy]) == 2
    assert main(["log", str(SAMPLES / "log"), "--policy", policy]) == 0
    assert main(["consistency", str(SAMPLES / "older-checkpoint"), str(SAMPLES / "log"), "--policy", policy]) == 0


def test_the_sample_log_verifies_and_a_changed_entry_is_step_4(tmp_path):
    assert verify_log(SAMPLES / "log", POLICY).size == 300
    assert verify_consistency(SAMPLES / "older-checkpoint", SAMPLES / "log", POLICY).older_size == 41
    shutil.copytree(SAMPLES / "log", tmp_path / "log")
    bundle = tmp_path / "log/tile/entries/000"
    raw = bytearray(bundle.read_bytes())
    raw[100] ^= 1
    bundle.write_bytes(raw)
    with pytest.raises(StepFailed, match="step 4"):
        verify_log(tmp_path / "log", POLICY)
