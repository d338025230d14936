"""The end of the grace in a whole cloud: calls are hung up, every operation answers 410, nothing else is left."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from sealwire.custody.closure.allowed import KEPT_IN_PART, KEPT_WHOLE
from sealwire.custody.closure.book import CONFIRMATION
from sealwire.doors.api.app import OPERATIONS
from sealwire.doors.api.authentication import Who
from sealwire.governance.principals import Scope
from tests.api_house import ApiHouse
from tests.holdings import CALLED, Holdings, Ports, furnish, open_whole_house

PORTS = Ports(first=24_010, sound=24_100)
NUMBER = "+441632960155"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cloud() -> Iterator[ApiHouse]:
    with open_whole_house(PORTS) as house:
        yield house


def test_calls_end_operations_answer_410_and_only_the_allow_list_stays(cloud: ApiHouse) -> None:
    holdings = furnish(cloud, PORTS, "Going", NUMBER)
    assert len(cloud.ask("GET", "/v1/live-calls", secret=holdings.owner).json["items"]) == 3
    assert _in_grace(cloud, holdings) == {"POST /v1/calls": 409, "POST /v1/messages": 409}
    begun = cloud.ask(
        "POST", "/v1/closures", secret=holdings.owner, body={"grace_days": 0, "confirmation": CONFIRMATION}
    ).json
    began_s = time.monotonic()
    answers = [_asked(cloud, method, path, holdings) for method, path in _operations()]
    assert answers[0] == 410
    assert set(answers) <= {410, 401}  # its credentials are removed a few seconds after
    assert answers == sorted(answers, reverse=True)
    token, address = begun["retrieval_token"], f"/v1/closures/{begun['closure']['id']}"
    while (seen := cloud.ask("GET", address, secret=token).json)["state"] not in ("unreadable", "removed"):
        assert time.monotonic() - began_s < 60
        time.sleep(0.1)
    while (seen := cloud.ask("GET", address, secret=token).json)["state"] != "removed":
        assert time.monotonic() - began_s < 120, seen
        time.sleep(0.2)
    account = holdings.tenant.account.value
    assert cloud.ask("GET", "/v1/health").status == 200
    left = {row[0] for row in cloud.cluster_rows(f"SELECT * FROM custody.tables_left('{account}')")}
    assert left - KEPT_WHOLE.keys() - KEPT_IN_PART.keys() == {"custody.recording"}  # one is under a legal hold
    held = cloud.cluster_rows(f"SELECT record_id FROM custody.recording WHERE account_id = '{account}'")
    assert [f"rec_{row[0].hex}" for row in held] == [holdings.ids["recordings"]]
    assert {(each["what"], each["records"]) for each in seen["kept"]} >= {("held-records", 1)}
    assert "custody.live_call" not in left
    lines = (cloud.settings.logs_dir / "switchboard.log").read_text()
    assert lines.count('"call.ended"') >= 3


def _in_grace(cloud: ApiHouse, holdings: Holdings) -> dict[str, int]:
    """What would begin something is refused; then the closing is called off."""
    begun = cloud.ask(
        "POST", "/v1/closures", secret=holdings.owner, body={"grace_days": 1, "confirmation": CONFIRMATION}
    ).json
    call = {"service_id": holdings.ids["services"], "to": CALLED}
    message = {"from": NUMBER, "to": CALLED, "text": "Not any more."}
    refused = {
        f"POST {path}": cloud.ask("POST", path, secret=holdings.owner, body=body).status
        for path, body in (("/v1/calls", call), ("/v1/messages", message))
    }
    cancelled = cloud.ask("POST", f"/v1/closures/{begun['closure']['id']}/cancel", secret=holdings.owner)
    assert cancelled.status == 200
    return refused


def _operations() -> list[tuple[str, str]]:
    """Every operation that an account's own credential is for, by method and address."""
    of_operator = (Scope.OPERATOR, Who.ANYBODY)
    return [
        (method, path)
        for handler in OPERATIONS if handler.opt["who"] not in of_operator
        for path in handler.paths for method in handler.http_methods if method != "OPTIONS"
    ]  # fmt: skip


def _asked(cloud: ApiHouse, method: str, path: str, holdings: Holdings) -> int:
    address = re.sub(r"{[^}]*}", holdings.ids["calls"], path)
    body = {} if method in ("POST", "PUT", "PATCH") else None
    return cloud.ask(method, address, secret=holdings.owner, body=body).status
