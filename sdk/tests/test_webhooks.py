"""A webhook is believed when another implementation signed it with our secret just now, and never otherwise."""

from __future__ import annotations

import base64
import datetime as dt
import hmac
import json

import pytest
from standardwebhooks import Webhook

from sealwire_sdk.errors import KeyWrong, WebhookRefused
from sealwire_sdk.webhooks import verify

SECRET, OTHER = ("whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
EVENT = {"type": "call.ended", "data": {"call": "call_1"}}
BODY = json.dumps(EVENT)


def signed(secret: str = SECRET, *, ago_s: float = 0, body: str = BODY) -> dict[str, str]:
    at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ago_s)
    return {
        "Webhook-Id": "dlv_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": Webhook(secret).sign("dlv_1", at, body),
    }


def test_what_the_reference_implementation_signs_is_believed() -> None:
    assert verify(BODY, signed(), SECRET) == EVENT
    assert verify(BODY.encode(), signed(), SECRET) == EVENT


def test_while_secrets_are_rotated_either_is_good() -> None:
    assert verify(BODY, signed(OTHER), [SECRET, OTHER]) == EVENT
    headers = signed()
    headers["Webhook-Signature"] = f"v1a,AAAA v1,AAAA {headers['Webhook-Signature']}"
    assert verify(BODY, headers, SECRET) == EVENT


@pytest.mark.parametrize("ago_s", [301, -301])
def test_what_is_too_old_or_from_the_future_is_refused(ago_s: float) -> None:
    with pytest.raises(WebhookRefused, match="clock"):
        verify(BODY, signed(ago_s=ago_s), SECRET)


def test_another_secret_a_changed_body_or_a_missing_header_is_refused() -> None:
    with pytest.raises(WebhookRefused):
        verify(BODY, signed(OTHER), SECRET)
    with pytest.raises(WebhookRefused):
        verify(BODY + " ", signed(), SECRET)
    for name in signed():
        with pytest.raises(WebhookRefused, match="headers"):
            verify(BODY, {key: value for key, value in signed().items() if key != name}, SECRET)
    for name, value in (("Webhook-Id", "dlv_2"), ("Webhook-Timestamp", "x"), ("Webhook-Signature", "v2,AAAA")):
        with pytest.raises(WebhookRefused):
            verify(BODY, signed() | {name: value}, SECRET)


def test_a_secret_that_is_none_is_said_to_be_none() -> None:
    with pytest.raises(KeyWrong):
        verify(BODY, signed(), "whsec_not base64")


@pytest.mark.parametrize("empty", ["", "whsec_", [SECRET, ""]])
def test_an_empty_secret_is_none_so_that_nobody_can_sign_with_it(empty: str | list[str]) -> None:
    headers = signed()
    content = f"dlv_1.{headers['Webhook-Timestamp']}.{BODY}".encode()
    forged = base64.b64encode(hmac.digest(b"", content, "sha256")).decode()
    with pytest.raises(KeyWrong):
        verify(BODY, headers | {"Webhook-Signature": f"v1,{forged}"}, empty)


def test_a_signed_body_that_is_not_json_is_refused() -> None:
    with pytest.raises(WebhookRefused, match="not JSON"):
        verify("hello", signed(body="hello"), SECRET)
