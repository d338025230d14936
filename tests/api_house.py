"""A running cloud without telephones for tests of the API: real processes, real TLS, records kept through custody."""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import json
import math
import shutil
import ssl
import struct
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from sealwire.config import Settings
from sealwire.custody.categories import ApplicationRecord, CallRecord, Recording
from sealwire.custody.lifecycle import Custody, connect_custody
from sealwire.doors.first_start import operator_credential_file
from sealwire.doors.supervisor import API, KEEPER, SEQUENCER, WORKER, Cloud, Part
from sealwire.ground.clock import SystemClock
from sealwire.ground.datafolder import DataFolder
from sealwire.ground.postgres.cluster import dsn
from sealwire.vocabulary import AccountId, ApplicationId, CallId, Day, HangupCause, Party, RecordId, ServiceId
from tests import ports

PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API))
CALLEE = "+441632960100"
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What came back. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the problem document this must be, after checking its form."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem = self.json
        assert problem["status"] == self.status
        assert problem["instance"] == self.headers["x-request-id"]
        assert problem["title"]
        assert problem["detail"]
        return str(problem["type"]).removeprefix("urn:sealwire:problem:")


@dataclass(frozen=True)
class KeptCall:
    """One call that was kept, with its recording."""

    call: CallId
    record: RecordId
    recording: RecordId
    caller: str
    audio: bytes


@dataclass
class Tenant:
    """An account with an agreement, its owner's secret and what it holds."""

    account: AccountId
    secret: str
    calls: list[KeptCall] = field(default_factory=list)


@dataclass
class ApiHouse:
    """The running cloud, and a client that speaks to it as a stranger would."""

    settings: Settings
    cloud: Cloud
    context: ssl.SSLContext
    operator: str

    def connect(self, timeout: float = 30) -> http.client.HTTPSConnection:
        host, _, port = self.settings.api_listen.rpartition(":")
        return http.client.HTTPSConnection(host, int(port), context=self.context, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        *,
        secret: str | None = None,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        sent = dict(headers or {})
        if secret is not None:
            sent["Authorization"] = f"Bearer {secret}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=sent)
            return read_answer(connection.getresponse())
        finally:
            connection.close()

    def in_custody(self, act: Callable[[Custody], Awaitable[T]]) -> T:
        """Do something with custody as the switchboard would, on the service's own role."""

        async def run() -> T:
            custody = await connect_custody(self.settings, dsn(self.settings, "sealwire_service"), SystemClock())
            try:
                return await act(custody)
            finally:
                await custody.close()

        return asyncio.run(run())

    def tenant(self, name: str) -> Tenant:
        """A new account that has accepted the agreement."""
        made = self.ask("POST", "/v1/accounts", secret=self.operator, body={"name": name})
        assert made.status == 201, made
        owner = made.json["credential"]["secret"]
        standard = self.ask("GET", "/v1/agreements/standard", secret=owner).json
        accepted = self.ask("POST", "/v1/agreements", secret=owner, body={"sha256": standard["sha256"]})
        assert accepted.status == 201, accepted
        return Tenant(AccountId.parse(made.json["account"]["id"]), owner)

    def keep_call(self, tenant: Tenant, caller: str, *, seconds: float = 0.5, ago_days: float = 0) -> KeptCall:
        """Keep one call with its recording, as the switchboard does when a call has ended."""

        async def keep(custody: Custody) -> KeptCall:
            audio = tone(seconds)
            call, ended = CallId.new(), dt.datetime.now(dt.UTC) - dt.timedelta(days=ago_days)
            started = ended - dt.timedelta(seconds=seconds)
            parties = {"caller": Party(caller), "callee": Party(CALLEE)}
            media = await custody.begin_media(tenant.account, Recording, starts_at_day=Day.of(started))
            for at in range(0, len(audio), 320):
                await media.write(audio[at : at + 320])
            recording = Recording(
                call_id=call, started_at=started, duration_ms=int(seconds * 1000), audio_sha256=await media.finish(),
                **parties,
            )  # fmt: skip
            kept = await custody.keep(tenant.account, recording, media=media)
            record = CallRecord(
                call_id=call, direction="in", started_at=started, answered_at=started, ended_at=ended,
                hangup_cause=HangupCause.NORMAL, digits="5", **parties,
            )  # fmt: skip
            kept_call = await custody.keep(tenant.account, record)
            return KeptCall(call, kept_call.record, kept.record, caller, audio)

        tenant.calls.append(self.in_custody(keep))
        return tenant.calls[-1]

    def keep_run(self, tenant: Tenant, call: KeptCall, service: str) -> str:
        """Keep the application record of such a call; its id."""
        ended = dt.datetime.now(dt.UTC)
        record = ApplicationRecord(
            application_id=ApplicationId.new(), call_id=call.call, service_id=ServiceId.parse(service), kind="pages",
            direction="inbound", started_at=ended, ended_at=ended, return_code=0, extra_legs=0, speech_seconds=0,
            cost_millicents=0, arguments="", parameters="",
        )  # fmt: skip

        async def keep(custody: Custody) -> None:
            await custody.keep(tenant.account, record)

        self.in_custody(keep)
        return str(record.application_id)

    def cluster_rows(self, statement: str) -> list[Any]:
        """Rows as the database's owner sees them."""

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self.cloud.cluster.dsn())
            try:
                return list(await connection.fetch(statement))
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def log_lines(self) -> list[dict[str, Any]]:
        """The API's diagnostics."""
        lines = (self.settings.logs_dir / "api.log").read_text().splitlines()
        return [json.loads(line) for line in lines]


def read_answer(response: http.client.HTTPResponse) -> Answer:
    """A response read to its end."""
    body = response.read()
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def tone(seconds: float) -> bytes:
    """A 440 Hz tone as 8 kHz, 16 bit, one channel."""
    samples = (int(12000 * math.sin(2 * math.pi * 440 * at / 8000)) for at in range(int(8000 * seconds)))
    return b"".join(struct.pack("<h", sample) for sample in samples)


@contextmanager
def open_api_house(
    *, parts: tuple[tuple[Part, ...], ...] = PARTS, secrets: Mapping[str, str] | None = None, **chosen: Any
) -> Iterator[ApiHouse]:
    """Start the cloud on a folder of its own, with settings of choice and secrets the operator laid down; stop it."""
    folder = Path(tempfile.mkdtemp(prefix="sealwire-api-")).resolve()
    settings = Settings(**({"api_listen": f"127.0.0.1:{ports.take()}"} | chosen), data_dir=folder)
    with DataFolder(settings):  # makes what it needs in there
        for name, secret in (secrets or {}).items():
            (settings.secrets_dir / name).write_text(secret)
    cloud = Cloud(settings, parts=parts)
    try:
        asyncio.run(cloud.start())
        assert cloud.certificates is not None
        context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
        yield ApiHouse(settings, cloud, context, operator_credential_file(settings).read_text().strip())
    finally:
        asyncio.run(cloud.stop())
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def house() -> Iterator[ApiHouse]:
    """A cloud for one test module."""
    with open_api_house() as running:
        yield running
