"""`bench calls`: concurrent real calls, recorded and sealed, on one core; CPU per call beside the bare engine's.

The callers are a program of another code base in a process of its own, on another core where there is one. Ours counts
the switchboard with its engine worker, the keeper, the sequencer, the worker, PostgreSQL and all that these start, from
before the first INVITE until the last record is kept; bare is the same engine that answers, plays and records each
caller to a plain file. Set-up is measured apart, with calls that begin at a steady pace and are hung up soon. All
follow each other in one run, which fails if a single call does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from typing import Any

from sealwire.custody.categories import CallRecord, Recording, category_of
from sealwire.custody.store import StoredRecord
from sealwire.doors.bench.calling import (
    CallsFailed,
    cloud_processes,
    cpu_by_process,
    frames_lost,
    pin,
    require_all_at_once,
    run_callers,
)
from sealwire.doors.bench.scratch import CALLED, Scratch, lift_limits

_BARE = "127.0.0.1:15380"
_BARE_PORTS = "27000-28999"
SETUPS_PER_SECOND = 20.0
HANG_UP_AFTER_S = 1.0
KEPT_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure."""

    calls: int
    speak_seconds: float
    setups: int

    @property
    def concurrent(self) -> tuple[str, ...]:
        """All calls up together, each speaking so long."""
        return "--calls", str(self.calls), "--speak-seconds", str(self.speak_seconds)

    @property
    def paced(self) -> tuple[str, ...]:
        """Short calls, one after the other at a steady pace."""
        pace = ("--calls-per-second", str(SETUPS_PER_SECOND), "--hang-up-after", str(HANG_UP_AFTER_S))
        return "--calls", str(self.setups), *pace


@dataclass(frozen=True, slots=True)
class _Measured:
    report: dict[str, Any]
    cpu_s: dict[str, float]

    @property
    def share_per_call(self) -> float:
        """Of one core."""
        return sum(self.cpu_s.values()) / float(self.report["call_seconds"])


async def measure(scratch: Scratch, plan: Plan) -> dict[str, Any]:
    """CPU shares are of one core and per call; frames are 20 ms each; set-up is from INVITE to answer."""
    await lift_limits(scratch)
    processes = cloud_processes(scratch)
    ours_on, callers_on = _cores()
    pin(processes, ours_on)
    to = f"sip:{CALLED}@{scratch.settings.sip_listen}"
    before = cpu_by_process(processes)
    report = await run_callers(to, *plan.concurrent, core=callers_on)
    records, recordings = await _kept(scratch, plan.calls)
    ours = _Measured(report, _since(before, cpu_by_process(processes)))
    require_all_at_once(report)
    setups = await run_callers(to, *plan.paced, core=callers_on)
    bare = await _bare(plan, ours_on=ours_on, callers_on=callers_on)
    return {
        "bench": "calls",
        "concurrent_calls": report["concurrent"],
        "lost_frames": frames_lost(scratch),
        "cpu_ratio": round(ours.share_per_call / bare.share_per_call, 2),
        "setup_p99_ms": round(setups["setup_ms_p99"], 1),
        "setup_median_ms": round(setups["setup_ms_median"], 1),
        "setups_per_second": SETUPS_PER_SECOND,
        "setups": setups["answered"],
        "call_records": len(records),
        "recordings": len(recordings),
        "shortest_recording_s": min(row.plain["duration_ms"] for row in recordings) / 1000,
        "spoken_s": plan.speak_seconds,
        "heard_lost_packets": report["heard_lost_packets"],
        "cpu_share_per_call": round(ours.share_per_call, 5),
        "bare_cpu_share_per_call": round(bare.share_per_call, 5),
        "cpu_seconds": {name: round(seconds, 2) for name, seconds in ours.cpu_s.items()},
        "bare_cpu_seconds": round(sum(bare.cpu_s.values()), 2),
        "cores_for_the_cloud": 1,
        "load_average": round(os.getloadavg()[0], 2),
    }


def _cores() -> tuple[int, int]:
    """The core for the cloud and the core for the callers: the same one when there is no other."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]


def _since(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return dict(Counter(after) - Counter(before))


async def _bare(plan: Plan, *, ours_on: int, callers_on: int) -> _Measured:
    with tempfile.TemporaryDirectory(prefix="sealwire-bare-") as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sealwire.doors.call_load", "--serve-bare", _BARE, "--rtp-ports", _BARE_PORTS,
            "--bare-files", folder, "--core", str(ours_on),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            await asyncio.wait_for(process.stdout.readline(), 20)
            before = cpu_by_process({"bare": process.pid})
            report = await run_callers(f"sip:{CALLED}@{_BARE}", *plan.concurrent, core=callers_on)
            require_all_at_once(report)
            return _Measured(report, _since(before, cpu_by_process({"bare": process.pid})))
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.wait()


async def _kept(scratch: Scratch, calls: int) -> tuple[list[StoredRecord], list[StoredRecord]]:
    """The records of all these calls, once they are there; CallsFailed when one stays out."""
    custody, account = scratch.custody, scratch.account
    for _ in range(int(KEPT_S_MAX * 4)):
        records = await custody.page(account, category_of(CallRecord), before=None, limit=10_000)
        recordings = await custody.page(account, category_of(Recording), before=None, limit=10_000)
        if len(records) >= calls and len(recordings) >= calls:
            return records, recordings
        await asyncio.sleep(0.25)
    raise CallsFailed(f"of {calls} calls {len(records)} records and {len(recordings)} recordings were kept in time")
