"""How often a credential may ask, in buckets on a clock that the test moves."""

from __future__ import annotations

import time

import pytest

from sealwire.doors.api.pace import BUCKETS_MAX, DEFAULT_QUOTAS, Class, Pace, Quota, TooManyRequests, class_of
from sealwire.vocabulary import CredentialId

MINE, OTHER = CredentialId.new(), CredentialId.new()


def pace(requests: int = 3, seconds: int = 30) -> Pace:
    return Pace(dict.fromkeys(Class, Quota(requests, seconds)))


def test_as_many_as_the_quota_at_once_and_not_one_more():
    bucket = pace()
    assert [bucket.take(MINE, Class.READ, now_s=100.0).left for _ in range(3)] == [2, 1, 0]
    with pytest.raises(TooManyRequests) as refused:
        bucket.take(MINE, Class.READ, now_s=100.0)
    assert refused.value.standing is not None
    assert refused.value.standing.retry_after_s == 10


def test_one_that_waits_as_long_as_it_was_told_is_served_again():
    bucket = pace()
    for _ in range(3):
        bucket.take(MINE, Class.READ, now_s=100.0)
    with pytest.raises(TooManyRequests):
        bucket.take(MINE, Class.READ, now_s=109.0)
    assert bucket.take(MINE, Class.READ, now_s=110.1).left == 0


def test_being_refused_costs_nothing_more():
    bucket = pace()
    for at in range(3):
        bucket.take(MINE, Class.READ, now_s=100.0 + at / 10)
    for _ in range(50):
        with pytest.raises(TooManyRequests):
            bucket.take(MINE, Class.READ, now_s=101.0)
    assert bucket.take(MINE, Class.READ, now_s=110.1).left == 0


def test_a_bucket_never_holds_more_than_its_quota():
    bucket = pace()
    bucket.take(MINE, Class.READ, now_s=0.0)
    assert bucket.take(MINE, Class.READ, now_s=1e6).left == 2


def test_credentials_and_classes_do_not_take_from_each_other():
    bucket = pace(requests=1)
    for credential in (MINE, OTHER):
        for kind in Class:
            assert bucket.take(credential, kind, now_s=1.0).left == 0


def test_the_headers_are_those_of_the_draft():
    headers = dict(pace().take(MINE, Class.START_CALL, now_s=1.0).headers())
    assert headers == {b"ratelimit-policy": b'"start-call";q=3;w=30', b"ratelimit": b'"start-call";r=2;t=10'}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("GET", "/v1/calls", Class.READ),
        ("POST", "/v1/calls", Class.START_CALL),
        ("POST", "/v1/calls/", Class.START_CALL),
        ("POST", "/v1/calls/call_1/cancel", Class.WRITE),
        ("DELETE", "/v1/services/svc_1", Class.WRITE),
        ("PATCH", "/v1/services/svc_1", Class.WRITE),
    ],
)
def test_starting_calls_is_a_class_of_its_own(method: str, path: str, kind: Class):
    assert class_of(method, path) is kind


def test_the_memory_for_buckets_is_bounded():
    bucket = pace()
    for _ in range(BUCKETS_MAX + 10):
        bucket.take(CredentialId.new(), Class.READ, now_s=1.0)
    assert len(bucket._buckets) == BUCKETS_MAX


@pytest.mark.alone
def test_counting_a_request_takes_microseconds():
    bucket = Pace()
    began = time.perf_counter()
    for at in range(10_000):
        bucket.take(MINE, Class.READ, now_s=at / 400)
    assert (time.perf_counter() - began) / 10_000 < 50e-6
    assert DEFAULT_QUOTAS[Class.READ].requests / DEFAULT_QUOTAS[Class.READ].seconds > 200
