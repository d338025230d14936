"""The whole way as a customer goes it: register over the API, route a number, be called, read the record.

Every process is real and its own: the cloud's, the program's and the telephone's.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sealwire.config import Settings
from sealwire.doors.caller import Caller, CallPlan
from sealwire.doors.first_start import operator_credential_file
from sealwire.doors.supervisor import API, KEEPER, SEQUENCER, SWITCHBOARD, WORKER, Cloud
from tests import ports
from tests.api_house import ApiHouse, Tenant
from tests.telephony_house import free_rtp_ports, free_sip_port
from tests.unit.programs.house import ROOT, STAGE, StageProgram, new_request

pytestmark = pytest.mark.slow
STAYS, MENU, CALLER = "+441632960771", "+441632960772", "+441632960123"
PARTS = ((KEEPER,), (SEQUENCER,), (WORKER, API, SWITCHBOARD))


@dataclass
class Customer:
    """An account, its registered program, and a number that leads there; seen through the API only."""

    api: ApiHouse
    tenant: Tenant
    folder: Path

    async def ask(self, method: str, path: str, body: Any = None, *, secret: str | None = None) -> Any:
        answer = await asyncio.to_thread(self.api.ask, method, path, secret=secret or self.tenant.secret, body=body)
        assert answer.status < 300, answer
        return answer.json if answer.body else None

    async def register(self) -> dict[str, str]:
        """What the program's environment must hold."""
        key, request = new_request()
        made = await self.ask("POST", "/v1/programs", {"label": "test", "request": request})
        environment = {"SEALWIRE_UAS": made["server"], "PYTHONPATH": str(ROOT / "sdk/src")}
        contents = {"CERTIFICATE": made["certificate"], "KEY": key.decode(), "AUTHORITY": made["authority"]}
        for name, content in contents.items():
            (self.folder / name).write_text(content)
            environment[f"SEALWIRE_UAS_{name}"] = str(self.folder / name)
        return environment

    async def answer_with(self, application: str, number: str) -> None:
        """A service that this application of the program runs, and a number that leads to it."""
        logic = {"kind": "program", "application": application}
        service = await self.ask("POST", "/v1/services", {"name": application, "direction": "inbound", "logic": logic})
        path = f"/v1/accounts/{self.tenant.account}/numbers"
        await self.ask("POST", path, {"number": number, "service": service["id"]}, secret=self.api.operator)

    async def record_of_run(self, *, seen: int) -> dict[str, Any]:
        """The newest application record, when there is one more than were seen."""
        async with asyncio.timeout(20):
            while len(items := (await self.ask("GET", "/v1/applications"))["items"]) <= seen:
                await asyncio.sleep(0.1)
        return dict(items[0])


@asynccontextmanager
async def customer() -> AsyncIterator[Customer]:
    folder = Path(tempfile.mkdtemp(prefix="sealwire-programs-")).resolve()
    folder.chmod(0o711)
    settings = Settings(
        data_dir=folder / "data", api_listen=f"127.0.0.1:{ports.take()}", uas_listen=f"127.0.0.1:{ports.take()}",
        sip_listen=f"127.0.0.1:{free_sip_port()}", rtp_ports=free_rtp_ports(),
    )  # fmt: skip
    try:
        async with Cloud(settings, parts=PARTS) as cloud:
            assert cloud.certificates is not None
            context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
            api = ApiHouse(settings, cloud, context, operator_credential_file(settings).read_text().strip())
            yield Customer(api, await asyncio.to_thread(api.tenant, "Programs"), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def start(script: Path, environment: dict[str, str]) -> StageProgram:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", str(script), env=os.environ | environment, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    program = StageProgram(process)
    program.reading = asyncio.ensure_future(program.read())
    return program


def plan(number: str, settings: Settings, **changes: Any) -> CallPlan:
    to = f"sip:{number}@{settings.sip_listen}"
    return CallPlan(to=to, caller=CALLER, digits="", end_digit="", seconds_max=60, **changes)


async def test_registered_routed_called_and_killed_the_record_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    async with customer() as it:
        environment, settings = await it.register(), it.api.settings
        await it.answer_with("stays", STAYS)
        await it.answer_with("menu", MENU)
        program = await start(STAGE, environment)
        await program.says("connected as uas_")

        # 1 a call that the program ends
        report = await Caller(plan(MENU, settings)).run()
        first = await it.record_of_run(seen=0)
        assert (report.answered, report.hung_up_by) == (True, "far end")
        assert (first["kind"], first["return_code"]) == ("program", 7)
        assert first["speech_seconds"] >= 1

        # 2 kill -9 in mid-call
        calling = asyncio.ensure_future(Caller(plan(STAYS, settings)).run())
        await program.says("up")
        await asyncio.sleep(1)
        killed_at = time.monotonic()
        program.process.kill()
        report = await calling
        second = await it.record_of_run(seen=1)
        with capsys.disabled():
            print(f"\nBYE {report.ended_at_s - killed_at:.3f} s after kill -9, return code {second['return_code']}")
        assert report.hung_up_by == "far end"
        assert report.ended_at_s - killed_at < 2
        assert (second["return_code"], second["return_code_name"]) == (-10, "program-lost")

        # 3 nobody is connected
        report = await Caller(plan(MENU, settings)).run()
        assert not report.answered
        assert (await it.record_of_run(seen=2))["return_code_name"] == "application-missing"

        # 4 another one is connected, and revoked over the API in mid-call
        program = await start(STAGE, environment)
        await program.says("connected as uas_")
        calling = asyncio.ensure_future(Caller(plan(STAYS, settings)).run())
        await program.says("up")
        (registered,) = (await it.ask("GET", "/v1/programs"))["items"]
        revoked_at = time.monotonic()
        await it.ask("DELETE", f"/v1/programs/{registered['id']}")
        report = await calling
        assert report.ended_at_s - revoked_at < 2
        assert (await it.record_of_run(seen=3))["return_code"] == -10
        assert await program.ends() != 0
