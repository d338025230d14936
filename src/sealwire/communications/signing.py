"""Signatures on what we send to customers' servers, by the Standard Webhooks specification (symmetric, `v1`).

Signed is `id.timestamp.body` with HMAC-SHA256. While a secret is being replaced, the header carries one signature
for each of the two, so that a receiver that knows either takes it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence

from sealwire.errors import Malformed
from sealwire.ground.clock import Clock

PREFIX = "whsec_"
SECRET_BYTES = 32
_BYTES_MIN, _BYTES_MAX = 24, 64


class SigningSecretMalformed(Malformed):
    """A signing secret is whsec_ and 24 to 64 bytes in base64."""


def new_secret() -> str:
    """A fresh signing secret, as it is shown once: `whsec_…`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(body: bytes, *, message: str, signing_secrets: Sequence[str], clock: Clock) -> dict[str, str]:
    """The three headers of a signed request; `message` names it and stays the same when it is sent again."""
    timestamp = str(int(clock.now().timestamp()))
    content = b".".join((message.encode(), timestamp.encode(), body))
    signatures = [hmac.digest(_bytes_of(secret), content, "sha256") for secret in signing_secrets]
    return {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{base64.b64encode(signature).decode()}" for signature in signatures),
    }


def _bytes_of(secret: str) -> bytes:
    try:
        found = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise SigningSecretMalformed from None
    if not secret.startswith(PREFIX) or not _BYTES_MIN <= len(found) <= _BYTES_MAX:
        raise SigningSecretMalformed
    return found
