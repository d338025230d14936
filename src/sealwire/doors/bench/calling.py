"""The callers of a benchmark, in a process of their own, and what CPU time the processes of the cloud have taken."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from sealwire.doors.bench.scratch import Scratch
from sealwire.errors import Broken
from sealwire.ground.process import descendants

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class LoadFailed(Broken):
    """The calling program failed, so nothing was measured; run it by hand to see why."""


class CallsFailed(Broken):
    """Not every call was taken and lived to its end, so the figures would not be honest; look at switchboard.log."""


async def run_callers(to: str, *plan: str, core: int | None = None) -> dict[str, Any]:
    """Make calls as `sealwire.doors.call_load` does, to their end; CallsFailed unless each was answered."""
    where = ["--core", str(core)] if core is not None else []
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sealwire.doors.call_load", "--to", to, *plan, *where, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        out, words = await process.communicate()
        report = dict(json.loads(out))
    except ValueError:
        kind = words.decode(errors="replace").strip().rpartition("\n")[2].partition(":")[0][:60]
        raise LoadFailed(f"the calling program failed ({kind}), so nothing was measured") from None
    finally:
        if process.returncode is None:
            process.kill()
    if report["odd"] or report["answered"] < report["calls"]:
        kinds = sorted({odd["error"] or f"SIP {odd['status']}" for odd in report["odd"]})
        raise CallsFailed(
            f"{len(report['odd'])} of {report['calls']} calls did not go as planned ({'; '.join(kinds)}), so the"
            " figures would not be honest; is the machine busy with something else?"
        )
    return report


def require_all_at_once(report: dict[str, Any]) -> None:
    """CallsFailed unless all of these calls were up together, and each was hung up by the cloud."""
    if report["concurrent"] < report["calls"] or report["ended_by_far_end"] < report["calls"]:
        raise CallsFailed(
            f"only {report['concurrent']} of {report['calls']} calls were up together, and {report['ended_by_far_end']}"
            " came to their own end, so the figures would not be honest"
        )


def cpu_by_process(roots: dict[str, int]) -> dict[str, float]:
    """CPU seconds so far of these processes, of all below them, and of what those have waited for (proc(5))."""
    return {name: sum(_cpu_s(pid) for pid in descendants(root)) for name, root in roots.items()}


def cloud_processes(scratch: Scratch) -> dict[str, int]:
    """The cloud's processes by name, PostgreSQL among them; the engine's worker is below the switchboard."""
    return {part.name: part.pid for part in scratch.cloud.health() if part.pid}


def pin(roots: dict[str, int], core: int) -> None:
    """Keep every thread of these processes, and what they start from now on, on one core."""
    for root in roots.values():
        for pid in descendants(root):
            for thread in Path(f"/proc/{pid}/task").glob("*"):
                with suppress(OSError):
                    os.sched_setaffinity(int(thread.name), {core})


def frames_lost(scratch: Scratch) -> int:
    """What the switchboard itself counted, from its diagnostics."""
    lines = (scratch.settings.logs_dir / "switchboard.log").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return sum(int(event["frames_lost"]) for event in events if event["event"] == "call.ended")


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(field) for field in fields[11:15]) / _TICKS_PER_SECOND
