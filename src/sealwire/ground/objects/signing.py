"""AWS Signature Version 4 for the few S3 requests that `obstore` does not make: versions, markers, unfinished uploads.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

_SERVICE = "s3"
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class S3Credential:
    """Who asks. The secret is never part of a text made from this."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return f"S3Credential({self.access_key!r})"


def canonical_query(query: Mapping[str, str]) -> str:
    """The query string as it is signed, and as it must be sent."""
    return "&".join(f"{quote(name, safe='')}={quote(query[name], safe='')}" for name in sorted(query))


def signed_headers(
    credential: S3Credential, *, method: str, host: str, path: str, query: Mapping[str, str], region: str,
    body: bytes, at: dt.datetime,
) -> dict[str, str]:  # fmt: skip
    """The headers that prove who asks for this, at this moment. `path` is already percent-encoded."""
    stamp, payload = at.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = "\n".join((method, path, canonical_query(query), lines, names, payload))
    scope = f"{stamp[:8]}/{region}/{_SERVICE}/aws4_request"
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = b"AWS4" + credential.secret_key.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    authorization = f"{_ALGORITHM} Credential={credential.access_key}/{scope}, SignedHeaders={names}, "
    return {**headers, "authorization": authorization + f"Signature={signature}"}
