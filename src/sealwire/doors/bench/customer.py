"""A customer for `bench control`: its pages and its program, in a process of its own, which measure round trips.

    python -m sealwire.doors.bench.customer pages --port PORT --folder DIR
    python -m sealwire.doors.bench.customer program

Each call is led through STEPS steps with a pause between them. Of pages: from the moment a page has answered to the
arrival of the next request, which that answer led to. Of a program: from sending a command to its result. At SIGTERM
the round trips are printed, in ms, as one JSON list.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from sealwire.doors.asgi import Receive, Send, answer, read_body
from sealwire_sdk import pages
from sealwire_sdk.client.models import Answer, HangUp
from sealwire_sdk.uas import Call, Program

STEPS = 50
PAUSE_S = 0.1
APPLICATION = "bench"


class Pages:
    """Every page names the next one, after an action that is done at once; the last one hangs up."""

    def __init__(self, address: str) -> None:
        self.round_trips_ms: list[float] = []
        self._address = address
        self._asked: dict[str, int] = {}
        self._answered_s: dict[str, float] = {}

    async def __call__(self, _: dict[str, Any], receive: Receive, send: Send) -> None:
        arrived_s = time.monotonic()
        call = json.loads(await read_body(receive))["application_id"]
        step = self._asked[call] = self._asked.get(call, 0) + 1
        if step > 2:  # the first answer also leads to the call being answered
            self.round_trips_ms.append((arrived_s - self._answered_s[call]) * 1000)
        await asyncio.sleep(PAUSE_S)
        is_last = step > STEPS + 1
        page = pages.answer(HangUp()) if is_last else pages.answer(Answer(), next_page=f"{self._address}/{step}")
        self._answered_s[call] = time.monotonic()
        await answer(send, 200, page)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers, which would end this before it has told its figures."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve_pages(port: int, folder: Path) -> list[float]:
    """Until SIGTERM."""
    served = Pages(f"https://127.0.0.1:{port}")
    configuration = uvicorn.Config(
        served, host="127.0.0.1", port=port, ssl_certfile=folder / "pages.pem", ssl_keyfile=folder / "pages.key",
        log_level="error", lifespan="off", ws="none", timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = _Server(configuration)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, setattr, server, "should_exit", True)
    await server.serve()
    return served.round_trips_ms


async def run_program() -> list[float]:
    """Until SIGTERM; its settings are in the environment."""
    program, round_trips_ms = Program(), list[float]()

    @program.application(APPLICATION)
    async def bench(call: Call) -> int:
        await call.answer()
        for step in range(STEPS):
            await asyncio.sleep(PAUSE_S)
            began_s = time.monotonic()
            await call.set_parameters(f"step {step}")
            round_trips_ms.append((time.monotonic() - began_s) * 1000)
        await call.hang_up()
        return 0

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, program.stop)
    await program.serve()
    return round_trips_ms


def main() -> None:
    """Be the customer until told to stop."""
    parser = argparse.ArgumentParser(prog="sealwire.doors.bench.customer")
    parser.add_argument("kind", choices=["pages", "program"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path())
    given = parser.parse_args()
    serving = serve_pages(given.port, given.folder) if given.kind == "pages" else run_program()
    print(json.dumps(asyncio.run(serving)))


if __name__ == "__main__":
    main()
