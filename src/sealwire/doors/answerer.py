"""A telephone that is called, for demonstrations and tests: of another code base than the switch that calls it.

    python -m sealwire.doors.answerer --listen 127.0.0.1:25070 --digit 5 --speech caller-two --json

It prints `ready`, waits for one call, rings, answers (or refuses, or never answers), hears, types, speaks, hangs up or
waits for that, and prints what it saw. It keeps no sound unless `--heard FILE` asks for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiortp
from aiosipua import SipUAC, SipUAS, build_sdp

from sealwire.doors.caller import CODECS, Caller, CallPlan, CallReport, UdpTelephone, demo_speech, free_port


@dataclass(kw_only=True)
class AnswerPlan(CallPlan):
    """What to do with the one call that is awaited; `to` and `caller` mean nothing here."""

    to: str = ""
    caller: str = ""
    listen: str = "127.0.0.1:25070"
    ring_seconds: float = 0.2
    status: int = 200
    """Refuse with this instead of answering; 0 rings for ever."""
    wait_seconds: float = 60.0


class Answerer(Caller):
    """One call that comes in, from its INVITE to its BYE."""

    def __init__(self, plan: AnswerPlan) -> None:
        super().__init__(plan)
        self._plan = plan
        self._arrived: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.listening = asyncio.Event()

    async def run(self) -> CallReport:
        """Wait for the call and take it; errors stand in the report."""
        host, _, port = self._plan.listen.rpartition(":")
        telephone = UdpTelephone(local_addr=(host, int(port)))
        uac = SipUAC(telephone)
        uas = SipUAS(telephone, uac=uac)
        uas.on_invite = self._invited
        uas.on_bye = lambda *_: self._hung_up("far end")
        uas.on_cancel = lambda *_: self._hung_up("far end")
        await uas.start()
        self.listening.set()
        try:
            call = await asyncio.wait_for(self._arrived, self._plan.wait_seconds)
            async with asyncio.timeout(self._plan.seconds_max):
                await self._take(call)
        except TimeoutError:
            self.report.error = "no call came, or it did not end in time"
        finally:
            if self._rtp is not None:
                self.report.heard_lost_packets = int(self._rtp.stats.get("packets_lost", 0))
                await self._rtp.close()
            await uas.stop()
        return self.report

    def _invited(self, call: Any) -> None:
        if self._arrived.done():
            call.reject(486)
        else:
            self._arrived.set_result(call)

    async def _take(self, call: Any) -> None:
        call.ringing()
        await asyncio.wait({asyncio.ensure_future(self._over.wait())}, timeout=self._plan.ring_seconds)
        self.report.status = self._plan.status
        if self._is_over:
            return
        if self._plan.status != 200:
            if self._plan.status:
                call.reject(self._plan.status)
            await self._over.wait() if not self._plan.status else await asyncio.sleep(0.5)
            return
        await self._talk_in(call)

    async def _talk_in(self, call: Any) -> None:
        payload_type, codec = CODECS[self._plan.codec]
        host = self._plan.listen.rpartition(":")[0]
        port = free_port(host, pair=True)
        call.accept(build_sdp(host, port, payload_type, codec.name))
        self.report.answered = True
        self._rtp = await aiortp.RTPSession.create(
            local_addr=(host, port), remote_addr=call.sdp_offer.rtp_address, payload_type=payload_type, codec=codec
        )
        self._rtp.on_audio = self._heard
        answered = time.monotonic()
        await self._talk(answered)
        if not self._over.is_set():
            call.hangup()
            self._hung_up("answerer")
        self.report.seconds = round(time.monotonic() - answered, 2)


def main(arguments: list[str] | None = None) -> int:
    """Exit 0: the call came and went as planned; 1: it did not."""
    parser = argparse.ArgumentParser(prog="sealwire-answerer", description="be called once")
    parser.add_argument("--listen", default="127.0.0.1:25070", help="ADDRESS:PORT for SIP")
    parser.add_argument("--digit", default="", help="what to type after the prompt")
    parser.add_argument("--speech", default="", help="caller-one or caller-two; empty for silence")
    parser.add_argument("--status", type=int, default=200, help="refuse with this SIP status; 0 rings for ever")
    parser.add_argument("--ring-seconds", type=float, default=0.2)
    parser.add_argument("--hang-up-after", type=float, default=float("inf"), help="seconds after the answer")
    parser.add_argument("--seconds-max", type=float, default=90.0)
    parser.add_argument("--heard", type=Path, help="write what was heard to this wav file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the library's logs hold numbers
    plan = AnswerPlan(
        listen=given.listen, digits=given.digit, speech=demo_speech(given.speech) if given.speech else b"",
        status=given.status, ring_seconds=given.ring_seconds, hang_up_after=given.hang_up_after,
        seconds_max=given.seconds_max, end_digit="", keep_heard=given.heard is not None,
    )  # fmt: skip
    report = asyncio.run(_answer(plan))
    report.write_heard(given.heard)
    print(
        json.dumps(report.as_json()) if given.json else f"status {report.status}, heard {report.heard_loud_seconds} s"
    )
    return 0 if not report.error else 1


async def _answer(plan: AnswerPlan) -> CallReport:
    answerer = Answerer(plan)
    running = asyncio.ensure_future(answerer.run())
    await answerer.listening.wait()
    print("ready", flush=True)
    return await running


if __name__ == "__main__":
    sys.exit(main())
