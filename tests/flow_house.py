"""A whole cloud whose callers and carriers are SIPp scenarios (promises/sipp): each flow has a number of its own."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count, cycle
from pathlib import Path
from typing import Any

from sealwire.config import Settings
from sealwire.doors.first_start import operator_credential_file
from sealwire.doors.supervisor import API, KEEPER, SEQUENCER, SWITCHBOARD, WORKER, Cloud
from tests import ports
from tests.api_house import Answer, ApiHouse, Tenant
from tests.engine_house import SCENARIOS

PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, SWITCHBOARD))
_FIRST = ports.take(320)
API_PORT, UAS_PORT, SIP_PORT, PAGES_PORT = range(_FIRST, _FIRST + 40, 10)
STAYS = [{"action": "pause", "seconds": 600}]
PURPOSE = {"Sealwire-Purpose": "quality-assurance"}
CALLER = "+441632960321"
"""Who calls in the scenarios."""
_ports, _media_ports = cycle(range(_FIRST + 40, _FIRST + 100)), cycle(range(_FIRST + 100, _FIRST + 200, 4))
_sound, _numbers = f"{_FIRST + 200}-{_FIRST + 319}", count(700)


@dataclass(frozen=True)
class Left:
    """What a call has left: its records, over the API."""

    run: dict[str, Any]
    call: dict[str, Any]
    content: dict[str, Any]
    recordings: list[dict[str, Any]]

    @property
    def outcome(self) -> tuple[str, int, int]:
        """Direction, cause and return code; both records must be of the same direction."""
        assert self.run["direction"] == self.call["direction"]
        return self.call["direction"], self.call["hangup_code"], self.run["return_code"]

    @property
    def was_answered(self) -> bool:
        return self.call["answered_at"] is not None


@dataclass
class Far:
    """A SIPp scenario that waits for one call behind a trunk of the account."""

    process: subprocess.Popen[bytes]
    number: str

    def code(self) -> int:
        return self.process.wait(60)


@dataclass
class Yard:
    """The cloud, an account that may call, and what its pages say and were asked."""

    house: ApiHouse
    tenant: Tenant
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, *, operator: bool = False, status: int = 0) -> Answer:
        secret = self.house.operator if operator else self.tenant.secret
        answer = self.house.ask(method, path, secret=secret, body=body, headers=PURPOSE)
        assert not status or answer.status == status, answer
        return answer

    # --- what is set up ------------------------------------------------------------------------------------

    def service(self, *actions: dict[str, Any], records: bool = False, **more: Any) -> tuple[str, str]:
        """A service whose page says this: its id, and a number that leads to it."""
        number = f"+441632960{next(_numbers)}"
        self.answers[f"/{number[-3:]}"] = {"actions": list(actions)}
        logic = {"kind": "pages", "first_page": f"http://127.0.0.1:{PAGES_PORT}/{number[-3:]}"}
        body = {"name": number[-3:], "logic": logic, "recording": {"whole_call": records}, **more}
        made = self.ask("POST", "/v1/services", body, status=201).json["id"]
        numbers = f"/v1/accounts/{self.tenant.account}/numbers"
        self.ask("POST", numbers, {"number": number, "service": made}, operator=True, status=201)
        return made, number

    @contextmanager
    def far(self, scenario: str, folder: Path, **trunk: str) -> Iterator[Far]:
        """A trunk of one number, and behind it this scenario."""
        number, port = f"+442079460{next(_numbers)}", next(_ports)
        body = {"name": scenario, "host": "127.0.0.1", "port": port, "rules": [{"prefix": number}], **trunk}
        self.ask("POST", "/v1/trunks", body, status=201)
        with sipp(scenario, folder, port=port) as process:
            until(lambda: not is_free(port), 10)
            yield Far(process, number)

    @contextmanager
    def caller(self, scenario: str, number: str, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """This scenario calls the number."""
        to = (*arguments, "-s", number, f"127.0.0.1:{SIP_PORT}")
        with sipp(scenario, folder, *to, port=next(_ports)) as process:
            yield process

    def start(self, service: str, far: Far) -> str:
        """An outbound call; its id."""
        body = {"service_id": service, "to": far.number}
        return str(self.ask("POST", "/v1/calls", body, status=202).json["call_id"])

    # --- what is seen --------------------------------------------------------------------------------------

    def listed(self, what: str) -> list[dict[str, Any]]:
        return list(self.ask("GET", f"/v1/{what}", status=200).json["items"])

    def live(self, service: str) -> list[dict[str, Any]]:
        return [each for each in self.listed("live-calls") if each["service_id"] == service]

    def until_live(self, service: str, true: Callable[[dict[str, Any]], bool], seconds: float = 20) -> dict[str, Any]:
        """The only call of this service, once this is true of its first leg."""
        return until(lambda: next((each for each in self.live(service) if true(each["channels"][0])), None), seconds)

    def left(self, service: str, seconds: float = 30) -> Left:
        """What the one call of this service has left; it is up no longer."""
        (run,) = until(lambda: self.listed(f"applications?service_id={service}"), seconds)
        until(lambda: not self.live(service), 5)
        call = self.ask("GET", f"/v1/calls/{run['call_id']}", status=200).json
        content = self.ask("GET", f"/v1/calls/{run['call_id']}/content", status=200).json["content"]
        return Left(run, call, content, self.listed(f"recordings?call_id={run['call_id']}"))

    def audio(self, recording: dict[str, Any]) -> bytes:
        """The opened audio, without its header."""
        return self.ask("GET", f"/v1/recordings/{recording['id']}/audio", status=200).body[44:]

    def pids(self) -> list[int]:
        """The switchboard and its engine's workers."""
        first = self.house.cloud.child(SWITCHBOARD.name).pid
        assert first is not None
        children = [Path(f"/proc/{first}/task/{task.name}/children") for task in Path(f"/proc/{first}/task").iterdir()]
        return [first, *sorted(int(pid) for file in children for pid in file.read_text().split())]

    def said(self, event: str) -> int:
        """How often the switchboard's diagnostics tell of this."""
        text = (self.house.settings.logs_dir / "switchboard.log").read_text()
        return text.count(f'"event": "{event}"')


@contextmanager
def open_yard() -> Iterator[Yard]:
    """Start the cloud on a folder of its own, and stop it."""
    folder = Path(tempfile.mkdtemp(prefix="sealwire-flows-")).resolve()
    chosen = {
        "api_listen": f"127.0.0.1:{API_PORT}", "sip_listen": f"127.0.0.1:{SIP_PORT}",
        "uas_listen": f"127.0.0.1:{UAS_PORT}", "rtp_ports": _sound, "egress_allow": "127.0.0.0/8",
    }  # fmt: skip
    folder.joinpath("sealwire.toml").write_text("\n".join(f'{name} = "{value}"' for name, value in chosen.items()))
    settings = Settings(data_dir=folder, **chosen)
    cloud = Cloud(settings, parts=PARTS)
    try:
        asyncio.run(cloud.start())
        assert cloud.certificates is not None
        context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
        house = ApiHouse(settings, cloud, context, operator_credential_file(settings).read_text().strip())
        yard = Yard(house, house.tenant("Flows"))
        yard.ask("PUT", "/v1/limits/destinations", {"items": [{"destination": "GB"}]}, status=200)
        with _pages(yard):
            yield yard
    finally:
        asyncio.run(cloud.stop())
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _pages(yard: Yard) -> Iterator[None]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            yard.asked.append((self.path, asked))
            body = json.dumps(yard.answers.get(self.path, {"actions": []})).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", PAGES_PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def sipp(scenario: str, folder: Path, *arguments: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """SIPp with one of our scenarios, for one call; a capture it plays is `call.pcap` in the folder."""
    file = next(file for file in (SCENARIOS, SCENARIOS.parent) if (file / f"{scenario}.xml").exists())
    process = subprocess.Popen(
        ["sipp", "-sf", str(file / f"{scenario}.xml"), "-m", "1", "-i", "127.0.0.1", "-mi", "127.0.0.1",
         "-p", str(port), "-mp", str(next(_media_ports)), "-nostdin", *arguments],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def until(found: Callable[[], Any], seconds: float) -> Any:
    """What this gives, once it gives something."""
    ends_s = time.monotonic() + seconds
    while not (seen := found()):
        assert time.monotonic() < ends_s, "it did not come about"
        time.sleep(0.1)
    return seen


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
