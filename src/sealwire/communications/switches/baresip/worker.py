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
from baresip.errors import TransferFailed

from sealwire.communications.switches.baresip.arrivals import Arrivals, Asked
from sealwire.communications.switches.baresip.bridges import Bridges
from sealwire.communications.switches.baresip.line import Heard, Line
from sealwire.communications.switches.baresip.native import Refusals, SipThread
from sealwire.communications.switches.baresip.placing import Outbound, Placing, transfer_uri
from sealwire.communications.switches.baresip.stack import start_stack
from sealwire.communications.switches.baresip.stack_settings import StackSettings
from sealwire.communications.switches.port import CallNotPlaced, LegGone, TransferRefused
from sealwire.ground import diagnostics
from sealwire.ground.process import settle
from sealwire.ground.wire import Peer
from sealwire.vocabulary import HangupCause

TICK_SECONDS = 0.1
"""The rings of the engine hold 2 s; readers slower than 1 s lose audio."""
GOODBYE_SECONDS_MAX = 2.0
TRANSFER_SECONDS_MAX = 50.0


class Worker:
    """Holds the lines of this process and carries them to the switchboard and back."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._names = itertools.count(1)
        self._runtime: Runtime | None = None
        self._arrivals: Arrivals | None = None
        self._bridges = Bridges()
        self._media_timeout_s = 0
        self._leaving: set[asyncio.Future[None]] = set()
        verbs = (self.start, self.ping, self.dial, self.ring, self.answer, self.refuse, self.hang_up)
        sounds = (self.play, self.stop_playing, self.listen, self.stop_listening, self.send_digits)
        others = (self.transfer, self.bridge, self.unbridge)
        self.peer = Peer({verb.__name__: verb for verb in (*verbs, *sounds, *others)})

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
        self._sip = SipThread()
        self._refusals = Refusals(self._sip)
        self._arrivals = Arrivals(self._sip)
        self._outbound = Outbound(self._sip, self._runtime, sip_host=settings.sip_host)
        self._media_timeout_s = settings.media_timeout_s
        settle()
        diagnostics.event("engine.listening", port=settings.sip_port)

    async def ping(self, _: Peer, __: dict[str, Any]) -> None:
        assert self._runtime is not None
        await self._runtime.cmd(_native.lib.BP_CMD_PING, timeout=4)

    async def dial(self, _: Peer, body: dict[str, Any]) -> None:
        if self._runtime is None:
            raise CallNotPlaced
        placing = msgspec.convert(body, Placing)
        await self._outbound.place(placing, lambda call: self._adopt(placing.leg, call))

    async def ring(self, _: Peer, body: dict[str, Any]) -> None:
        self._line(body)  # the engine sends 180 by itself when a call arrives

    async def answer(self, _: Peer, body: dict[str, Any]) -> None:
        await _native_step(self._line(body).call.answer())

    async def refuse(self, _: Peer, body: dict[str, Any]) -> None:
        line = self._line(body)
        line.cause = HangupCause.REJECTED
        name = line.call.call_id or ""
        if not self._refusals.refuse(name, line.call.handle, status=body["status"], sentence=body["sentence"]):
            await _native_step(line.call.reject())

    async def play(self, _: Peer, body: dict[str, Any]) -> None:
        self._line(body).mouth.play(body["pcm"], body["play"])

    async def stop_playing(self, _: Peer, body: dict[str, Any]) -> None:
        line = self._line(body)
        if line.mouth.is_playing:
            line.mouth.stop()

    async def listen(self, _: Peer, body: dict[str, Any]) -> float:
        return self._line(body).start_listening(played=body["played"])

    async def stop_listening(self, _: Peer, body: dict[str, Any]) -> tuple[bytes, bytes, float]:
        return self._line(body).stop_listening()

    async def send_digits(self, _: Peer, body: dict[str, Any]) -> None:
        line = self._line(body)
        async with line.sending:
            await _native_step(line.call.send_dtmf(body["digits"]))

    async def transfer(self, _: Peer, body: dict[str, Any]) -> None:
        line = self._line(body)
        try:
            uri = transfer_uri(body["callee"], line.call.peer or "")
            await _native_step(line.call.transfer(uri, timeout=TRANSFER_SECONDS_MAX))
        except TransferFailed:
            raise TransferRefused from None

    async def bridge(self, _: Peer, body: dict[str, Any]) -> None:
        self._bridges.join(self._line(body), self._line({"leg": body["other"]}))

    async def unbridge(self, _: Peer, body: dict[str, Any]) -> None:
        self._bridges.part(self._line(body))

    async def hang_up(self, _: Peer, body: dict[str, Any]) -> None:
        line = self._line(body)
        if not line.answered:
            line.cause = HangupCause.CANCELLED if line.outbound else HangupCause.REJECTED
        await _native_step(line.call.hangup())

    def _line(self, body: dict[str, Any]) -> Line:
        line = self._lines.get(body["leg"])
        if line is None:
            raise LegGone
        return line

    def _adopt(self, leg: str, call: NativeCall) -> None:
        self._lines[leg] = Line(leg, call, self._report)

    def _arrived(self, call: NativeCall) -> None:
        leg = str(next(self._names))
        self._adopt(leg, call)
        asked = self._arrivals.take(call.call_id or "") if self._arrivals is not None else Asked()
        callee, headers = asked.uri or call.headers.get("To", ""), {**call.headers, **asked.headers}
        where = {"source": asked.source, "transport": asked.transport}
        self.peer.tell("arrived", leg=leg, caller=call.peer or "", callee=callee, headers=headers, **where)

    def _report(self, name: str, **body: Any) -> None:
        if name == "ended" and (line := self._lines.pop(body["leg"], None)):
            self._bridges.part(line)
        self.peer.tell(name, **body)

    async def _tick_forever(self) -> None:
        """One message a tick for all lines; it is answered, so a slow switchboard slows us and not our memory."""
        due = time.monotonic()
        while True:
            due = max(due + TICK_SECONDS, time.monotonic() - TICK_SECONDS)
            await asyncio.sleep(due - time.monotonic())
            now_s = time.monotonic()
            heard = [found for line in list(self._lines.values()) if (found := self._tick(line, now_s))]
            if heard:
                await self.peer.call("audio", heard=heard, read_at_s=now_s)

    def _tick(self, line: Line, now_s: float) -> Heard | None:
        try:
            heard = line.tick(now_s)
            if line.answered and now_s - line.heard_at_s > self._media_timeout_s:
                self._nobody_there(line, now_s)
            return heard
        except Exception as error:
            diagnostics.failure("engine.line-failed", error, leg=line.leg)
            return None

    def _nobody_there(self, line: Line, now_s: float) -> None:
        """Nothing came for too long. Who put us on hold owes us no sound, but must answer when asked."""
        line.heard_at_s = now_s
        if line.held:
            name, handle = line.call.call_id or "", line.call.handle
            self._sip.later(lambda: self._ask(name, handle))
            return
        line.cause = HangupCause.MEDIA_TIMEOUT
        leaving = asyncio.ensure_future(_native_step(line.call.hangup()))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._left)

    def _left(self, leaving: asyncio.Future[None]) -> None:
        self._leaving.discard(leaving)
        leaving.exception()  # gone already is as good

    def _ask(self, call_id: str, handle: int) -> None:
        """SIP thread: a re-INVITE that changes nothing; no answer, or 481, ends the call (RFC 3261 §12.2.1.2)."""
        if found := self._sip.call_of(call_id, handle):
            self._sip.library.call_modify(found)


async def _native_step(step: Any) -> None:
    try:
        await step
    except TransferFailed:
        raise
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
