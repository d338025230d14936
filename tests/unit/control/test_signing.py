"""Signatures, checked by the reference library of the specification."""

from __future__ import annotations

import base64
import datetime as dt

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from sealwire.communications.signing import SigningSecretMalformed, new_secret, signed_headers
from sealwire.ground.clock import SystemClock, TestClock

BODY = b'{"type": "call.ended"}'


def test_the_reference_library_takes_what_we_sign():
    secret = new_secret()
    headers = signed_headers(BODY, message="dlv_1", signing_secrets=[secret], clock=SystemClock())
    assert Webhook(secret).verify(BODY, headers) == {"type": "call.ended"}
    assert Webhook(secret).sign("dlv_1", dt.datetime.now(dt.UTC), BODY.decode())[:3] == "v1,"


def test_the_signature_is_the_one_of_the_specification_bit_by_bit():
    secret, at = new_secret(), dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    headers = signed_headers(BODY, message="dlv_1", signing_secrets=[secret], clock=TestClock(at))
    assert headers["webhook-timestamp"] == str(int(at.timestamp()))
    assert headers["webhook-signature"] == Webhook(secret).sign("dlv_1", at, BODY.decode())


@pytest.mark.parametrize("change", ["body", "webhook-id", "webhook-timestamp", "secret"])
def test_whatever_is_changed_the_signature_no_longer_holds(change: str):
    secret = new_secret()
    headers = signed_headers(BODY, message="dlv_1", signing_secrets=[secret], clock=SystemClock())
    body = BODY + b" " if change == "body" else BODY
    if change == "secret":
        secret = new_secret()
    elif change != "body":
        headers[change] = str(int(headers[change]) - 1) if change == "webhook-timestamp" else "dlv_2"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_an_old_signature_is_refused_so_a_replay_is():
    secret, clock = new_secret(), TestClock(dt.datetime.now(dt.UTC) - dt.timedelta(minutes=6))
    headers = signed_headers(BODY, message="dlv_1", signing_secrets=[secret], clock=clock)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers)


def test_while_secrets_change_whoever_has_either_one_takes_it():
    fresh, old = new_secret(), new_secret()
    headers = signed_headers(BODY, message="dlv_1", signing_secrets=[fresh, old], clock=SystemClock())
    for secret in (fresh, old):
        assert Webhook(secret).verify(BODY, headers) == {"type": "call.ended"}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!", "whsec_AAAA", base64.b64encode(b"x" * 32).decode()])
def test_a_secret_that_is_none_is_refused(secret: str):
    with pytest.raises(SigningSecretMalformed):
        signed_headers(BODY, message="dlv_1", signing_secrets=[secret], clock=SystemClock())


def test_no_two_secrets_are_alike():
    assert len({new_secret() for _ in range(100)}) == 100
