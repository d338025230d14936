"""Every proof of transparency-dev/merkle gives here the answer it gives there."""

import json
from base64 import b64decode
from pathlib import Path

import pytest

from sealwire_verifier import merkle
from sealwire_verifier.errors import NotProved

VECTORS = Path(__file__).parents[2] / "tests/vectors/merkle"


def vectors(kind):
    files = sorted((VECTORS / kind).rglob("*.json"))
    assert files, f"no {kind} vectors found"
    return [pytest.param(file, id=str(file.relative_to(VECTORS / kind))) for file in files]


def raw(value):
    return b64decode(value or "")


def hashes(values):
    return [raw(value) for value in values or []]


def check(vector, verification):
    if vector["wantErr"]:
        with pytest.raises(NotProved):
            verification()
    else:
        verification()


@pytest.mark.parametrize("file", vectors("inclusion"))
def test_inclusion_vector_is_judged_as_upstream_judges_it(file):
    vector = json.loads(file.read_text())
    check(
        vector,
        lambda: merkle.verify_inclusion(
            raw(vector["leafHash"]),
            vector["leafIdx"],
            vector["treeSize"],
            hashes(vector["proof"]),
            raw(vector["root"]),
        ),
    )


@pytest.mark.parametrize("file", vectors("consistency"))
def test_consistency_vector_is_judged_as_upstream_judges_it(file):
    vector = json.loads(file.read_text())
    check(
        vector,
        lambda: merkle.verify_consistency(
            vector["size1"],
            vector["size2"],
            hashes(vector["proof"]),
            raw(vector["root1"]),
            raw(vector["root2"]),
        ),
    )
