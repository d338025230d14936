"""`bench control`: how long a customer's page and a customer's program wait for the cloud, beside calls that are up.

Both are over TLS on loopback, as a customer's are: a page's round trip runs from its answer to the next request that
this answer led to, a command's from its sending to its result. Neither holds work of the engine's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sealwire.doors.bench import customer
from sealwire.doors.bench.beside import calls_beside
from sealwire.doors.bench.calling import CallsFailed, frames_lost, percentile, run_callers
from sealwire.doors.bench.scratch import Scratch, lift_limits
from sealwire.doors.demo.customer import keys
from sealwire.governance import accounts, service_book
from sealwire.governance.programs import book
from sealwire.governance.programs.authority import program_authority
from sealwire.governance.service_book import ServiceSettings
from sealwire.governance.services import Direction, Logic, Pages, Program
from sealwire.ground.local_ca import authority_file
from sealwire.ground.process import port_answers
from sealwire.ground.secretbox import SecretBox
from sealwire.vocabulary import E164

PAGES_PORT = 15345
PAGES, PROGRAM = E164("+441632960110"), E164("+441632960120")
CALLS_PER_SECOND = 5.0
CUSTOMER_S_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure: calls beside, and calls that are led by pages, then as many by a program."""

    beside: int
    led: int

    @property
    def speak_seconds(self) -> float:
        """Long enough for both, one after the other."""
        each = self.led / CALLS_PER_SECOND + customer.STEPS * (customer.PAUSE_S + 0.05) + 3
        return 2 * each + 50


async def measure(scratch: Scratch, plan: Plan, certificates: Path) -> dict[str, Any]:
    """Milliseconds."""
    await lift_limits(scratch)
    await _connect_number(scratch, PAGES, Pages(first_page=f"https://127.0.0.1:{PAGES_PORT}/first"))
    await _connect_number(scratch, PROGRAM, Program(application=customer.APPLICATION))
    environment = await _register_program(scratch, certificates)
    async with calls_beside(scratch, calls=plan.beside, speak_seconds=plan.speak_seconds):
        async with _customer("pages", "--port", str(PAGES_PORT), "--folder", str(certificates)) as pages:
            await _until_listening(f"127.0.0.1:{PAGES_PORT}")
            await _lead(scratch, PAGES, plan)
        async with _customer("program", environment=environment) as program:
            await asyncio.sleep(2)  # it connects
            await _lead(scratch, PROGRAM, plan)
    wanted = plan.led * customer.STEPS
    if min(len(pages), len(program)) < wanted:
        raise CallsFailed(f"{len(pages)} page and {len(program)} command round trips came of {wanted} each")
    return {
        "bench": "control",
        "calls_beside": plan.beside,
        "page_p99_ms": round(percentile(pages, 0.99), 1),
        "page_median_ms": round(percentile(pages, 0.5), 1),
        "page_round_trips": len(pages),
        "command_p99_ms": round(percentile(program, 0.99), 1),
        "command_median_ms": round(percentile(program, 0.5), 1),
        "command_round_trips": len(program),
        "lost_frames": frames_lost(scratch),
        "load_average": round(os.getloadavg()[0], 2),
    }


async def _connect_number(scratch: Scratch, number: E164, logic: Logic) -> None:
    account, clock = scratch.account, scratch.custody.clock
    settings = ServiceSettings(name="bench", direction=Direction.INBOUND, logic=logic)
    async with scratch.custody.database.account(account) as connection:
        entry, _ = await service_book.create_service(
            connection, account, settings, by=None, box=SecretBox.open(scratch.settings), clock=clock
        )
        await accounts.assign_number(connection, account, number, service=entry.service.service, clock=clock)


async def _register_program(scratch: Scratch, folder: Path) -> dict[str, str]:
    account, clock = scratch.account, scratch.custody.clock
    request = keys.make_program_request(folder)
    async with scratch.custody.database.account(account) as connection:
        program = await book.register(
            connection, account, label="bench", request=request, by=scratch.principal.credential,
            authority=program_authority(scratch.settings, clock=clock), clock=clock,
        )  # fmt: skip
        (folder / "program.pem").write_text((await book.find(connection, account, program)).certificate)
    return {
        "SEALWIRE_UAS": scratch.settings.uas_listen,
        "SEALWIRE_UAS_CERTIFICATE": str(folder / "program.pem"),
        "SEALWIRE_UAS_KEY": str(folder / "program.key"),
        "SEALWIRE_UAS_AUTHORITY": str(authority_file(scratch.settings)),
    }


async def _lead(scratch: Scratch, number: E164, plan: Plan) -> None:
    """Calls whose customer says what happens; they are hung up by it."""
    await run_callers(
        f"sip:{number}@{scratch.settings.sip_listen}", "--calls", str(plan.led),
        "--calls-per-second", str(CALLS_PER_SECOND), "--speak-seconds", "120",
    )  # fmt: skip


@asynccontextmanager
async def _customer(
    kind: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> AsyncIterator[list[float]]:
    """Runs within; its round trips are in the list afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", customer.__name__, kind, *arguments, env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    round_trips: list[float] = []
    try:
        yield round_trips
        process.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(process.communicate(), CUSTOMER_S_MAX)
        round_trips += json.loads(out)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _until_listening(address: str) -> None:
    for _ in range(int(CUSTOMER_S_MAX * 10)):
        if port_answers(address):
            return
        await asyncio.sleep(0.1)
    raise CallsFailed("the customer's pages did not start")


def prepare(folder: Path) -> Path:
    """The certificate of the customer's pages, made before the cloud starts, which has to trust it."""
    return keys.make_pages_certificate(folder)


__all__ = ["Plan", "measure", "prepare"]
