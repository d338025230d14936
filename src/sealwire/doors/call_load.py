"""Many telephones at once, for `bench calls` and for tests, and a bare engine to compare with.

    python -m sealwire.doors.call_load --to sip:+441632960999@127.0.0.1:5060 --calls 20 --speak-seconds 20 --json
    python -m sealwire.doors.call_load --serve-bare 127.0.0.1:15080 --rtp-ports 22000-22999

Every call is a `caller` with a number of its own: it hears the prompt, types, speaks, types `#`, hears
goodbye. The bare engine does the same telephony with nothing of ours: it answers, plays, and
records each caller to a plain file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sealwire.doors.caller import RATE, Caller, CallPlan, CallReport, demo_speech
from sealwire.doors.crowd import Crowd, CrowdCaller, encoded

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_DEAF_SPEECH_S = 20.0
"""Encoded once and said again and again."""
FIRST_NUMBER = 441632960000
"""Ofcom's range for drama: +44 1632 960000 to 960999 never reaches anybody."""


@dataclass(kw_only=True)
class LoadPlan:
    """How many calls, how fast they begin, how long each speaks."""

    to: str
    calls: int = 20
    calls_per_second: float = 10.0
    speak_seconds: float = 20.0
    codec: str = "pcma"
    hang_up_after: float = float("inf")
    """The caller hangs up this long after the answer: for measuring set-ups, not speech."""
    deaf: bool = False
    """Nobody listens, and one timer paces all: calls that are up beside what is measured."""
    pids: tuple[int, ...] = ()
    """Processes whose CPU time is measured while the calls live."""


@dataclass(kw_only=True)
class LoadReport:
    """What came of it. CPU is in seconds, of all `pids` together; share is of one core, per call."""

    calls: int = 0
    answered: int = 0
    concurrent: int = 0
    """The most calls that were up at one moment."""
    ended_by_far_end: int = 0
    all_up_from_s: float = 0.0
    """From when to when all were up together, on this machine's monotonic clock; the end lies first if never."""
    all_up_until_s: float = 0.0
    setup_ms_median: float = 0.0
    setup_ms_p99: float = 0.0
    heard_lost_packets: int = 0
    cpu_seconds: float = 0.0
    call_seconds: float = 0.0
    cpu_share_per_call: float = 0.0
    reports: list[CallReport] = field(default_factory=list, repr=False)

    def as_json(self) -> dict[str, Any]:
        """The figures, and what was odd about single calls."""
        figures = {key: value for key, value in vars(self).items() if key != "reports"}
        odd = [report.as_json() for report in self.reports if report.error or not report.answered]
        return figures | {"odd": odd}


def cpu_seconds(pids: tuple[int, ...]) -> float:
    """User and system time of these processes so far; one that is gone counts nothing."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_SECOND


def long_speech(seconds: float) -> bytes:
    """The two samples in turn, so that it is never silent for long."""
    once = demo_speech("caller-one") + demo_speech("caller-two")
    size = int(seconds * RATE) * 2
    return (once * (size // len(once) + 1))[:size]


async def run_load(plan: LoadPlan) -> LoadReport:
    """Make all the calls and wait until each has ended."""
    speech, host = long_speech(plan.speak_seconds), "127.0.0.1"
    crowd = Crowd(host) if plan.deaf else None
    spoken = encoded(long_speech(min(plan.speak_seconds, _DEAF_SPEECH_S)), plan.codec) if crowd else []
    before = cpu_seconds(plan.pids)
    calls: list[asyncio.Task[CallReport]] = []
    for number in range(plan.calls):
        call = CallPlan(
            to=plan.to,
            caller=f"+{FIRST_NUMBER + number}",
            host=host,
            speech=speech,
            codec=plan.codec,
            hang_up_after=plan.hang_up_after,
            seconds_max=plan.speak_seconds + 60,
        )
        caller = CrowdCaller(call, crowd, spoken) if crowd else Caller(call)
        calls.append(asyncio.ensure_future(caller.run()))
        await asyncio.sleep(1 / plan.calls_per_second)
    reports = await asyncio.gather(*calls)
    if crowd:
        crowd.close()
    return _summary(list(reports), cpu_seconds(plan.pids) - before)


def _summary(reports: list[CallReport], cpu: float) -> LoadReport:
    setups = sorted(report.setup_ms for report in reports if report.answered) or [0.0]
    call_seconds = sum(report.seconds for report in reports)
    return LoadReport(
        calls=len(reports),
        answered=sum(report.answered for report in reports),
        concurrent=most_at_once(reports),
        ended_by_far_end=sum(report.hung_up_by == "far end" for report in reports),
        all_up_from_s=max((report.answered_at_s for report in reports), default=0.0),
        all_up_until_s=min((report.ended_at_s for report in reports), default=0.0),
        setup_ms_median=statistics.median(setups),
        setup_ms_p99=setups[min(len(setups) - 1, int(len(setups) * 0.99))],
        heard_lost_packets=sum(report.heard_lost_packets for report in reports),
        cpu_seconds=round(cpu, 2),
        call_seconds=round(call_seconds, 1),
        cpu_share_per_call=round(cpu / call_seconds, 5) if call_seconds else 0.0,
        reports=reports,
    )


def most_at_once(reports: list[CallReport]) -> int:
    """How many of these calls were up together at most."""
    answered = [report for report in reports if report.answered]
    changes = sorted(
        [(report.answered_at_s, 1) for report in answered] + [(report.ended_at_s, -1) for report in answered]
    )
    return max(itertools.accumulate(change for _, change in changes), default=0)


async def serve_bare(sip_listen: str, rtp_ports: str, folder: Path) -> None:
    """The engine alone: answer, welcome, a tone at the first digit, goodbye at `#`; until SIGTERM.

    What callers say is written to a plain file each in `folder`, as an engine's own recorder does.
    """
    # the native stack is loaded only here: telephones do without
    from baresip import AudioNotActive, AudioRestarted, StaleHandleError  # noqa: PLC0415

    from sealwire.communications.prompts import sound  # noqa: PLC0415
    from sealwire.communications.switches.baresip.stack import start_stack  # noqa: PLC0415
    from sealwire.communications.switches.baresip.stack_settings import StackSettings  # noqa: PLC0415

    host, _, port = sip_listen.rpartition(":")
    first, _, last = rtp_ports.partition("-")
    settings = StackSettings(sip_host=host, sip_port=int(port), rtp_first=int(first), rtp_last=int(last))

    async def take(call: Any) -> None:
        keys: asyncio.Queue[str] = asyncio.Queue()
        call.on_dtmf(lambda event: keys.put_nowait(event.digit))
        await call.answer()
        playing, leaving = memoryview(sound("welcome")), False
        file = (folder / f"{next(numbers)}.pcm").open("wb")
        while call.state.value != "closed":
            await asyncio.sleep(0.1)
            with contextlib.suppress(AudioNotActive, AudioRestarted, StaleHandleError):
                file.write(call.audio.read(16_000))
                while not keys.empty():
                    leaving = keys.get_nowait() == "#"
                    playing = memoryview(sound("goodbye" if leaving else "tone"))
                if playing:
                    playing = playing[call.audio.write(playing) :]
                elif leaving and not call.audio.info().tx_buffered:
                    await call.hangup()
        file.close()

    numbers = itertools.count()
    tasks: set[asyncio.Task[None]] = set()

    def arrived(call: Any) -> None:
        task = asyncio.ensure_future(take(call))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    runtime = await start_stack(settings, arrived)
    print("ready", flush=True)
    await stopped.wait()
    await runtime.close()


def main(arguments: list[str] | None = None) -> int:
    """Exit 0: every call was answered and hung up by the far end."""
    parser = argparse.ArgumentParser(prog="sealwire-call-load", description="many calls at once")
    parser.add_argument("--to", help="sip:NUMBER@ADDRESS:PORT")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--calls-per-second", type=float, default=10.0)
    parser.add_argument("--speak-seconds", type=float, default=20.0)
    parser.add_argument("--codec", choices=["pcma", "pcmu"], default="pcma")
    parser.add_argument("--pid", type=int, action="append", default=[], help="measure this process")
    parser.add_argument("--hang-up-after", type=float, default=float("inf"), help="seconds after each answer")
    parser.add_argument("--deaf", action="store_true", help="callers that do not listen, which costs little")
    parser.add_argument("--core", type=int, help="run on this core only")
    parser.add_argument("--bare-files", type=Path, default=Path(), help="where the bare engine records to")
    parser.add_argument("--serve-bare", metavar="ADDRESS:PORT", help="be the bare engine instead")
    parser.add_argument("--rtp-ports", default="22000-22999")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)  # the libraries' logs hold numbers
    if given.core is not None:
        os.sched_setaffinity(0, {given.core})
    if given.serve_bare:
        asyncio.run(serve_bare(given.serve_bare, given.rtp_ports, given.bare_files))
        return 0
    if not given.to:
        parser.error("--to or --serve-bare is needed")
    plan = LoadPlan(
        to=given.to,
        calls=given.calls,
        calls_per_second=given.calls_per_second,
        speak_seconds=given.speak_seconds,
        codec=given.codec,
        hang_up_after=given.hang_up_after,
        deaf=given.deaf,
        pids=tuple(given.pid),
    )
    report = asyncio.run(run_load(plan))
    figures = report.as_json()
    print(json.dumps(figures) if given.json else "\n".join(f"{key}: {value}" for key, value in figures.items()))
    return 0 if report.answered == report.ended_by_far_end == report.calls else 1


if __name__ == "__main__":
    sys.exit(main())
