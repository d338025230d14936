"""One of everything an account can have, made through the API of a whole cloud: with a switchboard, a telephone that
takes every call, pages that keep calls waiting, and a message centre. For tests that go through all operations.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import itertools
import json
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from uuid import uuid4

import pyrage

from sealwire.communications.accounting.billing import keep_charges
from sealwire.communications.accounting.port import Charge
from sealwire.communications.messages.centre import PASSWORD_FILE
from sealwire.custody.lifecycle import Custody
from sealwire.doors.api.resources.programs import EXAMPLE_REQUEST
from sealwire.doors.supervisor import API, KEEPER, MESSENGER, SEQUENCER, SWITCHBOARD, WORKER
from sealwire.governance.principals import Scope
from sealwire.vocabulary import Party
from sealwire_sdk.instructions import InstructionKey, sign_instruction
from tests.api_house import Answer, ApiHouse, KeptCall, Tenant, open_api_house, tone

INSTRUCTION_KEY = InstructionKey.new("example.org/holdings")
PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, SWITCHBOARD, MESSENGER))
CALLED = "+441632960123"
CHARGES = [Charge("pstn-minute", 60, 1000, "t@1")]
PLENTY = {
    "day_cap_millicents": 10**12, "month_cap_millicents": 10**12, "calls_at_once": 1000, "setups_per_second": 1000,
    "refused_per_minute": 10**6, "premium_per_minute": 10**6, "short_calls_per_minute": 10**6,
}  # fmt: skip
SCOPES = [scope for scope in Scope if scope is not Scope.OPERATOR]


@dataclass(frozen=True)
class Ports:
    """Where the cloud and what surrounds it listen: ten ports from the first, and 200 for sound."""

    first: int
    sound: int

    @property
    def telephone(self) -> int:
        return self.first + 4

    @property
    def pages(self) -> int:
        return self.first + 7

    @property
    def settings(self) -> dict[str, str]:
        listen = [f"127.0.0.1:{self.first + each}" for each in range(6)]
        return {
            "api_listen": listen[0], "sip_listen": listen[1], "uas_listen": listen[3],
            "rtp_ports": f"{self.sound}-{self.sound + 199}", "egress_allow": "127.0.0.0/8",
            "smsc": f"smpp://bench@{listen[5]}",
        }  # fmt: skip


@dataclass(frozen=True)
class Holdings:
    """What an account has. `ids` are by the collection their addresses begin with; three calls are up: `live-calls`,
    which stays up while nobody ends it, and two for tests that send calls on or act on them.
    """

    tenant: Tenant
    number: str
    ids: dict[str, str]
    secrets: dict[Scope, str]
    moment: dt.datetime
    revoked: str

    @property
    def owner(self) -> str:
        return self.tenant.secret


@contextmanager
def open_whole_house(ports: Ports) -> Iterator[ApiHouse]:
    """Start a cloud with all of its parts, and what it calls and writes to."""
    with (
        _message_centre(ports.first + 5),
        _telephone(ports.telephone),
        _pages(ports.pages),
        open_api_house(parts=PARTS, secrets={PASSWORD_FILE: "bench\n"}, **ports.settings) as running,
    ):
        yield running


def furnish(house: ApiHouse, ports: Ports, name: str, number: str) -> Holdings:
    """An account with one of everything, in the state in which each can be looked at and opened."""
    return _Furnishing(house, ports, house.tenant(name), number).furnish()


def wav_file(seconds: float = 0.2) -> bytes:
    """A short sound as a media file."""
    written = BytesIO()
    with wave.open(written, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(tone(seconds))
    return written.getvalue()


def signed_instruction(account: str) -> str:
    """An instruction about this account's retention, in words that were never used before."""
    ground = f"GDPR Art. 28(3)(a), policy {uuid4()}"
    return sign_instruction(INSTRUCTION_KEY, account=account, ground=ground, retention=[("recording", 0, 7)])


def key_pair() -> str:
    """The public half of a new age key."""
    return str(pyrage.x25519.Identity.generate().to_public())


class _Furnishing:
    """The making of it, one thing after the other."""

    def __init__(self, house: ApiHouse, ports: Ports, tenant: Tenant, number: str) -> None:
        self._house, self._ports, self._tenant, self._number = house, ports, tenant, number
        self._page = f"http://127.0.0.1:{ports.pages}/wait"
        self._ids: dict[str, str] = {"accounts": str(tenant.account)}

    def furnish(self) -> Holdings:
        """All of it; returns when what takes a moment has come."""
        self._configuration()
        secrets = {scope: self._credential(scope)["secret"] for scope in SCOPES}
        gone = self._credential(*SCOPES)
        self._ask("DELETE", f"/v1/credentials/{gone['id']}")
        kept, erased, to_hold = (self._house.keep_call(self._tenant, self._number) for _ in range(3))
        self._ids["call-to-hold"] = str(to_hold.record)
        self._records(kept)
        self._webhooks()
        self._ids["erasures"] = self._made("/v1/erasures", {"ground": "instruction", "call": str(erased.call)})
        until = (dt.datetime.now(dt.UTC).date() + dt.timedelta(days=400)).isoformat()
        hold = {"kind": "legal-hold", "reason": "litigation", "until": until}
        self._ids["holds"] = self._made("/v1/holds", {**hold, "records": [self._ids["recordings"]]})
        self._ids["certificates"] = self._ids["erasures"]
        self._closures()
        self._ids["reports"] = self._made("/v1/reports", {"of": "call-records", "format": "json"})
        for name in ("live-calls", "another-live-call", "redirected-live-call"):
            self._ids[name] = self.live_call()
        self._wait()
        rows = self._ask("GET", "/v1/calls").json["items"]
        return Holdings(
            self._tenant, self._number, self._ids, secrets, dt.datetime.fromisoformat(rows[0]["ended_at"]),
            gone["secret"],
        )  # fmt: skip

    def live_call(self) -> str:
        """A call that is up and waits."""
        started = self._ask("POST", "/v1/calls", {"service_id": self._ids["services"], "to": CALLED}).json
        call: str = started["call_id"]
        self._until(
            lambda: self._ask("GET", f"/v1/calls/{call}/status").json["channels"][0]["state"] == "up", "the call is up"
        )
        return call

    def _configuration(self) -> None:
        account, operator = self._tenant.account, self._house.operator
        self._ask("PUT", f"/v1/accounts/{account}/limits", PLENTY, secret=operator)
        self._ask("PUT", "/v1/limits/destinations", {"items": [{"destination": "GB"}]})
        self._ids["numbers"] = self._made(f"/v1/accounts/{account}/numbers", {"number": self._number}, secret=operator)
        logic = {"kind": "pages", "first_page": self._page}
        self._ids["services"] = self._made("/v1/services", {"name": "waits", "direction": "both", "logic": logic})
        trunk = {"name": "telephone", "host": "127.0.0.1", "port": self._ports.telephone, "transport": "udp"}
        self._ids["trunks"] = self._made("/v1/trunks", trunk)
        self._ask("POST", "/v1/instruction-keys", {"vkey": INSTRUCTION_KEY.vkey})
        self._ids["instructions"] = self._made("/v1/instructions", {"note": signed_instruction(str(account))})
        self._ids["programs"] = self._made("/v1/programs", {"label": "x", "request": EXAMPLE_REQUEST})
        key = key_pair()
        self._ids["recipients"] = self._made("/v1/recipients", {"public_key": key, "label": "x"})
        self._ids["credentials"] = self._credential(Scope.READ)["id"]
        headers = {"Content-Type": "audio/wav", "Sealwire-Media-Name": "welcome.wav"}
        self._ids["media"] = self._ask("POST", "/v1/media", wav_file(), headers=headers).json["id"]

    def _records(self, kept: KeptCall) -> None:
        self._ids |= {"calls": str(kept.record), "recordings": str(kept.recording), "call": str(kept.call)}
        self._ids["applications"] = self._house.keep_run(self._tenant, kept, self._ids["services"])

        async def bill(custody: Custody) -> None:
            await keep_charges(
                custody, self._tenant.account, CHARGES, call=kept.call, message=None, destination=Party(CALLED),
                ended_at=dt.datetime.now(dt.UTC),
            )  # fmt: skip

        self._house.in_custody(bill)
        self._ids["billing-records"] = self._ask("GET", "/v1/billing-records").json["items"][0]["id"]
        message = {"from": self._number, "to": CALLED, "text": "See you at nine."}
        self._ids["messages"] = self._made("/v1/messages", message)
        self._ids["opt-outs"] = self._made("/v1/opt-outs", {"sender": self._number, "person": "+441632960124"})
        asked = {"kind": "access", "identifier": "+441632960125", "recipient": key_pair()}
        self._ids["subject-requests"] = self._made("/v1/subject-requests", asked)

    def _closures(self) -> None:
        """One that was called off, and `closed`: one that went its way, of an account that was made for it."""
        sentence = "close this account and destroy its records"
        gone, begin = self._house.tenant(f"Closed, beside {self._tenant.account}"), {"confirmation": sentence}
        closed = self._ask("POST", "/v1/closures", begin | {"grace_days": 0}, secret=gone.secret).json
        self._ids["closed"] = closed["closure"]["id"]
        own = self._ask("POST", "/v1/closures", begin | {"grace_days": 30}).json["closure"]["id"]
        self._ask("POST", f"/v1/closures/{own}/cancel")
        self._ids["closures"] = own
        address = f"/v1/closures/{self._ids['closed']}/certificate"
        self._until(lambda: self._house.ask("GET", address, secret=self._house.operator).status == 200, address)

    def _webhooks(self) -> None:
        """One endpoint with a delivery on its way, and a delivery that ended because its endpoint was removed."""
        endpoint = {"address": "https://hooks.example/x", "events": ["outbound.suspended"]}
        kept, removed = (self._made("/v1/webhooks", endpoint) for _ in range(2))
        self._ids["webhooks"] = kept
        pending, ended = (
            self._ask("POST", f"/v1/webhooks/{each}/test").json["delivery_id"] for each in (kept, removed)
        )
        self._ids |= {"pending": pending, "webhook-deliveries": ended}
        self._ask("DELETE", f"/v1/webhooks/{removed}")

    def _wait(self) -> None:
        ids = self._ids
        waits: dict[str, Callable[[Answer], bool]] = {
            f"/v1/certificates/{ids['certificates']}": lambda answer: answer.status == 200,
            f"/v1/reports/{ids['reports']}": lambda answer: answer.json["state"] == "ready",
            f"/v1/webhook-deliveries/{ids['webhook-deliveries']}": lambda answer: answer.json["ended_at"] is not None,
            f"/v1/messages/{ids['messages']}": lambda answer: answer.json["state"] == "delivered",
        }
        for path, holds in waits.items():
            self._until(lambda path=path, holds=holds: holds(self._get(path)), path)  # type: ignore[misc]

    def _credential(self, *scopes: Scope) -> dict[str, Any]:
        body = {"label": "x", "scopes": [scope.value for scope in scopes], "default_purpose": "quality-assurance"}
        made: dict[str, Any] = self._ask("POST", "/v1/credentials", body).json
        return made

    def _made(self, path: str, body: dict[str, Any], *, secret: str | None = None) -> str:
        return str(self._ask("POST", path, body, secret=secret).json["id"])

    def _get(self, path: str) -> Answer:
        return self._house.ask("GET", path, secret=self._tenant.secret)

    def _ask(
        self, method: str, path: str, body: Any = None, *, secret: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        answer = self._house.ask(method, path, secret=secret or self._tenant.secret, body=body, headers=headers)
        assert answer.status // 100 == 2, (method, path, answer)
        return answer

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        ends_s = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < ends_s, what
            time.sleep(0.1)


@contextmanager
def _message_centre(port: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sealwire.doors.message_centre", str(port)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "listening" in process.stdout.readline()
        yield
    finally:
        process.kill()
        process.wait(10)


@contextmanager
def _pages(port: int) -> Iterator[None]:
    """A customer's web server whose every page makes the call wait, and ask again."""
    waits = [{"action": "pause", "seconds": 60}] * 20
    body = json.dumps({"actions": waits, "next_page": f"http://127.0.0.1:{port}/wait"}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _telephone(port: int) -> Iterator[None]:
    """A telephone that takes any number of calls and is silent in all of them, until it is told that they ended."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.bind(("127.0.0.1", port))
    threading.Thread(target=_answer_all, args=(listening, port), daemon=True).start()
    try:
        yield
    finally:
        listening.close()


def _answer_all(listening: socket.socket, port: int) -> None:
    """RFC 3261 as far as a far end needs it: 200 to every request but ACK; and silence, so that nobody misses us."""
    description = (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port + 4} RTP/AVP 8 101\r\n"
        "a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
    )
    far_ends: dict[str, int] = {}
    threading.Thread(target=_be_silent, args=(listening, far_ends), daemon=True).start()
    while True:
        try:
            data, sender = listening.recvfrom(65536)
        except OSError:
            return
        head, _, offer = data.decode(errors="replace").partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        method = first.partition(" ")[0]
        if method in ("ACK", "SIP/2.0"):
            continue
        call = next(line for line in lines if line.lower().startswith("call-id:"))
        if sound := re.search(r"^m=audio (\d+)", offer, re.MULTILINE):
            far_ends[call] = int(sound[1])
        if method in ("BYE", "CANCEL"):
            far_ends.pop(call, None)
        kept = [
            line for line in lines if line.lower().startswith(("via:", "from:", "call-id:", "cseq:", "record-route:"))
        ]
        to = next(line for line in lines if line.lower().startswith("to:"))
        kept += [to if "tag=" in to else f"{to};tag=telephone", f"Contact: <sip:x@127.0.0.1:{port}>"]
        body = description if method == "INVITE" else ""
        kept += ["Content-Type: application/sdp"] * bool(body) + [f"Content-Length: {len(body)}"]
        listening.sendto("\r\n".join(["SIP/2.0 200 OK", *kept, "", body]).encode(), sender)


def _be_silent(listening: socket.socket, far_ends: dict[str, int]) -> None:
    """A packet of silence a second for each call (RFC 3550; G.711 A-law, RFC 3551)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sound:
        sound.bind(("127.0.0.1", listening.getsockname()[1] + 4))
        for number in itertools.count():
            if listening.fileno() < 0:
                return
            packet = struct.pack("!BBHII", 0x80, 8, number % 65536, number * 8000 % 2**32, 1) + b"\xd5" * 160
            for port in list(far_ends.values()):
                sound.sendto(packet, ("127.0.0.1", port))
            time.sleep(1)
