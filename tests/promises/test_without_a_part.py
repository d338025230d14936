"""Without one of its parts the service opens nothing and keeps nothing, says so, and recovers by itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from sealwire.errors import Unavailable
from tests.api_house import Answer, ApiHouse, Tenant, house

__all__ = ["house"]
QUALITY = {"Sealwire-Purpose": "quality-assurance"}


@pytest.fixture(scope="module")
def kept(house: ApiHouse) -> Tenant:
    made = house.tenant("Patient")
    house.keep_call(made, "+441632960111")
    return made


def test_without_the_keeper_nothing_is_opened_and_nothing_is_kept(house: ApiHouse, kept: Tenant):
    call = kept.calls[0]
    with _stopped(house, "keeper"):
        assert _ready(house) == {"database": True, "keeper": False, "sequencer": True, "index": True}
        for answer in _openings(house, kept):
            assert (answer.status, answer.code) == (503, "keeper-unavailable")
            assert "retry-after" in answer.headers
        with pytest.raises(Unavailable):
            house.keep_call(kept, "+441632960222")
        assert [each["id"] for each in _list(house, kept, "/v1/calls")] == [str(call.record)]
        assert house.ask("POST", "/v1/accounts", secret=house.operator, body={"name": "x"}).status == 503
    assert [answer.status for answer in _openings(house, kept)] == [200, 200, 200]


def test_without_the_log_nothing_is_opened_and_what_is_listed_still_is(house: ApiHouse, kept: Tenant):
    with _stopped(house, "sequencer"):
        assert _ready(house)["sequencer"] is False
        for answer in _openings(house, kept):
            assert (answer.status, answer.code) == (503, "evidence-unavailable")
        assert house.ask("GET", "/v1/calls", secret=kept.secret).status == 200
    assert [answer.status for answer in _openings(house, kept)] == [200, 200, 200]


def test_without_the_database_the_answer_is_to_try_again(house: ApiHouse, kept: Tenant):
    """Last of all: the database is not started again."""
    asyncio.run(house.cloud.cluster.stop())
    answer = house.ask("GET", "/v1/calls", secret=kept.secret)
    assert (answer.status, answer.code) == (503, "database-unavailable")
    health = house.ask("GET", "/v1/health")
    assert (health.status, health.json["ready"]["database"]) == (503, False)


def _openings(house: ApiHouse, tenant: Tenant) -> list[Answer]:
    call = tenant.calls[0]
    return [
        house.ask("GET", f"/v1/calls/{call.record}/content", secret=tenant.secret, headers=QUALITY),
        house.ask("GET", f"/v1/recordings/{call.recording}/audio", secret=tenant.secret, headers=QUALITY),
        house.ask("POST", "/v1/subjects", secret=tenant.secret, body={"number": call.caller}, headers=QUALITY),
    ]


class _stopped:  # noqa: N801 - reads as the statement it is used in
    """`with _stopped(house, "keeper")`: that process is not running meanwhile."""

    def __init__(self, house: ApiHouse, name: str) -> None:
        self.house, self.child = house, house.cloud.child(name)

    def __enter__(self) -> None:
        asyncio.run(self.child.stop())

    def __exit__(self, *_: object) -> None:
        self.child.start()
        _until(lambda: all(_ready(self.house).values()))


def _ready(house: ApiHouse) -> dict[str, bool]:
    return dict(house.ask("GET", "/v1/health").json["ready"])


def _list(house: ApiHouse, tenant: Tenant, path: str) -> list[Any]:
    return list(house.ask("GET", path, secret=tenant.secret).json["items"])


def _until(true: Any, seconds: float = 15.0) -> Any:
    ends_s = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < ends_s
        time.sleep(0.05)
    return found
