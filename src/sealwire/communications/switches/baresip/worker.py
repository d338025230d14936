"""An engine worker: one native stack, one process, no secrets of its own and nothing to say to anybody else.

It is started by engine.py with one end of a socket pair and ends when that socket does. The native stack may
print numbers, so its output and every Python logger are shut before it starts; what remains is diagnostics.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
import time
from typing import Any

import msgspec
from baresip import BaresipError, Runtime, _native
from baresip.call import Call as NativeCall

from sealwire.communications.switches.baresip.line import Line
from sealwire.communications.switches.baresip.stack import Refusals, start_stack
from sealwire.communications.switches.baresip.stack_settings import StackSettings
from sealwire.communications.switches.port import LegGone
from sealwire.ground import diagnostics
from sealwire.ground.wire import Peer

TICK_SECONDS = 0.1
"""The rings of the engine hold 2 s; readers slower than 1 s lose audio."""
GOODBYE_SECONDS_MAX = 2.0


class Worker:
    """Holds the lines of this process and carries them to the switchboard and back."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._names = itertools.count(1)
        self._runtime: Runtime | None = None
        self._refusals: Refusals | None = None
        verbs = (self.start, self.ping, self.answer, self.refuse, self.play, self.stop_playing, self.hang_up)
        self.peer = Peer({verb.__name__: verb for verb in (*verbs, self.listen, self.stop_listening)})

    async def run(self, sock: socket.socket) -> None:
        """Serve until the switchboard closes the socket."""
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        ticking = asyncio.ensure_future(self._tick_forever())
        await self.peer.run(reader, writer)
        ticking.cancel()
        if self._runtime is not None:
            async with asyncio.timeout(GOODBYE_SECONDS_MAX):
                await self._runtime.close()  # says BYE to every caller: nobody is left to speak with them

    async def start(self, _: Peer, body: dict[str, Any]) -> None:
        settings = msgspec.convert(body, StackSettings)
        self._runtime = await start_stack(settings, self._arrived)
        self._refusals = Refusals()
        diagnostics.event("engine.listening", port=settings.sip_port)

    async def ping(self, _: Peer, __: dict[str, Any]) -> None:
        assert self._runtime is not None
        await self._runtime.cmd(_native.lib.BP_CMD_PING, timeout=4)

    async def answer(self, _: Peer, body: dict[str, Any]) -> None:
        await _native_step(self._line(body).call.answer())

    async def refuse(self, _: Peer, body: dict[str, Any]) -> None:
        call = self._line(body).call
        assert self._refusals is not None
        if not self._refusals.refuse(call, status=body["status"], sentence=body["sentence"]):
            await _native_step(call.reject())

    async def play(self, _: Peer, body: dict[str, Any]) -> None:
        self._line(body).play(body["pcm"], body["play"])

    async def stop_playing(self, _: Peer, body: dict[str, Any]) -> None:
        self._line(body).stop_playing()

    async def listen(self, _: Peer, body: dict[str, Any]) -> float:
        return self._line(body).start_listening()

    async def stop_listening(self, _: Peer, body: dict[str, Any]) -> tuple[bytes, float]:
        return self._line(body).stop_listening()

    async def hang_up(self, _: Peer, body: dict[str, Any]) -> None:
        await _native_step(self._line(body).call.hangup())

    def _line(self, body: dict[str, Any]) -> Line:
        line = self._lines.get(body["leg"])
        if line is None:
            raise LegGone
        return line

    def _arrived(self, call: NativeCall) -> None:
        leg = str(next(self._names))
        self._lines[leg] = Line(leg, call, self._report)
        callee = call.headers.get("To", "")
        self.peer.tell("arrived", leg=leg, caller=call.peer or "", callee=callee, headers=call.headers)

    def _report(self, name: str, **body: Any) -> None:
        if name == "ended":
            self._lines.pop(body["leg"], None)
        self.peer.tell(name, **body)

    async def _tick_forever(self) -> None:
        """One message a tick for all lines; it is answered, so a slow switchboard slows us and not our memory."""
        due = time.monotonic()
        while True:
            due = max(due + TICK_SECONDS, time.monotonic() - TICK_SECONDS)
            await asyncio.sleep(due - time.monotonic())
            heard = []
            for line in list(self._lines.values()):
                received = self._tick(line)
                if received is not None:
                    heard.append((line.leg, received))
            if heard:
                await self.peer.call("audio", heard=heard, read_at_s=time.monotonic())

    def _tick(self, line: Line) -> bytes | None:
        try:
            return line.tick()
        except Exception as error:
            diagnostics.failure("engine.line-failed", error, leg=line.leg)
            return None


async def _native_step(step: Any) -> None:
    try:
        await step
    except BaresipError as error:
        diagnostics.event("engine.step-refused", error=type(error).__name__)
        raise LegGone from None


def _be_discreet() -> None:
    """Keep numbers out of every stream and file: native output, Python loggers, core dumps."""
    diagnostics.start("engine-worker", os.fdopen(os.dup(2), "w"))
    logging.disable(logging.CRITICAL)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """`worker FD DIRECTORY`: the socket to serve, and where the native stack may keep its scraps."""
    _be_discreet()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C at the terminal is the switchboard's business
    tempfile.tempdir = sys.argv[2]
    try:
        asyncio.run(Worker().run(socket.socket(fileno=int(sys.argv[1]))))
    except Exception as error:
        diagnostics.failure("engine.worker-failed", error)
    os._exit(0)  # the switchboard is gone; its legs are cut, and there is nothing here to save


if __name__ == "__main__":
    main()
