"""`bench calls`: concurrent real calls, recorded and sealed; CPU per call beside the bare engine's.

The callers are a program of another code base in a process of its own. Ours counts the switchboard with its engine
worker, the keeper, the sequencer and PostgreSQL; bare is the same engine that answers, plays, reads the audio into
memory and drops it. Both runs follow each other in one go.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from typing import Any

from sealwire.custody.categories import CallRecord, Recording, category_of
from sealwire.doors.bench.scratch import CALLED, Scratch
from sealwire.errors import Broken
from sealwire.ground.process import descendants

_BARE = "127.0.0.1:15380"
_BARE_PORTS = "27000-28999"


class LoadFailed(Broken):
    """The calling program failed, so nothing was measured; run it by hand to see why."""


async def measure(scratch: Scratch, *, calls: int, speak_seconds: float) -> dict[str, Any]:
    """CPU shares are of one core and per call; frames are 20 ms each."""
    parts = {part.name: part.pid for part in scratch.cloud.health() if part.pid}
    pids = [pid for name in parts for pid in descendants(parts[name])]
    ours = await _load(f"sip:{CALLED}@{scratch.settings.sip_listen}", calls, speak_seconds, pids)
    records, recordings = await _kept(scratch, calls)
    bare = await _bare(calls, speak_seconds)
    shortest_ms = min((row.plain["duration_ms"] for row in recordings), default=0)
    return {
        "bench": "calls",
        "calls": calls,
        "answered": ours["answered"],
        "call_records": len(records),
        "recordings": len(recordings),
        "frames_lost": _frames_lost(scratch),
        "shortest_recording_s": shortest_ms / 1000,
        "spoken_s": speak_seconds,
        "setup_ms_median": round(ours["setup_ms_median"], 1),
        "cpu_share_per_call": ours["cpu_share_per_call"],
        "bare_cpu_share_per_call": bare["cpu_share_per_call"],
        "cpu_over_bare": round(ours["cpu_share_per_call"] / bare["cpu_share_per_call"], 2),
    }


async def _load(to: str, calls: int, speak_seconds: float, pids: list[int]) -> dict[str, Any]:
    watched = [part for pid in pids for part in ("--pid", str(pid))]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sealwire.doors.call_load", "--to", to, "--calls", str(calls),
        "--speak-seconds", str(speak_seconds), "--json", *watched,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    out, _ = await process.communicate()
    try:
        return dict(json.loads(out))
    except ValueError:
        raise LoadFailed from None


async def _bare(calls: int, speak_seconds: float) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sealwire.doors.call_load", "--serve-bare", _BARE, "--rtp-ports", _BARE_PORTS,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        await asyncio.wait_for(process.stdout.readline(), 20)
        return await _load(f"sip:{CALLED}@{_BARE}", calls, speak_seconds, [process.pid])
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _kept(scratch: Scratch, calls: int) -> tuple[list[Any], list[Any]]:
    """Wait a little for the last records, then list them."""
    for _ in range(100):
        records = await scratch.custody.page(scratch.account, category_of(CallRecord), before=None, limit=10_000)
        if len(records) >= calls:
            break
        await asyncio.sleep(0.1)
    return records, await scratch.custody.page(scratch.account, category_of(Recording), before=None, limit=10_000)


def _frames_lost(scratch: Scratch) -> int:
    """What the switchboard itself counted, from its diagnostics."""
    lines = (scratch.settings.logs_dir / "switchboard.log").read_text().splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return sum(int(event["frames_lost"]) for event in events if event["event"] == "call.ended")
