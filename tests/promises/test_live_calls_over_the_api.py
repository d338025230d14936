"""Calls started, watched, told what to do and cancelled over the API, on a whole cloud that calls a real telephone."""

from __future__ import annotations

import asyncio
import contextlib
import http.server
import json
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sealwire.config import Settings
from sealwire.doors.first_start import operator_credential_file
from sealwire.doors.supervisor import API, KEEPER, SEQUENCER, SWITCHBOARD, WORKER, Cloud
from sealwire.vocabulary import CallId, ReturnCode, ServiceId
from tests.api_house import Answer, ApiHouse, Tenant
from tests.promises.test_8_isolation import told

API_PORT, SIP_PORT, UAS_PORT, TELEPHONE_PORT, PAGES_PORT = 27001, 27060, 27444, 27070, 27080
PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, SWITCHBOARD))
NUMBER, CALLED = "+441632960100", "+441632960123"
pytestmark = pytest.mark.slow


@dataclass
class Pages:
    """A customer's web server: every page makes the call wait; it remembers what it was asked."""

    asked: list[str] = field(default_factory=list)

    def wait_for(self, path: str) -> None:
        ends_s = time.monotonic() + 10
        while path not in self.asked:
            assert time.monotonic() < ends_s, self.asked
            time.sleep(0.05)


@dataclass
class Office:
    """A cloud with an account that may call, its services, and the operator's trunk to one telephone."""

    house: ApiHouse
    tenant: Tenant
    stranger: Tenant
    pages: Pages
    services: dict[str, str]

    def ask(self, method: str, path: str, body: Any = None, *, secret: str | None = None, **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.house.ask(method, path, secret=secret or self.tenant.secret, body=body, headers=sent)

    def start(self, service: str = "waits", **more: Any) -> Answer:
        headers = {"Idempotency_Key": more.pop("key")} if "key" in more else {}
        body = {"service_id": self.services.get(service, service), "to": CALLED, **more}
        return self.ask("POST", "/v1/calls", body, **headers)

    def until(self, call: str, state: str) -> dict[str, Any]:
        """The call's status once its first leg is in this state."""
        ends_s = time.monotonic() + 15
        while True:
            answer = self.ask("GET", f"/v1/calls/{call}/status")
            assert answer.status == 200, answer
            if answer.json["channels"][0]["state"] == state:
                return dict(answer.json)
            assert time.monotonic() < ends_s, answer.json
            time.sleep(0.05)

    def record_of(self, application: str) -> dict[str, Any]:
        """The application record, once it is kept."""
        ends_s = time.monotonic() + 20
        while (answer := self.ask("GET", f"/v1/applications/{application}")).status != 200:
            assert time.monotonic() < ends_s, answer
            time.sleep(0.1)
        return dict(answer.json)


@contextmanager
def telephone(*, status: int = 200, hang_up_after: float = 60) -> Iterator[subprocess.Popen[str]]:
    """A telephone of another code base that takes one call."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sealwire.doors.answerer", "--listen", f"127.0.0.1:{TELEPHONE_PORT}",
         "--status", str(status), "--hang-up-after", str(hang_up_after), "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        yield process
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    folder = Path(tempfile.mkdtemp(prefix="sealwire-live-")).resolve()
    settings = Settings(
        data_dir=folder, api_listen=f"127.0.0.1:{API_PORT}", sip_listen=f"127.0.0.1:{SIP_PORT}",
        uas_listen=f"127.0.0.1:{UAS_PORT}", rtp_ports="27100-27400", egress_allow="127.0.0.0/8",
    )  # fmt: skip
    folder.joinpath("sealwire.toml").write_text(
        "\n".join(
            f'{name} = "{getattr(settings, name)}"'
            for name in ("api_listen", "sip_listen", "uas_listen", "rtp_ports", "egress_allow")
        )
    )
    cloud = Cloud(settings, parts=PARTS)
    try:
        asyncio.run(cloud.start())
        assert cloud.certificates is not None
        context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
        house = ApiHouse(settings, cloud, context, operator_credential_file(settings).read_text().strip())
        with _pages() as pages:
            yield _furnished(house, pages)
    finally:
        asyncio.run(cloud.stop())
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _pages() -> Iterator[Pages]:
    pages = Pages()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            pages.asked.append(self.path)
            body = json.dumps({"actions": [{"action": "pause", "seconds": 60}]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", PAGES_PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield pages
    server.shutdown()
    server.server_close()


def _furnished(house: ApiHouse, pages: Pages) -> Office:
    made = Office(house, house.tenant("Office"), house.tenant("Stranger"), pages, {})
    operator = house.operator
    trunk = {"name": "telephone", "host": "127.0.0.1", "port": TELEPHONE_PORT, "rules": [{"prefix": "+44163296"}]}
    answers = [
        made.ask("POST", "/v1/trunks", trunk, secret=operator),
        made.ask("POST", f"/v1/accounts/{made.tenant.account}/numbers", {"number": NUMBER}, secret=operator),
        made.ask("PUT", "/v1/limits/destinations", {"items": [{"destination": "GB"}]}),
    ]
    first = f"http://127.0.0.1:{PAGES_PORT}/first"
    for name, direction, logic in (
        ("waits", "outbound", {"kind": "pages", "first_page": first}),
        ("greets", "both", {"kind": "built-in", "name": "greeting"}),
        ("inbound", "inbound", {"kind": "built-in", "name": "greeting"}),
        ("away", "both", {"kind": "program", "application": "not-connected"}),
    ):
        answers.append(made.ask("POST", "/v1/services", {"name": name, "direction": direction, "logic": logic}))
        made.services[name] = answers[-1].json["id"]
    assert [answer.status for answer in answers] == [201, 201, 200, 201, 201, 201, 201], answers
    return made


def test_a_call_is_started_watched_told_redirected_and_ended(office: Office):
    with telephone():
        started = office.start(**{"from": NUMBER}, arguments="appointment 17")
        assert started.status == 202, started
        call, application = started.json["call_id"], started.json["application_id"]
        assert started.headers["location"] == f"/v1/calls/{call}/status"
        status = office.until(call, "up")
        assert (status["application_id"], status["service_id"], status["direction"]) == (
            application, office.services["waits"], "outbound",
        )  # fmt: skip
        assert CALLED[1:] not in json.dumps(status)
        listed = office.ask("GET", "/v1/live-calls").json["items"]
        assert [each["call_id"] for each in listed] == [call]
        office.pages.wait_for("/first")
        digits = {"action": {"action": "send_digits", "digits": "12"}}
        acted = office.ask("POST", f"/v1/calls/{call}/actions", digits)
        assert (acted.status, acted.json["done"]) == (200, True), acted
        wrong = office.ask("POST", f"/v1/calls/{call}/actions", digits | {"channel": 3})
        assert wrong.code == "channel-missing"
        nowhere = office.ask("POST", f"/v1/calls/{call}/redirect", {"page": "http://10.0.0.1/elsewhere"})
        assert (nowhere.status, nowhere.code) == (409, "address-refused")
        redirected = office.ask(
            "POST", f"/v1/calls/{call}/redirect", {"page": f"http://127.0.0.1:{PAGES_PORT}/elsewhere"}
        )
        assert redirected.status == 200, redirected
        office.pages.wait_for("/elsewhere")
        cancelled = office.ask("POST", f"/v1/calls/{call}/cancel")
        assert (cancelled.status, cancelled.json) == (200, {"call_id": call})
    record = office.record_of(application)
    assert (record["call_id"], record["kind"], record["direction"]) == (call, "pages", "outbound")
    assert office.ask("GET", f"/v1/calls/{call}/status").code == "call-missing"
    assert office.ask("GET", f"/v1/calls/{call}").json["direction"] == "outbound"
    opened = office.ask("GET", f"/v1/applications/{application}/content", Sealwire_Purpose="quality-assurance")
    assert opened.json["content"]["arguments"] == "appointment 17"


def test_one_key_starts_one_call(office: Office):
    with telephone(status=0):
        first, again = office.start(key="call-once"), office.start(key="call-once")
        assert (first.status, again.status) == (202, 202)
        assert first.json == again.json
        assert again.headers["idempotent-replayed"] == "true"
        assert len(office.ask("GET", "/v1/live-calls").json["items"]) == 1
        other = office.start(key="call-once", arguments="something else")
        assert other.code == "idempotency-conflict"
        assert office.ask("POST", f"/v1/calls/{first.json['call_id']}/cancel").status == 200
    assert office.record_of(first.json["application_id"])["return_code"] == ReturnCode.CANCELLED


def test_a_start_that_is_refused_leaves_its_key_free(office: Office):
    assert office.start("inbound", key="free-again").code == "wrong-direction"
    with telephone(status=486):
        started = office.start("waits", key="free-again")
        assert started.status == 202, started
        office.record_of(started.json["application_id"])


def test_a_busy_telephone_stands_in_the_application_record(office: Office):
    with telephone(status=486):
        started = office.start()
        assert started.status == 202
        record = office.record_of(started.json["application_id"])
    assert (record["return_code"], record["return_code_name"]) == (ReturnCode.BUSY, "busy")


@pytest.mark.parametrize(
    ("service", "more", "status", "code"),
    [
        ("inbound", {}, 409, "wrong-direction"),
        ("away", {}, 503, "application-not-there"),
        ("svc_" + "0123456789abcdef" * 2, {}, 404, "service-missing"),
        ("waits", {"from": "+441632960999"}, 409, "caller-not-yours"),
        ("waits", {"to": "+4930123456"}, 409, "destination-not-allowed"),
        ("waits", {"to": "+442079460000"}, 409, "no-route"),
        ("waits", {"to": "somebody"}, 422, "malformed"),
        ("waits", {"from": "me"}, 422, "malformed"),
        ("svc", {}, 422, "malformed"),
        ("waits", {"arguments": "x" * 5001}, 422, "fields-wrong"),
    ],
)
def test_a_call_that_may_not_be_is_refused_and_says_why(
    office: Office, service: str, more: dict[str, str], status: int, code: str
):
    answer = office.start(service, **more)
    assert (answer.status, answer.code) == (status, code)
    assert office.ask("GET", "/v1/live-calls").json["items"] == []


def test_only_calls_that_ask_pages_are_redirected(office: Office):
    with telephone():
        call = office.start("greets").json["call_id"]
        office.until(call, "up")
        refused = office.ask("POST", f"/v1/calls/{call}/redirect", {"page": "https://example.org/next"})
        assert (refused.status, refused.code) == (409, "redirect-needs-pages")
        office.ask("POST", f"/v1/calls/{call}/cancel")


def test_a_live_call_of_another_account_answers_exactly_as_one_that_never_was(office: Office):
    with telephone():
        call = office.start().json["call_id"]
        office.until(call, "up")
        act = {"action": {"action": "hang_up"}}
        for method, path, body in (
            ("GET", "status", None), ("POST", "cancel", None), ("POST", "actions", act),
            ("POST", "redirect", {"page": "https://example.org/next"}),
        ):  # fmt: skip
            foreign, random = (
                office.ask(method, f"/v1/calls/{each}/{path}", body, secret=office.stranger.secret)
                for each in (call, CallId.new())
            )
            assert told(foreign) == told(random)
            assert (foreign.status, foreign.code) == (404, "call-missing")
        assert office.ask("GET", "/v1/live-calls", secret=office.stranger.secret).json["items"] == []
        foreign, random = (
            office.ask("POST", "/v1/calls", {"service_id": service, "to": CALLED}, secret=office.stranger.secret)
            for service in (office.services["waits"], str(ServiceId.new()))
        )
        assert told(foreign) == told(random)
        assert office.until(call, "up")
        office.ask("POST", f"/v1/calls/{call}/cancel")


def test_a_credential_that_only_reads_starts_and_ends_nothing(office: Office):
    body = {"label": "reader", "scopes": ["records:list"]}
    reader = office.ask("POST", "/v1/credentials", body).json["secret"]
    for path in ("/v1/calls", f"/v1/calls/{CallId.new()}/cancel"):
        answer = office.ask("POST", path, {"service_id": office.services["waits"], "to": CALLED}, secret=reader)
        assert (answer.status, answer.code) == (403, "not-permitted")
    assert office.ask("GET", "/v1/live-calls", secret=reader).status == 200


def test_no_number_is_in_the_diagnostics(office: Office):
    text = "".join(path.read_text() for path in office.house.settings.logs_dir.glob("*.log"))
    assert "api.request" in text
    for number in (CALLED, NUMBER):
        assert number[1:] not in text
