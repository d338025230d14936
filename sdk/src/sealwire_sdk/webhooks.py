"""Checking webhooks (Standard Webhooks 1.0, HMAC-SHA-256): is it from the service, unchanged, and of now?

    event = verify(request.body, request.headers, secret)

The same check is good for the requests a page gets. Take the body as it came, before anything parses it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sealwire_sdk.errors import KeyWrong, WebhookRefused

TOLERANCE_S = 300.0
SECRET_PREFIX = "whsec_"  # noqa: S105 - what such secrets begin with
_NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature")


def verify(
    payload: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now_s: float | None = None,
) -> Any:
    """The event as JSON has it; WebhookRefused unless one of its signatures is of one of your secrets.

    Give both secrets while you rotate them. Act once for each `webhook-id`: deliveries may be repeated.
    """
    body = payload.encode() if isinstance(payload, str) else payload
    given = {name.lower(): value for name, value in headers.items()}
    if any(name not in given for name in _NAMES):
        raise WebhookRefused(f"a webhook has the headers {', '.join(_NAMES)}")
    identity, stamp, signatures = (given[name] for name in _NAMES)
    _require_of_now(stamp, tolerance_s, time.time() if now_s is None else now_s)
    signed = f"{identity}.{stamp}.".encode() + body
    for each in [secret] if isinstance(secret, str) else secret:
        expected = base64.b64encode(hmac.digest(_key(each), signed, "sha256"))
        for signature in signatures.split():
            version, _, value = signature.partition(",")
            if version == "v1" and hmac.compare_digest(expected, value.encode()):
                return _json(body)
    raise WebhookRefused


def _require_of_now(stamp: str, tolerance_s: float, now_s: float) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        raise WebhookRefused("webhook-timestamp is not a number of seconds")
    if abs(now_s - int(stamp)) > tolerance_s:
        raise WebhookRefused("this webhook is too old or from the future; is your clock right?")


def _key(secret: str) -> bytes:
    try:
        found = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not found:  # anybody can sign with no key at all
        raise KeyWrong("a webhook secret is whsec_ and base64")
    return found


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise WebhookRefused("the webhook is signed and is not JSON") from None
