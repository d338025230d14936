"""Every error of the house has a status and a sentence of its own, and none repeats what was sent."""

from __future__ import annotations

import json
import re

import pytest
from litestar.exceptions import ValidationException

from sealwire.custody.keys import refusals
from sealwire.custody.lifecycle import RecordErased
from sealwire.doors.api import problems
from sealwire.doors.api.app import OPERATIONS
from sealwire.errors import Broken, Gone, Malformed, Missing, Refused, SealwireError, Unavailable
from sealwire.governance.credentials import NotAuthenticated

FAMILIES = {
    Malformed: {400, 405, 408, 413, 415, 422},
    Refused: {401, 403, 409, 429, 500, 503},
    Missing: {404},
    Gone: {410},
}
FAMILIES |= {Unavailable: {503}, Broken: {500}}
assert OPERATIONS
assert refusals
KINDS = sorted(SealwireError.registry.values(), key=lambda kind: kind.code())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code())
def test_every_error_has_a_status_of_its_family(kind: type[SealwireError]):
    family = next((family for family in FAMILIES if issubclass(kind, family)), None)
    allowed = FAMILIES[family] if family else {500}
    assert problems.status_of(kind) in allowed


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code())
def test_every_error_has_a_sentence_that_is_a_whole_sentence(kind: type[SealwireError]):
    sentence = str(kind())
    assert re.fullmatch(r"[A-Z`\"].{15,300}[.?]", sentence, re.DOTALL), sentence


def test_what_was_erased_is_told_with_the_address_of_its_certificate():
    status, headers, body = problems.document(RecordErased(certificate="ers_1"), "req_1")
    assert (status, json.loads(body)["certificate"]) == (410, "/v1/certificates/ers_1")
    assert headers["Link"] == '</v1/certificates/ers_1>; rel="describedby"; type="text/plain"'


def test_who_is_not_known_is_told_how_to_be():
    status, headers, _ = problems.document(NotAuthenticated(), "req_1")
    assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="sealwire"')


def test_what_may_be_tried_again_says_when():
    assert problems.document(Unavailable(), "req_1")[1]["Retry-After"] == "2"


def test_an_error_that_is_not_ours_tells_nothing_but_the_request_id(capsys: pytest.CaptureFixture[str]):
    try:
        raise RuntimeError("the caller was +441632960123")
    except RuntimeError as error:
        status, _, body = problems.document(error, "req_17")
    assert status == 500
    assert json.loads(body)["instance"] == "req_17"
    told = body.decode() + "".join(capsys.readouterr())
    assert "441632960123" not in told


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Invalid enum value '+441632960123'", "Invalid enum value"),
        ("Object contains unknown field `+441632960123`", "Object contains unknown field"),
        ("Object contains unknown field `labell`", "Object contains unknown field `labell`"),
        ("Expected `str`, got `int`", "Expected `str`, got `int`"),
    ],
)
def test_a_field_is_named_but_its_value_is_not_repeated(message: str, told: str):
    error = ValidationException(extra=[{"message": message, "key": "number", "source": "body"}])
    assert json.loads(problems.document(error, "req_1")[2])["errors"] == [{"field": "$.number", "problem": told}]


def test_a_field_name_that_is_a_number_is_not_repeated():
    error = ValidationException(extra=[{"message": "wrong", "key": "441632960123", "source": "body"}])
    assert b"441632960123" not in problems.document(error, "req_1")[2]
