"""How often one credential may ask: a bucket of requests for each credential and class, refilled steadily.

The buckets are in the memory of this process and start full, so a restart forgives; several API processes would each
allow the whole pace. What a stolen credential can cost is bounded elsewhere, by spend caps, which are in the database.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum

from sealwire.errors import Refused
from sealwire.vocabulary import CredentialId

BUCKETS_MAX = 20_000


class TooManyRequests(Refused):
    """This credential has asked more often than it may; wait as long as `Retry-After` says, then go on."""

    def __init__(self, detail: str | None = None, *, standing: Standing | None = None) -> None:
        super().__init__(detail)
        self.standing = standing


class Class(StrEnum):
    """What a request costs us, roughly."""

    READ = "read"
    WRITE = "write"
    START_CALL = "start-call"


@dataclass(frozen=True, slots=True)
class Quota:
    """`requests` in a window of `seconds`; as many at once when none were sent for a while."""

    requests: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a credential stands in a class after a request: how many are left, and in how many seconds all are."""

    kind: Class
    quota: Quota
    left: int
    full_after_s: int
    retry_after_s: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10)."""
        policy = f'"{self.kind}";q={self.quota.requests};w={self.quota.seconds}'
        state = f'"{self.kind}";r={self.left};t={self.full_after_s}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", state.encode())]


DEFAULT_QUOTAS = {
    Class.READ: Quota(30_000, 60),
    Class.WRITE: Quota(6_000, 60),
    Class.START_CALL: Quota(1_200, 60),
}


@dataclass(slots=True)
class _Bucket:
    left: float
    seen_s: float


@dataclass(slots=True)
class Pace:
    """The buckets of one API process."""

    quotas: dict[Class, Quota] = field(default_factory=lambda: dict(DEFAULT_QUOTAS))
    _buckets: OrderedDict[tuple[CredentialId, Class], _Bucket] = field(default_factory=OrderedDict)

    def take(self, credential: CredentialId, kind: Class, *, now_s: float) -> Standing:
        """Count one request at this monotonic second; TooManyRequests, with where it stands, when none is left."""
        quota = self.quotas[kind]
        rate = quota.requests / quota.seconds
        bucket = self._bucket((credential, kind), quota, now_s)
        bucket.left = min(quota.requests, bucket.left + (now_s - bucket.seen_s) * rate)
        bucket.seen_s = now_s
        is_allowed = bucket.left >= 1
        bucket.left -= 1 if is_allowed else 0
        standing = Standing(
            kind, quota, int(bucket.left), math.ceil((quota.requests - bucket.left) / rate),
            max(1, math.ceil((1 - bucket.left) / rate)),
        )  # fmt: skip
        if not is_allowed:
            raise TooManyRequests(standing=standing)
        return standing

    def _bucket(self, key: tuple[CredentialId, Class], quota: Quota, now_s: float) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(quota.requests, now_s)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket


def class_of(method: str, path: str) -> Class:
    """Of a request, by its method and address alone, before it is routed."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return Class.READ
    return Class.START_CALL if method == "POST" and path.rstrip("/") == "/v1/calls" else Class.WRITE
