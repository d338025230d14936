"""What both clients do when answers are late, missing or "not now": a real HTTPS server that answers so."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sdk.tests.client_house import Loop, a_site, opened
from tests.sites import Asked, Site, response

from sealwire_sdk.client import Malformed, NoAnswer, Problem, RateLimited, Unavailable, models
from sealwire_sdk.errors import ServerNotTrusted


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture
def site(loop: Loop, tmp_path: Path) -> Iterator[Site]:
    with a_site(loop, tmp_path) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cloud(kind: str, site: Site, loop: Loop) -> Iterator[Any]:
    with opened(kind, loop, site.at(""), "secret", ca=site.ca, seconds=1.0) as client:
        yield client


def first(site: Site, path: str, *answers: bytes | None) -> None:
    """The first requests get these answers, None breaks the connection off; the last one is kept for the rest."""
    left = list(answers)

    async def answer(_: Asked, writer: asyncio.StreamWriter) -> None:
        one = left.pop(0) if len(left) > 1 else left[0]
        if one is None:
            writer.transport.abort()
        else:
            writer.write(one)

    site.does(path, answer)


def problem(status: int, code: str, headers: str = "") -> bytes:
    body = f'{{"type": "urn:sealwire:problem:{code}", "title": "No", "status": {status}, "detail": "Not now."}}'
    return response(body.encode(), status=status, headers=headers)


def good(text: str = '{"items": []}', status: int = 200) -> bytes:
    return response(text.encode(), status=status)


def test_too_many_requests_is_waited_out_as_long_as_it_says(cloud: Any, site: Site) -> None:
    first(site, "/v1/numbers", problem(429, "too-many-requests", "Retry-After: 1\r\n"), good())
    began = time.monotonic()
    assert cloud.list_numbers().items == []
    assert 1 <= time.monotonic() - began < 3
    assert len(site.asked) == 2


def test_a_wait_that_is_too_long_is_left_to_you(cloud: Any, site: Site) -> None:
    first(site, "/v1/numbers", problem(429, "too-many-requests", "Retry-After: 3600\r\n"))
    with pytest.raises(RateLimited) as caught:
        cloud.list_numbers()
    assert caught.value.retry_after_s == 3600
    assert len(site.asked) == 1


def test_unavailable_is_tried_again_and_then_told(cloud: Any, site: Site) -> None:
    first(site, "/v1/numbers", problem(503, "unavailable"))
    with pytest.raises(Unavailable) as caught:
        cloud.list_numbers()
    assert (caught.value.code, len(site.asked)) == ("unavailable", 4)


def test_what_is_wrong_is_not_sent_again(cloud: Any, site: Site) -> None:
    first(site, "/v1/numbers", problem(400, "query-wrong"))
    with pytest.raises(Malformed):
        cloud.list_numbers()
    assert len(site.asked) == 1


def test_a_broken_connection_is_tried_again_under_the_same_key(cloud: Any, site: Site) -> None:
    first(site, "/v1/calls", None, None, good('{"call_id": "c", "application_id": "a"}', 202))
    assert cloud.start_call(service_id="svc_1", to="+441632960123").call_id == "c"
    keys = {asked.headers["idempotency-key"] for asked in site.asked}
    assert len(site.asked) == 3
    assert len(keys) == 1
    assert {asked.json["to"] for asked in site.asked} == {"+441632960123"}


def test_your_own_key_is_the_one_that_is_sent(cloud: Any, site: Site) -> None:
    first(site, "/v1/calls", good('{"call_id": "c", "application_id": "a"}', 202))
    cloud.start_call(service_id="svc_1", to="+441632960123", idempotency_key="job-17")
    assert site.asked[0].headers["idempotency-key"] == "job-17"


def test_an_act_that_cannot_be_repeated_is_not_and_its_doubt_is_told(cloud: Any, site: Site) -> None:
    first(site, "/v1/calls/call_1/actions", None)
    with pytest.raises(NoAnswer) as caught:
        cloud.act_on_call("call_1", action=models.Say(text="One moment."))
    assert (caught.value.status, len(site.asked)) == (0, 1)
    assert "idempotency-key" not in site.asked[0].headers
    assert site.asked[0].json == {"action": {"action": "say", "text": "One moment."}}


def test_too_many_requests_is_waited_out_even_by_an_act_that_cannot_be_repeated(cloud: Any, site: Site) -> None:
    first(site, "/v1/calls/call_1/cancel", problem(429, "too-many-requests"), good('{"call_id": "call_1"}'))
    assert cloud.cancel_call("call_1").call_id == "call_1"
    assert len(site.asked) == 2


def test_an_answer_that_does_not_come_in_time_is_no_answer(cloud: Any, site: Site) -> None:
    async def never(_: Asked, __: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    site.does("/v1/calls/call_1/cancel", never)
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="Timeout"):
        cloud.cancel_call("call_1")
    assert time.monotonic() - began < 3


def test_a_download_that_breaks_off_is_told_and_not_begun_again(cloud: Any, site: Site) -> None:
    async def half(_: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.close()

    site.does("/v1/recordings/rec_1/audio", half)
    file = io.BytesIO()
    with pytest.raises(NoAnswer):
        cloud.play_recording_into("rec_1", file)
    assert len(site.asked) == 1


def test_a_download_that_is_refused_is_a_problem_and_writes_nothing(cloud: Any, site: Site) -> None:
    first(site, "/v1/recordings/rec_1/audio", problem(404, "record-missing"))
    file = io.BytesIO()
    with pytest.raises(Problem) as caught:
        cloud.play_recording_into("rec_1", file)
    assert (caught.value.code, file.getvalue()) == ("record-missing", b"")


def test_an_answer_that_is_not_the_apis_is_said_to_be_so(cloud: Any, site: Site) -> None:
    first(site, "/v1/numbers", response(b"<html>", status=502))
    with pytest.raises(Problem, match="is this the address of the API"):
        cloud.list_numbers()


def test_an_id_stays_one_segment_of_the_address(cloud: Any, site: Site) -> None:
    with pytest.raises(Problem):
        cloud.get_call("../accounts?x=/")
    assert site.asked[0].path == "/v1/calls/..%2Faccounts%3Fx%3D%2F"


def test_words_and_fields_of_a_newer_service_are_no_trouble(cloud: Any, site: Site) -> None:
    made = (
        '{"id": "whk_1", "address": "https://example.org", "events": ["call.sung"], "label": "", "state": "resting", '
        '"created_at": "2026-11-23T11:30:00Z", "changed_at": "2026-11-23T11:30:00Z", "failing_since": null, '
        '"disabled_at": null, "signs_with_old_secret_until": null, "mood": "good"}'
    )
    first(site, "/v1/webhooks/whk_1", good(made))
    assert cloud.get_webhook("whk_1").events == ["call.sung"]


def test_a_server_whose_certificate_is_not_trusted_is_told_nothing(kind: str, site: Site, loop: Loop) -> None:
    first(site, "/v1/numbers", good())
    with opened(kind, loop, site.at(""), "secret", seconds=1.0) as cloud, pytest.raises(ServerNotTrusted):
        cloud.list_numbers()
    assert site.asked == []
